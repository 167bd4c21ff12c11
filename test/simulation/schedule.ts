// Promises virtual time and one stream of chance: everything that happens is an event in a queue, so a seed gives the same run every time.

import { createClock, type Clock } from '../../src/clock.ts';

export type Chance = {
  /** 0 <= x < 1 */
  next(): number;
  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number;
  /** True with this probability. */
  hit(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
};

/** mulberry32: small, quick and good enough to walk through worlds. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    between,
    hit: (probability) => next() < probability,
    pick(items) {
      const item = items[between(0, items.length - 1)];
      if (item === undefined) throw new Error('nothing to pick from');
      return item;
    },
  };
}

export type Schedule = {
  readonly now: () => number;
  /** Something happens in `ms`. */
  after(ms: number, happen: () => void): Happening;
  /** A clock whose sleepers are forgotten when `alive` turns false, as a killed process forgets them. */
  clockFor(alive: () => boolean): Clock;
  /** Sets the wall clock this far ahead of where it was; the time line of the controllers goes on. */
  setWall(ms: number): void;
  /** Lets events happen, in order, until `done` or until the time is over; true when done. */
  run(untilMs: number, done: () => boolean): Promise<boolean>;
};

/** One event; `cancelled`: it will not happen. */
export type Happening = { readonly at: number; readonly order: number; readonly happen: () => void; cancelled: boolean };

export function createSchedule(): Schedule {
  const heap: Happening[] = [];
  let now = 1_000_000_000;
  let order = 0;
  let wallAheadMs = 0;

  const before = (a: Happening, b: Happening): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

  function push(item: Happening): void {
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !before(item, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = item;
  }

  function pop(): Happening | undefined {
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, left)) child += 1;
      const least = heap[child];
      if (least === undefined || !before(least, last)) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = last;
    return top;
  }

  function after(ms: number, happen: () => void): Happening {
    const happening = { at: now + Math.max(0, ms), order: order++, happen, cancelled: false };
    push(happening);
    return happening;
  }

  return {
    now: () => now,
    after,
    setWall: (ms) => void (wallAheadMs += ms),
    clockFor: (alive) =>
      createClock(
        {
          wall: () => now + wallAheadMs,
          monotonic: () => now,
          sleep: (ms, signal) =>
            new Promise((resolve) => {
              if (signal?.aborted === true) return resolve();
              const sleeper = after(ms, () => {
                if (!alive()) return;
                signal?.removeEventListener('abort', interrupt);
                resolve();
              });
              function interrupt(): void {
                sleeper.cancelled = true;
                resolve();
              }
              signal?.addEventListener('abort', interrupt, { once: true });
            }),
        },
        0,
      ),
    async run(untilMs, done) {
      while (!done()) {
        const next = pop();
        if (next === undefined) return done();
        if (next.at > untilMs) {
          push(next);
          now = untilMs;
          return done();
        }
        if (next.cancelled) continue;
        now = next.at;
        next.happen();
        // All that follows from it without waiting for the world happens now: a tick's turn comes when no microtask is left.
        await new Promise((resolve) => process.nextTick(resolve));
      }
      return true;
    },
  };
}
