// Promises the command init: from flags, and from a person where there is one, to a configuration that loads, in a file that was not there
// before, and what is left to do. Beside config.ts the folder's other door, loaded for this command alone.

import { mkdir, open, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { idOf, loadConfig } from './config.ts';
import { nextStepsOf, scopeFrom, starterOf } from './starter.ts';
import { codeOf } from './reader.ts';

export type InitFlags = {
  readonly url?: string | undefined;
  readonly scope?: string | undefined;
  readonly labels?: string | undefined;
  readonly 'token-file'?: string | undefined;
  readonly runner?: string | undefined;
  readonly output?: string | undefined;
};

export type Voices = {
  /** What was asked for: the file, when it goes to standard output, or what is left to do. */
  readonly say: (text: string) => void;
  /** Everything else. */
  readonly note: (text: string) => void;
  /** Undefined: nobody is there. Undefined as answer: the person has gone. */
  readonly ask?: (question: string) => Promise<string | undefined>;
};

const questions = {
  url: 'Address of the forge, such as https://forge.example.org',
  scope: 'Whose jobs: repository:OWNER/NAME, organization:NAME, user or instance',
  labels: 'Labels to serve, with commas between them, such as debian,x64',
  'token-file': 'File with the token, such as /etc/forgejo-runner-controller/token (it need not be there yet)',
} as const;
type Needed = keyof typeof questions;
const needed = ['url', 'scope', 'labels', 'token-file'] as const satisfies readonly Needed[];
const usualOutput = '/etc/forgejo-runner-controller/config.yaml';
/** Of what a unit, a shell and a Nix string leave as it is. */
const plainPath = /^(?:(?:\$CREDENTIALS_DIRECTORY|\$\{CREDENTIALS_DIRECTORY\})\/[\w.@+-]+|[\w./@+-]+)$/;

/** The exit code. Rejects with CONFIG_INVALID when a value is none that the configuration takes. */
export async function init(flags: InitFlags, voices: Voices): Promise<number> {
  const given = await completed(flags, voices);
  if (typeof given === 'string') return fail(voices, given, 2);
  const { url, labels, 'token-file': tokenFile, runner, output = usualOutput } = given;
  const scope = scopeFrom(given.scope);
  if (scope === undefined) return fail(voices, `--scope is none of repository:OWNER/NAME, organization:NAME, user and instance`, 2);
  const odd = Object.entries({ '--token-file': tokenFile, '--runner': runner, '--output': output }).find(
    ([, path]) => path !== undefined && path.includes('/') && !plainPath.test(path),
  );
  if (odd !== undefined) return fail(voices, `${odd[0]} has characters beside letters, digits and ./_@+-: choose a plainer path`, 2);
  if (output !== '-' && !/^\/[^$]*$/.test(output)) return fail(voices, '--output is neither an absolute path nor -', 2);
  const words = labels.split(',').map((label) => label.trim());
  const controllerId = idOf(hostname());
  const text = starterOf({ controllerId, url, scope, labels: words, tokenFile, ...(runner === undefined ? {} : { runner }) });
  const config = await checked(text);
  const [[forge], [profile]] = [config.forges, config.profiles];
  if (forge === undefined || profile === undefined) throw new Error('a configuration without a forge or a profile loaded');
  for (const warning of config.warnings) voices.note(`warning: ${warning}\n`);
  const file = output === '-' ? usualOutput : output;
  const steps = nextStepsOf({ url: forge.url, scope: forge.scope, labels: profile.labels, tokenFile, file });
  if (output === '-') {
    voices.say(text);
    voices.note(`\n${steps}`);
    return 0;
  }
  const refused = await written(output, text);
  if (refused !== undefined) return fail(voices, refused, 1);
  voices.say(`${output} is written.\n\n${steps}`);
  return 0;
}

function fail({ note }: Voices, sentence: string, code: number): number {
  note(`forgejo-runner-controller: init: ${sentence}\n`);
  return code;
}

/** The flags with what a person answered, or what is missing. */
async function completed(flags: InitFlags, { ask }: Voices): Promise<(InitFlags & Readonly<Record<Needed, string>>) | string> {
  const { url, scope, labels, 'token-file': tokenFile } = flags;
  const answers = { url: url ?? '', scope: scope ?? '', labels: labels ?? '', 'token-file': tokenFile ?? '' };
  for (const name of needed) {
    if (answers[name] !== '' || ask === undefined) continue;
    const answer = await ask(`${questions[name]}: `);
    if (answer === undefined) break;
    answers[name] = answer.trim();
  }
  const missing = needed.filter((name) => answers[name] === '');
  if (missing.length === 0) return { ...flags, ...answers };
  const names = missing.map((name) => `--${name}`).join(', ');
  return `${names} ${missing.length === 1 ? 'is' : 'are'} missing; nothing is written`;
}

/** As the service will read it, but that token and runner need not be there yet. */
function checked(text: string): ReturnType<typeof loadConfig> {
  const file = 'the configuration';
  const host = {
    hostname: hostname(),
    read: (path: string) => Promise.resolve({ text: path === file ? text : 'token', mode: 0o600 }),
    executable: () => Promise.resolve(true),
  };
  return loadConfig({ file, env: { CREDENTIALS_DIRECTORY: '/run/credentials/forgejo-runner-controller.service' }, host });
}

/** Undefined, or why nothing was written. */
async function written(path: string, text: string): Promise<string | undefined> {
  try {
    if (path === usualOutput) await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'wx', 0o640);
    try {
      await file.writeFile(text);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST') return `${path} is there already and stays as it is; remove it, or name another with --output (- prints it)`;
    return `${path} cannot be written (${code}); make its folder, or name another with --output (- prints it)`;
  }
}

/** Asks on a terminal; undefined where none is. */
export function askerOn(input: NodeJS.ReadStream, output: NodeJS.WriteStream): Voices['ask'] {
  if (!input.isTTY || !output.isTTY) return undefined;
  return async (question) => {
    const terminal = createInterface({ input, output });
    const gone = new Promise<undefined>((resolve) => terminal.once('close', () => resolve(undefined)));
    try {
      return await Promise.race([terminal.question(question), gone]);
    } finally {
      terminal.close();
    }
  };
}
