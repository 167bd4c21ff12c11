// Promises runner-status as a function: words in, answers out, an exit code back. 0 done and well, 1 not well or refused, 2 usage, 3 the
// service cannot be reached, 4 not allowed, 130 interrupted. One of the places that catch: here an error becomes a sentence.

import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../clock.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import { visibleLine } from '../log-visible.ts';
import { createClient, type Target } from './client.ts';
import { cleanupAllCommand, cleanupRegistrationsCommand } from './cleanup.ts';
import type { Command, Context, Given, Local, Screen } from './command.ts';
import { completionCommand } from './completion.ts';
import { explainCommand, jobsCommand, planCommand } from './jobs.ts';
import { logsCommand } from './logs.ts';
import { dispatchCommand, drainCommand, pollCommand, resumeCommand, stopCommand } from './orders.ts';
import { checkConfigCommand, doctorCommand, initCommand, runProgram } from './program.ts';
import { statusCommand, watchCommand } from './status.ts';
import { systemdKnows, type Known } from './systemd.ts';
import { helpFor, helpOf, wordsOf } from './usage.ts';

export type Surroundings = {
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  readonly screen: Screen;
  /** One line to stderr. */
  readonly note: (line: string) => void;
  readonly clock: Clock;
  /** Aborts at Ctrl-C and SIGTERM. */
  readonly ending: AbortSignal;
  /** How long an answer may take; 5 s unless said otherwise. */
  readonly answerMs?: number;
  /** Where services have their sockets. */
  readonly sockets?: string;
  /** The service's own program. */
  readonly program: string;
  /** The configuration that is taken when none is named. */
  readonly config?: string;
};

/** Each controller of a host has one there, of its own name. */
const usualSockets = '/run/forgejo-runner-controller';
const usualConfig = '/etc/forgejo-runner-controller/config.yaml';
const usualUrl = 'http://127.0.0.1:8080';

/** The table that parsing, help, completions and the manual page are made from. */
export const commands: readonly Command[] = [
  statusCommand,
  watchCommand,
  jobsCommand,
  explainCommand,
  planCommand,
  logsCommand,
  drainCommand,
  resumeCommand,
  stopCommand,
  pollCommand,
  dispatchCommand,
  doctorCommand,
  cleanupRegistrationsCommand,
  cleanupAllCommand,
  checkConfigCommand,
  initCommand,
  completionCommand(() => commands),
];

export async function runCli(argv: readonly string[], surroundings: Surroundings): Promise<number> {
  const { screen, ending } = surroundings;
  const say = (sentence: string): void => surroundings.note(`runner-status: ${visibleLine(sentence)}`);
  const words = wordsOf(argv, commands);
  if (typeof words === 'string') {
    say(`${words}; \`runner-status --help\` tells more`);
    return 2;
  }
  const { command, given } = words;
  if (given.is('help')) screen.write(argv.includes(command.name) ? helpFor(command) : helpOf(commands));
  else if (given.is('version')) screen.write(`runner-status ${surroundings.version}\n`);
  if (given.is('help') || given.is('version')) return 0;
  let target: Target | undefined;
  const local = localOf(surroundings, say);
  try {
    if ('alone' in command) return await command.alone(local, given);
    target = targetOf(given, surroundings.sockets ?? usualSockets);
    return await command.run(contextOf(surroundings, local, given, target), given);
  } catch (error) {
    if (ending.aborted) return 130;
    if (!isControllerError(error)) throw error;
    say(error.message);
    const known = error.code === 'API_UNREACHABLE' && target !== undefined ? await knownOf(target, surroundings.env) : undefined;
    if (known !== undefined) surroundings.note(`systemd: ${visibleLine(known.line)}`);
    return error.exitCode;
  }
}

function localOf({ screen, env, ending, program, config = usualConfig }: Surroundings, note: Local['note']): Local {
  return {
    screen,
    note,
    program: (words) => runProgram(program, words, { env, ending, usual: words.includes(config), note }),
    usualConfig: () => (existsSync(config) ? ['--config', config] : []),
  };
}

function contextOf({ screen, env, clock, ending, answerMs }: Surroundings, local: Local, given: Given, target: Target): Context {
  const token = tokenOf(given.text('token-file'));
  const color = screen.isTTY && !given.is('no-color') && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  return {
    ...local,
    client: createClient({ target, ending, token, ...(answerMs === undefined ? {} : { answerMs }) }),
    look: () => ({ color, columns: screen.isTTY ? screen.columns() : undefined }),
    json: given.is('json'),
    clock,
    ending,
    systemd: () => knownOf(target, env),
  };
}

/** What was said; else the one socket that this user can open; else the usual address. */
function targetOf(given: Given, sockets: string): Target {
  const [url, path] = [given.text('url'), given.text('socket')];
  if (path !== undefined) return { socket: path };
  const open = url === undefined ? openIn(sockets) : [];
  if (open.length > 1)
    throw new ControllerError('CONFIG_INVALID', `several controllers are on this host: name one by --socket, of ${open.join(', ')}`);
  if (open[0] !== undefined) return { socket: open[0] };
  const parsed = URL.parse(url ?? usualUrl);
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw new ControllerError('CONFIG_INVALID', `--url is no http or https URL: ${url}`);
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '')
    throw new ControllerError('CONFIG_INVALID', '--url is a scheme, a host, a port and a path only; a token is given by --token-file');
  return { url: parsed };
}

/** Sockets that this user can open. Those that are not there, or not for this user, leave the other way, which says what is wrong with it. */
function openIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.sock'))
      .map((name) => `${folder}/${name}`)
      .filter(isOpen);
  } catch {
    return [];
  }
}

function isOpen(socket: string): boolean {
  try {
    accessSync(socket, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function tokenOf(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  let token: string;
  try {
    token = readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new ControllerError(
      'CONFIG_INVALID',
      `--token-file ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
  if (!/^[\u0021-\u007e]{1,4096}$/.test(token))
    throw new ControllerError('CONFIG_INVALID', `--token-file ${path} holds no token: one line without spaces`);
  return token;
}

/** Only of a service on this host this host's systemd can know anything. */
function knownOf(target: Target, env: NodeJS.ProcessEnv): Promise<Known | undefined> {
  const here = 'socket' in target || /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(target.url.hostname);
  return here ? systemdKnows(env) : Promise.resolve(undefined);
}
