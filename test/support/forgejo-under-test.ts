// Promises a Forgejo adapter that talks to a scripted server, with a token file of its own, a clock that never waits and a log that keeps
// what it is told. For tests of the adapter only.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { Job, Scope } from '../../src/core/model.ts';
import { ControllerError } from '../../src/errors.ts';
import type { Forge } from '../../src/forge/forge.ts';
import { createForgejo } from '../../src/forge/forgejo.ts';
import type { HttpLimits } from '../../src/forge/http-client.ts';
import type { Log } from '../../src/log.ts';
import { createScriptedServer, type Script, type ScriptedServer } from './scripted-server.ts';

export const repository: Scope = { kind: 'repository', owner: 'acme', name: 'demo' };
export const secretToken = 'a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0';

export type UnderTest = {
  readonly forge: Forge;
  readonly server: ScriptedServer;
  /** Pauses that were asked of the clock, in milliseconds. */
  readonly pauses: readonly number[];
  /** Every line of the log, as JSON. */
  readonly lines: readonly string[];
  readonly concealed: readonly string[];
  /** What was told to whoever counts: forge, operation, status. */
  readonly answers: readonly string[];
  readonly tokenFile: string;
};

export type UnderTestOptions = {
  readonly scope?: Scope;
  readonly subPath?: string;
  readonly limits?: Partial<HttpLimits>;
  readonly random?: () => number;
  readonly token?: string;
  readonly now?: number | (() => number);
  readonly asksOrigin?: (job: Job) => boolean;
  /** Called at each pause, before it is over. */
  readonly onPause?: () => void;
};

export async function forgejoUnderTest(script: Script, options: UnderTestOptions = {}): Promise<UnderTest> {
  const server = await createScriptedServer(script);
  const folder = await mkdtemp(join(tmpdir(), 'forgejo-adapter-'));
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, options.token ?? `${secretToken}\n`);
  const pauses: number[] = [];
  const lines: string[] = [];
  const concealed: string[] = [];
  const answers: string[] = [];
  const note: Log['info'] = (...parts) => void lines.push(JSON.stringify(parts));
  const log: Log = { debug: note, info: note, warn: note, error: note, conceal: (secret) => void concealed.push(secret) };
  const clock: Clock = {
    now: () => (typeof options.now === 'function' ? options.now() : (options.now ?? 1_800_000_000_000)),
    wallOf: (at) => at,
    sleep: async (ms) => {
      pauses.push(ms);
      options.onPause?.();
    },
  };
  const forge = createForgejo({
    name: 'home',
    url: `${server.url}${options.subPath ?? ''}`,
    instanceUrl: 'https://forge.example.org',
    scope: options.scope ?? repository,
    tokenFile,
    clock,
    log,
    random: options.random ?? (() => 0.5),
    onAnswer: (name, operation, status) => void answers.push(`${name} ${operation} ${status ?? 'none'}`),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.asksOrigin === undefined ? {} : { asksOrigin: options.asksOrigin }),
  });
  onTestFinished(async () => {
    await forge.close();
    await rm(folder, { recursive: true, force: true });
  });
  return { forge, server, pauses, lines, concealed, answers, tokenFile };
}

/** The ControllerError that a promise rejects with; anything else fails the test. */
export async function refusalFrom(promise: Promise<unknown>): Promise<ControllerError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!('error' in outcome)) throw new Error(`expected a rejection, got ${JSON.stringify(outcome.value)}`);
  if (outcome.error instanceof ControllerError) return outcome.error;
  throw new Error('expected a ControllerError', { cause: outcome.error });
}

/** Everything an error would show in a log: message, details and the whole chain of causes. */
export function wholeTextOf(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? '';
  const own = JSON.stringify(Object.fromEntries(Object.entries(error)));
  return `${error.message} ${error.stack ?? ''} ${own} ${error.cause === undefined ? '' : wholeTextOf(error.cause)}`;
}

/** A row of the jobs list as Forgejo 16 writes it. */
export function jobRow(id: number, fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const handle = `00000000-0000-4000-8000-${String(id).padStart(12, '0')}`;
  const state = { task_id: 0, status: 'waiting' };
  return {
    id,
    run_id: id,
    attempt: 1,
    handle,
    repo_id: 1,
    owner_id: 2,
    name: 'build',
    needs: null,
    runs_on: ['docker'],
    ...state,
    ...fields,
  };
}

export function uuidOf(id: number): string {
  return `00000000-0000-4000-9000-${String(id).padStart(12, '0')}`;
}

/** A row of the runners list. */
export function runnerRow(id: number, fields: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const mark = { name: `j${id}`, description: 'ours', ephemeral: true };
  return { id, uuid: uuidOf(id), owner_id: 0, repo_id: 1, ...mark, status: 'offline', version: '', labels: null, ...fields };
}
