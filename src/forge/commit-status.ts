// Promises a status on the commit of a run, found by the numbers that a list of jobs tells: the repository's name, then the run's commit. Both
// are asked for once and kept. A run or repository that is gone has no commit any more.

import { ControllerError, isControllerError } from '../errors.ts';
import type { CommitStatus, RunRef } from './forge.ts';
import { isAbsent, valueOf, type Answer, type Ask } from './exchange.ts';
import { parseCommitOfRun, parseFullName, parseStatus } from './run-wire.ts';

type Commit = { readonly path: string; readonly sha: string; readonly page: string };

const kept = 200;

export function createCommitStatuses(
  ask: Ask,
): (run: RunRef, status: CommitStatus, signal: AbortSignal | undefined) => Promise<'set' | 'gone'> {
  const commits = new Map<string, Commit>();

  async function commitOf({ repositoryId, runId }: RunRef, signal: AbortSignal | undefined): Promise<Commit | undefined> {
    const key = `${repositoryId}/${runId}`;
    const known = commits.get(key);
    if (known !== undefined) return known;
    const repository = await ask({ method: 'GET', path: `/api/v1/repositories/${repositoryId}`, signal });
    if (isAbsent(repository.reply)) return undefined;
    const path = `/api/v1/repos/${checked(repository, 200, parseFullName)}`;
    const run = await ask({ method: 'GET', path: `${path}/actions/runs/${runId}`, signal });
    if (isAbsent(run.reply)) return undefined;
    const commit = { path, ...checked(run, 200, parseCommitOfRun) };
    commits.set(key, commit);
    for (const oldest of commits.keys()) if (commits.size > kept) commits.delete(oldest);
    return commit;
  }

  return async (run, { state, context, description }, signal) => {
    const commit = await commitOf(run, signal);
    if (commit === undefined) return 'gone';
    const body = JSON.stringify({ state, context, description, target_url: commit.page });
    const answer = await ask({ method: 'POST', path: `${commit.path}/statuses/${commit.sha}`, body, signal });
    if (isAbsent(answer.reply)) return 'gone';
    checked(answer, 201, parseStatus);
    return 'set';
  };
}

/** Whatever scope the entry has, this is a matter of the repository. */
function checked<T>(answer: Answer, status: 200 | 201, parse: Parameters<typeof valueOf<T>>[2]): T {
  try {
    return valueOf(answer, status, parse);
  } catch (error) {
    if (!isControllerError(error, 'FORGE_UNAUTHORIZED')) throw error;
    const { method, path } = answer.asked;
    const message =
      `Forgejo "${answer.asked.forge}" answered ${answer.reply.status} to ${method} ${path}. For a status of a commit the token needs the scope ` +
      'write:repository beside what it has, and must belong to somebody who may write to the repository.';
    throw new ControllerError('FORGE_UNAUTHORIZED', message, { cause: error, details: { ...error.details, scope: 'write:repository' } });
  }
}
