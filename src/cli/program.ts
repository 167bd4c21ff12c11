// Promises those commands that the service's own program answers, because they read what only the service reads: configuration, token files,
// the host. It runs on the same terminal, with its own flags, behaviour and exit codes; it is started only then.

import { existsSync } from 'node:fs';
import { commands, options, type CommandName, type Option, type OptionName } from '../commands.ts';
import { ControllerError } from '../errors.ts';
import { withCredentials } from './credentials.ts';
import type { Command, Flags, Given } from './command.ts';

export const doctorCommand = handedOn('doctor', 'looks at configuration, host, profiles, forges and service: each finding with its remedy');
export const checkConfigCommand = handedOn('check-config', 'prints the configuration as resolved, or every mistake in it');
export const initCommand = handedOn('init', 'writes a commented configuration, and tells what token it needs and what else is to do');

function handedOn(name: CommandName, says: string): Command {
  return {
    name,
    says,
    flags: flagsOf(name),
    alone: (local, given) => local.program([name, ...configOf(name, given, local.usualConfig), ...wordsOf(name, given)]),
  };
}

/** What the program takes for that, as flags of this table. */
export function flagsOf(name: CommandName): Flags {
  return Object.fromEntries(
    commands[name].takes.map((flag: OptionName) => {
      const { short, value, path, says }: Option = options[flag];
      const shown = flag === 'config' ? 'YAML configuration; without it, /etc/forgejo-runner-controller/config.yaml if it is there' : says;
      return [
        flag,
        {
          says: shown,
          ...(short === undefined ? {} : { short }),
          ...(value === undefined ? {} : { value }),
          ...(path === undefined ? {} : { path }),
        },
      ];
    }),
  );
}

/** The usual configuration, when the command takes one and none was named. */
export function configOf(name: CommandName, given: Given, usual: () => readonly string[]): readonly string[] {
  const takes: readonly OptionName[] = commands[name].takes;
  return takes.includes('config') && given.text('config') === undefined ? usual() : [];
}

/** What was typed for that, as the program takes it. */
export function wordsOf(name: CommandName, given: Given): readonly string[] {
  return commands[name].takes.flatMap((flag: OptionName) => {
    const text = given.text(flag);
    if (text !== undefined) return [`--${flag}=${text}`];
    return given.is(flag) ? [`--${flag}`] : [];
  });
}

/** Its exit code. `usual`: with the usual configuration, and so with the credentials of the usual unit. Ctrl-C reaches it from the terminal; a SIGTERM is passed on, and it is waited for either way. */
export async function runProgram(
  path: string,
  words: readonly string[],
  {
    env,
    ending,
    usual,
    note,
  }: { readonly env: NodeJS.ProcessEnv; readonly ending: AbortSignal; readonly usual: boolean; readonly note: (line: string) => void },
): Promise<number> {
  if (!existsSync(path))
    throw new ControllerError('API_UNREACHABLE', `the service's own program is not there: ${path} belongs beside this one`);
  const { spawn } = process.getBuiltinModule('node:child_process');
  const start = { command: process.execPath, words: [path, ...words], env };
  const { command, words: all, env: given } = usual ? await withCredentials(start, note) : start;
  const child = spawn(command, [...all], { env: given, stdio: 'inherit' });
  const passOn = (): void => {
    if (ending.reason === 'SIGTERM') child.kill('SIGTERM');
  };
  ending.addEventListener('abort', passOn);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', (error) =>
        reject(new ControllerError('API_UNREACHABLE', `the service's program cannot be started: ${error.message}`, { cause: error })),
      );
      child.once('close', (code) => resolve(code ?? 130));
    });
  } finally {
    ending.removeEventListener('abort', passOn);
  }
}
