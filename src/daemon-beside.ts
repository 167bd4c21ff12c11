// Promises what the emergency stop does while the service runs: by that service's own orders, for whatever was ended beside it would be started
// anew. It tells what is there, or has all of it ended and waits until the service has ended with it.

import { readFile } from 'node:fs/promises';
import { request, type IncomingMessage, type RequestOptions } from 'node:http';
import { timeoutOf, type Clock } from './clock.ts';
import type { Config } from './config/config.ts';
import { statusSchema } from './http/wire.ts';
import { runnersSchema, sweepSchema } from './http/wire-v1.ts';

type Runner = { readonly id: string; readonly job_id: number; readonly job_name: string; readonly forge: string };

/** The service of this configuration that runs and takes orders from here. */
export type Service = {
  readonly where: string;
  /** One line for each thing of this controller, and a count. */
  tell(say: (line: string) => void): Promise<void>;
  /** Starts nothing more, ends every runner, and waits for the end of the service. False: not in time, or interrupted; what stayed is said. */
  end(options: EndOptions): Promise<boolean>;
};

export type EndOptions = {
  readonly say: (line: string) => void;
  readonly clock: Pick<Clock, 'now' | 'sleep'>;
  readonly patienceMs: number;
  readonly ending: AbortSignal;
};

const answerMs = 10_000;
const lookMs = 500;

type Answer = { readonly status: number; readonly json: unknown };
type Ask = (method: 'GET' | 'POST', path: string) => Promise<Answer | undefined>;

/** Undefined: nobody answers, it is another controller's, or it refuses. Nothing is changed. */
export async function serviceOf({ http, controllerId }: Pick<Config, 'http' | 'controllerId'>): Promise<Service | undefined> {
  const ask = askerOf(http);
  const status = statusSchema.safeParse((await ask('GET', '/status'))?.json);
  if (!status.success || status.data.controller_id !== controllerId) return undefined;
  // Whoever may be told this way may also order it.
  const swept = await sweptOf(ask);
  if (swept === undefined) return undefined;
  const where = http.socket ?? `${http.host}:${http.port}`;
  return { where, tell: (say) => tell(ask, say), end: (options) => end(ask, options) };
}

async function tell(ask: Ask, say: (line: string) => void): Promise<void> {
  const runners = (await runnersOf(ask)) ?? [];
  const swept = await sweptOf(ask);
  for (const line of swept?.unknown ?? ['the service did not answer']) say(`not known: ${line}`);
  for (const runner of runners) say(lineOf(runner));
  for (const { id, why } of swept?.sweep ?? []) say(`${id}: ${why}`);
  for (const { kind, name } of swept?.leftovers ?? []) say(`${kind} ${name}, which belongs to nothing`);
  const count = (kind: string): number => (swept?.sweep ?? []).filter((action) => action.kind === kind).length;
  const [machines, registrations] = [count('sweep-machine'), count('sweep-registration')];
  const there = [
    counted(runners.length, 'runner'),
    `${counted(machines, 'machine')} and ${counted(registrations, 'registration')} without a record`,
  ];
  say(`${there.join(', ')} would be ended, and the service with them. Nothing was changed; say it again with --yes to do it.`);
}

async function end(ask: Ask, { say, clock, patienceMs, ending }: EndOptions): Promise<boolean> {
  const until = clock.now() + patienceMs;
  const asked = new Set<string>();
  let left: readonly Runner[] = [];
  while (!ending.aborted && clock.now() < until) {
    // Said each time: a service that was started again meanwhile knows nothing of it.
    const drained = await ask('POST', '/api/v1/drain');
    if (drained === undefined) return true;
    left = (await runnersOf(ask)) ?? left;
    for (const runner of left) {
      if (asked.has(runner.id)) continue;
      say(lineOf(runner));
      await ask('POST', `/api/v1/runners/${runner.id}/stop`);
      asked.add(runner.id);
    }
    await clock.sleep(lookMs, ending);
  }
  for (const runner of left) say(`left: ${lineOf(runner)}`);
  say('The service drains on; `runner-status resume` takes that back, runner-status tells what holds it up.');
  return false;
}

async function runnersOf(ask: Ask): Promise<readonly Runner[] | undefined> {
  return runnersSchema.safeParse((await ask('GET', '/api/v1/runners'))?.json).data?.runners;
}

async function sweptOf(ask: Ask) {
  const answer = await ask('POST', '/api/v1/sweep?dry_run=true');
  return answer?.status === 200 ? sweepSchema.safeParse(answer.json).data : undefined;
}

function lineOf({ id, job_id: job, job_name: name, forge }: Runner): string {
  return `runner ${id}: job ${job} (${JSON.stringify(name)}) of forge ${forge}, with its machine, registration and record`;
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** Over its socket where there is one, else where it listens; undefined: no whole answer. */
function askerOf({ socket, host, port, basePath, tokenFile }: Config['http']): Ask {
  const target: RequestOptions = socket === undefined ? { host, port } : { socketPath: socket };
  return async (method, path) => {
    const late = timeoutOf(answerMs);
    try {
      const token = socket === undefined && tokenFile !== undefined ? (await readFile(tokenFile, 'utf8')).trim() : undefined;
      const headers = {
        ...(method === 'POST' ? { 'content-length': '0' } : {}),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      };
      const reply = await new Promise<IncomingMessage>((resolve, reject) => {
        request({ ...target, method, path: basePath + path, headers, signal: late.signal, agent: false }, resolve)
          .on('error', reject)
          .end();
      });
      let text = '';
      for await (const part of reply.setEncoding('utf8')) text += String(part);
      const json: unknown = JSON.parse(text);
      return { status: reply.statusCode ?? 0, json };
    } catch (error) {
      // Gone, not to be reached, or somebody else: whoever asks takes all of it for no answer.
      if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return undefined;
      throw error;
    } finally {
      late.cancel();
    }
  };
}
