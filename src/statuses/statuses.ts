// Promises that commits of jobs that wait for long say why, where that is wanted, and are told when it is over, also across a restart. Nothing
// rests on it: what goes wrong is one line of the log for each trouble, and is tried again later. Bounded in what it asks of a forge.

import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { ForgeName } from '../core/model.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { errnoOf, isControllerError } from '../errors.ts';
import type { Forge } from '../forge/forge.ts';
import type { Log } from '../log.ts';
import { duesOf, seenAfter, type Due, type Posted } from './due.ts';

export type Wish = { readonly forge: Forge; readonly afterMs: number };

export type Statuses = {
  /** Tells what is due; comes back when it is told. `forgeOf` knows also those that want nothing (any more). */
  look(snapshot: Snapshot, wishes: readonly Wish[], forgeOf: (name: ForgeName) => Forge | undefined, signal: AbortSignal): Promise<void>;
};

export type StatusesOptions = {
  /** What was told last is kept there. */
  readonly file: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
};

/** At each look and forge. */
const mostAtOnce = 5;
const restAfterFailureMs = 60_000;
const mostKept = 1_000;

export async function createStatuses({ file, clock, log }: StatusesOptions): Promise<Statuses> {
  const posted = new Map((await readPosted(file, log)).map((one) => [one.key, one]));
  const resting = new Map<ForgeName, number>();
  const said = new Map<string, string>();
  let seen: ReadonlyMap<string, number> = new Map();

  const sayOnce = (subject: string, trouble: string, facts: Readonly<Record<string, unknown>>): void => {
    if (said.get(subject) !== trouble) log.warn('commit-status', facts, trouble);
    said.set(subject, trouble);
  };

  async function tell({ posted: one, state, description }: Due, forge: Forge, signal: AbortSignal): Promise<boolean> {
    try {
      const { repositoryId, runId, context } = one;
      await forge.setCommitStatus?.({ repositoryId, runId }, { state, context, description }, signal);
      // One whose run is gone has been told, too: nobody is left to hear it.
      if (state === 'success') posted.delete(one.key);
      else posted.set(one.key, one);
      for (const oldest of posted.keys()) if (posted.size > mostKept) posted.delete(oldest);
      said.delete(forge.name);
      return true;
    } catch (error) {
      if (!isControllerError(error)) throw error;
      if (signal.aborted) return false;
      resting.set(forge.name, clock.now() + restAfterFailureMs);
      sayOnce(forge.name, `commits cannot be told why jobs wait: ${error.message}`, { forge: forge.name, code: error.code });
      return false;
    }
  }

  return {
    async look(snapshot, wishes, forgeOf, signal) {
      const now = clock.now();
      seen = seenAfter(seen, snapshot, now);
      const wished = new Map(wishes.map(({ forge, afterMs }) => [forge.name, afterMs]));
      const { due, runless } = duesOf(snapshot, { seen, posted }, wished, now);
      for (const forge of runless)
        sayOnce(
          `runless ${forge}`,
          'this forge does not say to which run a waiting job belongs (Forgejo 16 is the first that does), so nobody knows its commit: no status is set',
          { forge },
        );
      for (const name of new Set(due.map(({ posted: one }) => one.forge))) {
        const forge = forgeOf(name);
        if (forge === undefined || (resting.get(name) ?? 0) > now) continue;
        const ofForge = due.filter(({ posted: one }) => one.forge === name).slice(0, mostAtOnce);
        for (const one of ofForge) if (!(await tell(one, forge, signal))) break;
      }
      if (due.length > 0) await writePosted([...posted.values()]).catch((error: unknown) => notWritten(error));
    },
  };

  async function writePosted(all: readonly Posted[]): Promise<void> {
    await writeFile(`${file}.new`, JSON.stringify({ version: 1, posted: all }), { mode: 0o600 });
    await rename(`${file}.new`, file);
    said.delete('file');
  }

  function notWritten(error: unknown): void {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    sayOnce('file', `what commits were told cannot be kept (${errno}): after a restart some may say for ever that a job waits`, { file });
  }
}

/** What cannot be read is told, and then nothing: a status that stays wrong is the worst that comes of it. */
async function readPosted(file: string, log: Log): Promise<readonly Posted[]> {
  try {
    const found: unknown = JSON.parse(await readFile(file, 'utf8'));
    const rows: unknown = typeof found === 'object' && found !== null ? Reflect.get(found, 'posted') : undefined;
    if (Array.isArray(rows) && rows.every(isPosted)) return rows;
    notRead(file, log, 'it holds something else');
    return Array.isArray(rows) ? rows.filter(isPosted) : [];
  } catch (error) {
    const errno = errnoOf(error);
    if (error instanceof SyntaxError) notRead(file, log, 'it is no JSON');
    else if (errno === undefined) throw error;
    else if (errno !== 'ENOENT') notRead(file, log, errno);
    return [];
  }
}

function notRead(file: string, log: Log, why: string): void {
  log.warn('commit-status', { file }, `what commits were told before cannot be read (${why}): some may say for ever that a job waits`);
}

function isPosted(value: unknown): value is Posted {
  if (typeof value !== 'object' || value === null) return false;
  const is = (name: string, type: 'string' | 'number'): boolean => typeof Reflect.get(value, name) === type;
  const strings = ['key', 'forge', 'context', 'reason'].every((name) => is(name, 'string'));
  return strings && ['repositoryId', 'runId', 'since'].every((name) => is(name, 'number'));
}
