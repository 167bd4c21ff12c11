// Promises what the reconciler remembers of actions that ended: when a failed one may be tried again, which jobs are settled, who ended
// how. All of it bounded, none of it needed to repair the world after a crash.

import type { Retry } from '../core/memory.ts';
import type { Action, Ending, Runner, RunnerId, World } from '../core/model.ts';
import { isMachineId } from '../core/naming.ts';
import type { EndedView } from '../core/snapshot.ts';
import { isControllerError, type ControllerError } from '../errors.ts';
import { keyOf } from './hands.ts';
import { createBackOffs, type BackOffs } from './back-offs.ts';

const endedKept = 1_000;
const settledKept = 10_000;
const retryFirstMs = 1_000;
const retryCapMs = 60_000;

export type History = {
  readonly backOffs: BackOffs;
  readonly retries: ReadonlyMap<string, Retry>;
  readonly settled: ReadonlyMap<string, number>;
  readonly ended: readonly EndedView[];
  /** Runners whose clean-up has begun. */
  readonly endings: ReadonlyMap<RunnerId, Ending>;
  begun(action: Action, now: number): void;
  /** Notes when a failed action may be tried again; a full host counts no attempt. */
  failed(action: Action, error: ControllerError, now: number): Retry;
  succeeded(action: Action): void;
  /** A runner is gone; `poll` is the number of its forge's last poll. */
  finalized(runner: Runner, ending: Ending, cause: string, poll: number, now: number): EndedView;
  /** Those that ended before this process began, newest first; what is known here already stands. */
  recall(earlier: readonly EndedView[]): void;
  /** Drops what can no longer matter, so that memory stays flat for ever. */
  forget(world: World, now: number): void;
};

/** `random` gives 0..1 and spreads retries. */
export function createHistory(random: () => number): History {
  const backOffs = createBackOffs();
  const retries = new Map<string, Retry>();
  const settled = new Map<string, number>();
  const ended: EndedView[] = [];
  const endings = new Map<RunnerId, Ending & { readonly at: number }>();
  return {
    endings,
    begun(action, now) {
      if (action.kind !== 'finalize') return;
      const { id, reason, exit, runner } = action;
      const at = endings.get(id)?.at ?? runner.ending?.at ?? now;
      endings.set(id, { reason, ...(exit === undefined ? {} : { exit }), at });
    },
    backOffs,
    retries,
    settled,
    ended,
    failed(action, error, now) {
      const last = retries.get(action.id);
      const before = last?.action === action.kind ? last.attempts : 0;
      const attempts = isControllerError(error, 'HOST_EXHAUSTED') ? before : before + 1;
      const asked = Number(error.details['retryAfterMs'] ?? 0);
      const backOffMs = Math.min(retryCapMs, retryFirstMs * 2 ** Math.min(Math.max(0, attempts - 1), 10));
      const retry = {
        action: action.kind,
        attempts,
        at: now + Math.max(asked, backOffMs * (0.8 + random() * 0.4)),
        error: { code: error.code, message: error.message },
      };
      retries.set(action.id, retry);
      return retry;
    },
    succeeded: (action) => void retries.delete(action.id),
    finalized(runner, ending, cause, poll, now) {
      const cleaningAt = endings.get(runner.id)?.at ?? now;
      endings.delete(runner.id);
      settled.set(keyOf(runner), poll);
      for (const key of settled.keys()) if (settled.size > settledKept) settled.delete(key);
      backOffs.after(keyOf(runner), runner, ending.reason, now);
      const view = { ...endedViewOf(runner, ending, cause, now), cleaningAt };
      ended.unshift(view);
      ended.length = Math.min(ended.length, endedKept);
      return view;
    },
    recall(earlier) {
      const known = new Set(ended.map(nameOf));
      ended.push(...earlier.filter((view) => !known.has(nameOf(view))).slice(0, endedKept - ended.length));
    },
    forget(world, now) {
      backOffs.forget(world, now);
      const machines = world.machines.state === 'known' ? world.machines.value : [];
      const alive = new Set([...world.runners.map(({ id }) => id), ...machines.map(({ id }) => id), ...world.inFlight]);
      for (const [id, retry] of retries) {
        if (retry.at + (isMachineId(id) ? 0 : retryCapMs) <= now && !alive.has(id)) retries.delete(id);
      }
    },
  };
}

/** An id is that of one attempt at a job, which may have had several machines one after the other. */
function nameOf({ id, createdAt }: EndedView): string {
  return `${id} ${createdAt}`;
}

function endedViewOf(runner: Runner, { reason, exit }: Ending, cause: string, endedAt: number): EndedView {
  const { id, name, repositoryId, attempt, handle } = runner.job;
  const { assignedAt, pickedAt } = runner;
  return {
    id: runner.id,
    forge: runner.forge,
    job: { id, name, repositoryId, attempt, handle },
    profile: runner.profile,
    createdAt: runner.createdAt,
    endedAt,
    reason,
    cause,
    ...(assignedAt === undefined ? {} : { assignedAt }),
    ...(pickedAt === undefined ? {} : { pickedAt }),
    ...(exit === undefined ? {} : { exit }),
  };
}
