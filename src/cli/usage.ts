// Promises the words of a command line, checked against the command table, and the help that the same table makes. Pure.

import { parseArgs } from 'node:util';
import { columnsOf, filled, headOf } from '../commands.ts';
import type { Command, Flags, Given } from './command.ts';

/** For every command. */
export const globalFlags = {
  url: { value: 'URL', says: 'ask there instead, such as http://127.0.0.1:8080' },
  socket: { value: 'PATH', path: true, says: 'ask over this Unix socket' },
  'token-file': { value: 'FILE', path: true, says: "the API's token: orders over --url need it" },
  json: { says: "print the API's answer as it is, for programs" },
  'no-color': { says: 'no colours; NO_COLOR does the same' },
  help: { short: 'h', says: 'this text; after a command, what it takes' },
  version: { short: 'V', says: 'the version of this program' },
} as const satisfies Flags;

/** Those of them that a command takes; its own come before them. */
export function globalFlagsOf(command: Command): Flags {
  return 'run' in command ? globalFlags : { 'no-color': globalFlags['no-color'], help: globalFlags.help, version: globalFlags.version };
}

export type Words = { readonly command: Command; readonly given: Given };

/** What was asked for, or a sentence that says what is wrong with it. The first command of the table is the default. */
export function wordsOf(argv: readonly string[], commands: readonly Command[]): Words | string {
  const all = Object.assign({}, globalFlags, ...commands.map(({ flags }) => flags ?? {})) as Flags;
  const read = readWords(argv, all);
  if (typeof read === 'string') return read;
  const { values, positionals } = read;
  const [name = commands[0]?.name, ...rest] = positionals;
  const command = commands.find((one) => one.name === name);
  if (command === undefined) return `there is no command \`${name}\``;
  const given: Given = {
    text: (flag) => (typeof values[flag] === 'string' ? values[flag] : undefined),
    is: (flag) => values[flag] === true,
    argument: rest[0] ?? '',
  };
  if (given.is('help') || given.is('version')) return { command, given };
  const fault = flagFault(command, Object.keys(values)) ?? argumentFault(command, rest);
  return fault ?? { command, given };
}

function readWords(argv: readonly string[], flags: Flags) {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { value, short }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), ...(short === undefined ? {} : { short }) },
    ]),
  );
  try {
    return parseArgs({ args: [...argv], allowPositionals: true, options });
  } catch (error) {
    // What is wrong with the words is all that it throws for; the advice behind the first sentence speaks of other programs.
    return error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error);
  }
}

function flagFault(command: Command, used: readonly string[]): string | undefined {
  const taken = { ...globalFlagsOf(command), ...command.flags };
  const odd = used.find((flag) => !Object.hasOwn(taken, flag));
  if (odd !== undefined) return `\`${command.name}\` takes no --${odd}`;
  return 'run' in command && used.includes('url') && used.includes('socket') ? 'give --url or --socket, not both' : undefined;
}

function argumentFault({ name, argument }: Command, rest: readonly string[]): string | undefined {
  if (argument === undefined) return rest.length === 0 ? undefined : `\`${name}\` takes no argument, got \`${rest.join(' ')}\``;
  if (rest.length === 0) return `\`${name}\` needs ${argument.name}`;
  if (rest.length > 1) return `\`${name}\` takes one ${argument.name}, got \`${rest.join(' ')}\``;
  if (rest[0] === '') return `${argument.name} is empty`;
  if (argument.words !== undefined && !argument.words.includes(rest[0] ?? ''))
    return `${argument.name} is one of ${argument.words.join(', ')}`;
  return undefined;
}

export const exitCodes: readonly (readonly [code: number, says: string])[] = [
  [0, 'done and well'],
  [1, 'the service is not well, or refused the order, or something is left'],
  [2, 'usage'],
  [3, 'the service cannot be reached'],
  [4, 'not allowed'],
  [130, 'interrupted'],
];
/** Of the service's program, not of this table. */
export const otherExitCodes =
  "doctor, check-config, init and cleanup-all-containers, and cleanup-forgejo-runners beside a stopped service, end with the exit code of the service's program";

/** The whole help. */
export function helpOf(commands: readonly Command[]): string {
  const rows = commands.map((command) => [synopsisOf(command), command.says] as const);
  return `Usage: runner-status [COMMAND] [OPTIONS]

Asks forgejo-runner-controller what it does and why, and gives it orders: over its Unix socket in /run/forgejo-runner-controller where that
can be opened, else at http://127.0.0.1:8080.

Commands:
${columnsOf(rows)}

Options:
${columnsOf(flagRows(globalFlags))}

${filled(`Exit codes: ${exitCodes.map(([code, says]) => `${code} ${says}`).join('; ')}. ${otherExitCodes}.`, '').join('\n')}
`;
}

/** The help of one command. */
export function helpFor(command: Command): string {
  const rest = Object.fromEntries(
    Object.entries<Flags[string]>(globalFlagsOf(command)).filter(([name]) => !Object.hasOwn(command.flags ?? {}, name)),
  );
  const own = command.flags === undefined ? '' : `\nOptions of ${command.name}:\n${columnsOf(flagRows(command.flags))}\n`;
  const synopsis = synopsisOf(command);
  return `Usage: runner-status ${synopsis}${synopsis.endsWith('[OPTIONS]') ? '' : ' [OPTIONS]'}\n\n${command.says}\n${own}\nOptions:\n${columnsOf(flagRows(rest))}\n`;
}

/** How it is called; many options are named in its own help only. */
export function synopsisOf({ name, argument, flags = {} }: Command): string {
  const own = Object.entries(flags).map(([flag, { value }]) => (value === undefined ? `[--${flag}]` : `[--${flag} ${value}]`));
  const word = argument === undefined ? [] : [argument.words?.join('|') ?? argument.name];
  return [name, ...word, ...(own.length > 2 ? ['[OPTIONS]'] : own)].join(' ');
}

function flagRows(flags: Flags): readonly (readonly [string, string])[] {
  return Object.entries(flags).map(([name, flag]) => [headOf(name, flag), flag.says]);
}
