// Turns the argument list into a command, with the flags, spellings and refusals of forgejo-runner 12.8.2 (cobra). Pure.

import { parseDurationMs } from './duration.ts';
import { RunnerFailure } from './failure.ts';

export type RunCommand = {
  readonly kind: 'run';
  readonly mode: 'one-job' | 'daemon';
  readonly config: string | undefined;
  readonly url: string | undefined;
  readonly uuid: string | undefined;
  readonly tokenUrl: string | undefined;
  readonly labels: readonly string[];
  readonly handle: string | undefined;
  readonly wait: boolean;
  readonly fetchIntervalMs: number | undefined;
};

export type Command = RunCommand | { readonly kind: 'version' } | { readonly kind: 'help'; readonly text: string };

type FlagKind = 'text' | 'list' | 'switch' | 'duration';

const globalFlags: Readonly<Record<string, FlagKind>> = { config: 'text', help: 'switch', version: 'switch' };
const daemonFlags: Readonly<Record<string, FlagKind>> = {
  ...globalFlags,
  url: 'text',
  uuid: 'text',
  'token-url': 'text',
  label: 'list',
  'fetch-interval': 'duration',
};
const oneJobFlags: Readonly<Record<string, FlagKind>> = { ...daemonFlags, handle: 'text', wait: 'switch' };
const shorthands: Readonly<Record<string, string>> = { c: 'config', h: 'help', v: 'version', w: 'wait' };

const usage = `Run Forgejo Actions (a stand-in for tests)

Usage:
  forgejo-runner [command]

Available Commands:
  daemon      Run as a runner daemon
  one-job     Run only one job

Flags:
  -c, --config string   Config file path
  -h, --help            help for forgejo-runner
  -v, --version         version for forgejo-runner
`;

const runUsage = (mode: string): string => `Usage:
  forgejo-runner ${mode} [flags]

Flags:
      --fetch-interval duration   time between two fetches
${mode === 'one-job' ? '      --handle string             run only the job with this handle\n' : ''}      --label stringArray         label of the runner, repeatable
      --token-url string          where the token is, file: only
      --url string                URL of the Forgejo instance
      --uuid string               UUID of the runner
${mode === 'one-job' ? '  -w, --wait                      wait until a job is available\n' : ''}
Global Flags:
  -c, --config string   Config file path
`;

type Given = { readonly texts: Map<string, string>; readonly labels: string[]; readonly words: string[] };

function flagName(word: string): { name: string; value: string | undefined } {
  if (word.startsWith('--')) {
    const equals = word.indexOf('=');
    return equals < 0 ? { name: word.slice(2), value: undefined } : { name: word.slice(2, equals), value: word.slice(equals + 1) };
  }
  const letter = word.charAt(1);
  const name = shorthands[letter];
  if (name === undefined) throw new RunnerFailure(`unknown shorthand flag: '${letter}' in ${word}`);
  return { name, value: word.length > 2 ? word.slice(2).replace(/^=/, '') : undefined };
}

function collect(words: readonly string[], known: Readonly<Record<string, FlagKind>>): Given {
  const given: Given = { texts: new Map(), labels: [], words: [] };
  const queue = [...words];
  for (let word = queue.shift(); word !== undefined; word = queue.shift()) {
    if (!word.startsWith('-') || word === '-') {
      given.words.push(word);
      continue;
    }
    const { name, value } = flagName(word);
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) throw new RunnerFailure(`unknown flag: --${name}`);
    const text = value ?? (kind === 'switch' ? 'true' : queue.shift());
    if (text === undefined) throw new RunnerFailure(`flag needs an argument: ${word}`);
    if (kind === 'list') given.labels.push(text);
    else given.texts.set(name, text);
  }
  return given;
}

function fetchIntervalMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms !== undefined) return ms;
  throw new RunnerFailure(`invalid argument "${text}" for "--fetch-interval" flag: time: invalid duration "${text}"`);
}

/** The command of an argument list (without node and script). Throws RunnerFailure with cobra's sentence. */
export function parseArguments(words: readonly string[]): Command {
  const mode = words.find((word) => word === 'one-job' || word === 'daemon');
  const given = collect(words, mode === 'one-job' ? oneJobFlags : mode === 'daemon' ? daemonFlags : globalFlags);
  const on = (name: string): boolean => given.texts.get(name) === 'true';
  const [command] = given.words;
  if (on('version')) return { kind: 'version' };
  if (command === undefined) return { kind: 'help', text: usage };
  if (command !== 'one-job' && command !== 'daemon') throw new RunnerFailure(`unknown command "${command}" for "forgejo-runner"`);
  if (on('help')) return { kind: 'help', text: runUsage(command) };
  return {
    kind: 'run',
    mode: command,
    config: given.texts.get('config'),
    url: given.texts.get('url'),
    uuid: given.texts.get('uuid'),
    tokenUrl: given.texts.get('token-url'),
    labels: given.labels,
    handle: given.texts.get('handle'),
    wait: on('wait'),
    fetchIntervalMs: fetchIntervalMs(given.texts.get('fetch-interval')),
  };
}
