// Promises a clock that tests own: time moves only when told to, and sleepers wake in order.

import type { Clock } from '../../src/clock.ts';

export type TestClock = Clock & {
  /** Moves time on and wakes whoever's time has come. */
  advance(ms: number): void;
  /** How many sleep. */
  sleepers(): number;
};

export function createTestClock(start = 1_000_000): TestClock {
  let now = start;
  let sleeping: { readonly at: number; readonly wake: () => void }[] = [];
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const sleeper = { at: now + ms, wake: resolve };
        sleeping.push(sleeper);
        signal?.addEventListener('abort', () => {
          sleeping = sleeping.filter((each) => each !== sleeper);
          resolve();
        });
      }),
    advance(ms) {
      now += ms;
      const due = sleeping.filter((each) => each.at <= now).toSorted((a, b) => a.at - b.at);
      sleeping = sleeping.filter((each) => each.at > now);
      for (const { wake } of due) wake();
    },
    sleepers: () => sleeping.length,
  };
}
