// Promises a clock that tests own: time moves only when told to, sleepers wake in order, and the wall clock can be set, as a host's can.

import { createClock, type Clock, type TimeSource } from '../../src/clock.ts';

export type TestClock = Clock & {
  /** Moves time on and wakes whoever's time has come. */
  readonly advance: (ms: number) => void;
  /** Sets the wall clock ahead, or back. */
  readonly setWall: (byMs: number) => void;
  /** What a clock of one's own is made of. */
  readonly source: TimeSource;
  /** How many sleep. */
  sleepers(): number;
};

export function createTestClock(start = 1_000_000): TestClock {
  let time = start;
  let aheadMs = 0;
  let sleeping: { readonly at: number; readonly wake: () => void }[] = [];
  const source: TimeSource = {
    monotonic: () => time,
    wall: () => time + aheadMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const sleeper = { at: time + ms, wake: resolve };
        sleeping.push(sleeper);
        signal?.addEventListener('abort', () => {
          sleeping = sleeping.filter((each) => each !== sleeper);
          resolve();
        });
      }),
  };
  return {
    ...createClock(source, 0),
    source,
    setWall: (byMs) => void (aheadMs += byMs),
    advance(ms) {
      time += ms;
      const due = sleeping.filter((each) => each.at <= time).toSorted((a, b) => a.at - b.at);
      sleeping = sleeping.filter((each) => each.at > time);
      for (const { wake } of due) wake();
    },
    sleepers: () => sleeping.length,
  };
}
