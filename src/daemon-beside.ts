// Promises what the emergency stop does while the service runs: by that service's own orders, for whatever was ended beside it would be started
// anew. It tells what is there, or has all of it ended and waits until the service has ended with it.

import { readFile } from 'node:fs/promises';
import type { Clock } from './clock.ts';
import type { Config } from './config/config.ts';
import { askService, isNobody, type Answered } from './daemon-ask.ts';
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
/** A list of very many runners has less. */
const mostBytes = 64 * 1024 * 1024;
const lookMs = 500;

type Ask = (method: 'GET' | 'POST', path: string) => Promise<Answered>;

/** Undefined: nobody answers in time, it is another controller's, or it refuses. Nothing is changed. */
export async function serviceOf({ http, controllerId }: Pick<Config, 'http' | 'controllerId'>): Promise<Service | undefined> {
  const ask = askerOf(http);
  const status = statusSchema.safeParse(jsonIn(await ask('GET', '/status')));
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
    if (isNobody(await ask('POST', '/api/v1/drain'))) return true;
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
  return runnersSchema.safeParse(jsonIn(await ask('GET', '/api/v1/runners'))).data?.runners;
}

async function sweptOf(ask: Ask) {
  const answer = await ask('POST', '/api/v1/sweep?dry_run=true');
  return 'status' in answer && answer.status === 200 ? sweepSchema.safeParse(jsonIn(answer)).data : undefined;
}

function lineOf({ id, job_id: job, job_name: name, forge }: Runner): string {
  const what = job === 0 ? 'dispatched, for whatever job' : `job ${job} (${JSON.stringify(name)})`;
  return `runner ${id}: ${what} of forge ${forge}, with its machine, registration and record`;
}

function counted(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function askerOf(http: Config['http']): Ask {
  return async (method, path) => {
    const headers = { ...(method === 'POST' ? { 'content-length': '0' } : {}), ...(await authorizationOf(http)) };
    return askService(http, path, { method, headers, answerMs, mostBytes });
  };
}

/** Read anew for each question, as the service does. */
async function authorizationOf({ socket, tokenFile }: Config['http']): Promise<Readonly<Record<string, string>>> {
  if (socket !== undefined || tokenFile === undefined) return {};
  try {
    return { authorization: `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}` };
  } catch (error) {
    // Whoever has no token is refused, and that is told.
    if (error instanceof Error && 'code' in error) return {};
    throw error;
  }
}

/** Undefined: none, or none that is whole: somebody else's. */
function jsonIn(answered: Answered): unknown {
  if (!('status' in answered)) return undefined;
  try {
    return JSON.parse(answered.text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
