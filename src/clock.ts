// Promises the only access to time: now() and an abortable sleep(). Everything else takes time as an argument, so tests own the clock.

import { setTimeout as delay } from 'node:timers/promises';

export type Clock = {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`, or at once (without an error) when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

export const systemClock: Clock = {
  now: () => Date.now(),
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  },
};

/** A signal that aborts after `ms`; `cancel` when what it bounds has ended, so that no timer is left behind. */
export function deadlineOf(clock: Clock, ms: number): { readonly signal: AbortSignal; readonly cancel: () => void } {
  const late = new AbortController();
  const cancelled = new AbortController();
  const expire = async (): Promise<void> => {
    await clock.sleep(ms, cancelled.signal);
    if (!cancelled.signal.aborted) late.abort();
  };
  void expire();
  return { signal: late.signal, cancel: () => cancelled.abort() };
}
