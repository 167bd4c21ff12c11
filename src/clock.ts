// Promises the only access to time, in two kinds. The time line is what is stored, compared and waited for: it runs on through every setting
// of the wall clock, stands still while the host sleeps, and no restart of the service moves it. The wall clock is for people and for
// Forgejo alone. Everything else takes time as an argument, so tests own both.

import { setTimeout as delay } from 'node:timers/promises';

export type Clock = {
  /** Milliseconds on the time line: about those of the epoch, but only differences are sure. For records and every deadline. */
  now(): number;
  /** Epoch milliseconds that the wall clock showed at that moment of the time line, to the second. For displays, reports, HTTP dates. */
  readonly wallOf: (at: number) => number;
  /** Resolves after `ms` of the time line, or at once (without an error) when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** What the kernel tells: epoch milliseconds, which may jump, and CLOCK_MONOTONIC, which all processes of a boot share and suspend stops. */
export type TimeSource = { readonly wall: () => number; readonly monotonic: () => number; readonly sleep: Clock['sleep'] };

export const hostTime: TimeSource = {
  wall: () => Date.now(),
  monotonic: () => Number(process.hrtime.bigint() / 1_000_000n),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  },
};

/** A wall clock that strays this far from where it was has been set, or the host has slept. */
const strayMs = 1_000;
/** Two readings this far apart (the process was paused between them) say nothing of each other. */
const pausedMs = 50;
/** How many settings of the wall clock are remembered for displays. */
const settingsKept = 100;

/** The clock whose time line is `offsetMs` ahead of the monotonic clock. `onSet` hears how far the wall is ahead of it now, and was before. */
export function createClock(source: TimeSource, offsetMs: number, onSet?: (aheadMs: number, beforeMs: number) => void): Clock {
  const lineAt = (monotonic: number): number => Math.round(monotonic + offsetMs);
  let aheadMs = source.wall() - lineAt(source.monotonic());
  const settings = [{ from: Number.NEGATIVE_INFINITY, aheadMs }];
  if (Math.abs(aheadMs) > strayMs) onSet?.(aheadMs, 0);

  return {
    now() {
      const now = lineAt(source.monotonic());
      const seenMs = source.wall() - now;
      if (Math.abs(seenMs - aheadMs) > strayMs && lineAt(source.monotonic()) - now < pausedMs) {
        settings.push({ from: now, aheadMs: seenMs });
        if (settings.length > settingsKept) settings.shift();
        onSet?.(seenMs, aheadMs);
        aheadMs = seenMs;
      }
      return now;
    },
    wallOf: (at) => at + (settings.findLast(({ from }) => from <= at) ?? settings[0] ?? { aheadMs }).aheadMs,
    sleep: source.sleep,
  };
}

/** For one process that stores nothing: its time line is the wall's as it was at the start. */
export const systemClock: Clock = createClock(hostTime, hostTime.wall() - hostTime.monotonic());

type Deadline = { readonly signal: AbortSignal; readonly cancel: () => void };

/** A signal that aborts after `ms`; `cancel` when what it bounds has ended, so that no timer is left behind. */
export function deadlineOf(clock: Clock, ms: number): Deadline {
  const late = new AbortController();
  const cancelled = new AbortController();
  const expire = async (): Promise<void> => {
    await clock.sleep(ms, cancelled.signal);
    if (!cancelled.signal.aborted) late.abort();
  };
  void expire();
  return { signal: late.signal, cancel: () => cancelled.abort() };
}

/**
 * As deadlineOf, in the process's own time, for one exchange: aborts with `outer`, too. AbortSignal.timeout() and any() would keep a timer and
 * a signal for each exchange until the time is over; after `cancel` nothing is left of this one, neither here nor on `outer`.
 */
export function timeoutOf(ms: number, outer?: AbortSignal): Deadline {
  const late = new AbortController();
  const abort = (): void => late.abort();
  const timer = setTimeout(abort, ms);
  timer.unref();
  const cancel = (): void => {
    clearTimeout(timer);
    outer?.removeEventListener('abort', abort);
  };
  outer?.addEventListener('abort', abort, { once: true });
  if (outer?.aborted === true) abort();
  return { signal: late.signal, cancel };
}
