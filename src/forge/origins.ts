// Promises where a waiting job comes from, for profiles that do not take all: of which repository, started by which event, and whether it runs
// the code of a fork. Asked for once per run and kept. What cannot be found out is left open, and never costs the list of jobs.

import { isControllerError } from '../errors.ts';
import type { Job } from '../core/model.ts';
import type { Origin } from '../core/origin.ts';
import { isAbsent, valueOf, type Ask, type ForgejoOptions } from './exchange.ts';
import { parseFullName, parseOriginOfRun } from './run-wire.ts';

/** More than can wait at once for such profiles, in any sane hour. */
const kept = 2_000;
/** So many runs are looked at with one list: it must not get slow by them. */
const most = 16;
/** What could not be found out is not asked again before. */
const againMs = 30_000;

/** The same jobs, with their origin where `wanted` asks for it and it is known. */
export function createOrigins(
  ask: Ask,
  { name, clock, log }: Pick<ForgejoOptions, 'name' | 'clock' | 'log'>,
): (jobs: readonly Job[], wanted: (job: Job) => boolean, signal: AbortSignal | undefined) => Promise<readonly Job[]> {
  const origins = new Map<string, Origin>();
  const names = new Map<number, string>();
  const failedAt = new Map<string, number>();
  let said = '';

  async function look(repositoryId: number, runId: number, signal: AbortSignal | undefined): Promise<Origin | undefined> {
    let repository = names.get(repositoryId);
    if (repository === undefined) {
      const answer = await ask({ method: 'GET', path: `/api/v1/repositories/${repositoryId}`, signal });
      if (isAbsent(answer.reply)) return undefined;
      repository = valueOf(answer, 200, parseFullName);
    }
    const run = await ask({ method: 'GET', path: `/api/v1/repos/${repository}/actions/runs/${runId}`, signal });
    // Renamed meanwhile: its name is asked for anew.
    if (isAbsent(run.reply)) return void names.delete(repositoryId);
    const origin = valueOf(run, 200, parseOriginOfRun);
    keep(names, repositoryId, repository);
    return { ...origin, repository };
  }

  async function find(key: string, { repositoryId, runId = 0 }: Job, signal: AbortSignal | undefined): Promise<void> {
    try {
      const origin = await look(repositoryId, runId, signal);
      if (origin === undefined) keep(failedAt, key, clock.now());
      else keep(origins, key, origin);
    } catch (error) {
      if (!isControllerError(error)) throw error;
      keep(failedAt, key, clock.now());
      // A server may answer with a redirect to the new name, for ever.
      names.delete(repositoryId);
      const { code, message } = error;
      if (said === code || signal?.aborted === true) return;
      said = code;
      const remedy =
        'the token needs read:repository and sight of the repository; until it is known, profiles that do not take all leave such jobs, and those with a cache give them none';
      log.warn('forge-error', { forge: name, code }, `where a job comes from cannot be found out: ${message} (${remedy})`);
    }
  }

  return async (jobs, wanted, signal) => {
    const waiting = jobs.filter((job) => job.state === 'waiting' && job.runId !== undefined && wanted(job));
    const open = new Map<string, Job>();
    for (const job of waiting) {
      const key = keyOf(job);
      const due = clock.now() >= (failedAt.get(key) ?? Number.NEGATIVE_INFINITY) + againMs;
      if (!origins.has(key) && due && open.size < most) open.set(key, job);
    }
    // One first: the name of a repository that all are of is then known to the others.
    const [first, ...rest] = open;
    if (first !== undefined) await find(...first, signal);
    await Promise.all(rest.map(async (each) => find(...each, signal)));
    return jobs.map((job) => {
      const origin = origins.get(keyOf(job));
      return origin === undefined || job.state !== 'waiting' ? job : { ...job, origin };
    });
  };
}

function keyOf({ repositoryId, runId }: Job): string {
  return `${repositoryId}/${runId ?? ''}`;
}

function keep<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) if (map.size > kept) map.delete(oldest);
}
