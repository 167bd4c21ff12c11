// Promises the time line of this start: the same as before within one boot, a new one after a reboot, and records that fit it. A wall clock
// that is set, however far, ends no job and keeps none alive; it is said in the log.

import { readFile } from 'node:fs/promises';
import { createClock, type Clock, type TimeSource } from './clock.ts';
import type { Runner } from './core/model.ts';
import { anchorAfter, movedTo, timesOf } from './core/time-line.ts';
import { errnoOf, isControllerError } from './errors.ts';
import type { Log } from './log.ts';
import type { AnchorPlace, Loaded, Store } from './store/store.ts';

export type TimeLineOptions = {
  readonly source: TimeSource;
  /** Undefined where the kernel does not tell. */
  readonly bootId: string | undefined;
  readonly anchors: AnchorPlace;
  readonly store: Pick<Store, 'put'>;
  readonly loaded: Pick<Loaded, 'runners' | 'quarantined'>;
  /** Machines are there that were started on the line of before. */
  readonly machines?: boolean;
  readonly log: Log;
};

/** The clock, and the records as this time line sees them. */
export async function openTimeLine(options: TimeLineOptions): Promise<{ readonly clock: Clock; readonly runners: readonly Runner[] }> {
  const { source, bootId, anchors, store, loaded, log } = options;
  const last = await anchors.read();
  const bound = options.machines === true || loaded.runners.length + loaded.quarantined.length > 0;
  const { anchor, fresh } = anchorAfter(last, bootId, bound, { wall: source.wall(), monotonic: source.monotonic() });
  const clock = createClock(source, anchor.offsetMs, saying(log));
  const now = clock.now();
  const runners = loaded.runners.map((runner) => (fresh || Math.max(...timesOf(runner)) > now ? movedTo(runner, now) : runner));
  try {
    // The records first: as long as they are on the old line, the next start must take its own for new, too.
    for (const [index, runner] of runners.entries()) if (runner !== loaded.runners[index]) await store.put(runner);
    if (fresh) await anchors.write(anchor);
  } catch (error) {
    // A full disk must not keep the service from what needs no disk. The next start tries again.
    if (!isControllerError(error, 'STORE_FAILED')) throw error;
    log.warn('clock', { error }, 'the time line could not be stored; a restart lets the clocks of running jobs begin anew');
  }
  return { clock, runners };
}

function saying(log: Log): (aheadMs: number, beforeMs: number) => void {
  return (aheadMs, beforeMs) => {
    const facts = { wallAheadMs: Math.round(aheadMs), beforeMs: Math.round(beforeMs) };
    log.warn('clock', facts, 'the wall clock was set, or the host slept; clocks of jobs go on as before, shown times follow the wall');
  };
}

/** The kernel's name for this boot. */
export async function bootIdOf(path = '/proc/sys/kernel/random/boot_id'): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined;
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}
