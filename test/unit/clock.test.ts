// The two kinds of time: the line that every deadline is on, and the wall clock that people read.

import { getEventListeners } from 'node:events';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createClock, hostTime, timeoutOf } from '../../src/clock.ts';
import { anchorAfter, movedTo, timesOf, type Anchor } from '../../src/core/time-line.ts';
import { aJob, aRunner } from '../support/build.ts';
import { createTestClock } from '../support/clock.ts';

const hour = 3_600_000;
const year = 365 * 24 * hour;
const full = aRunner(aJob(1), {
  createdAt: 100,
  assignedAt: 200,
  pickedAt: 300,
  missedAt: 250,
  stop: { reason: 'operator', at: 350 },
  ending: { reason: 'operator', at: 400 },
});

describe('the time line', () => {
  test.each([hour, -hour, 10 * year, -30 * year])('runs on when the wall clock is set by %i ms', (byMs) => {
    const clock = createTestClock();
    const before = clock.now();
    clock.setWall(byMs);
    expect(clock.now()).toBe(before);
    clock.advance(7);
    expect(clock.now()).toBe(before + 7);
  });
  test('of this host counts as sleeping does, beside the wall clock', async () => {
    const clock = createClock(hostTime, 5_000);
    const before = clock.now();
    await clock.sleep(20);
    expect(clock.now() - before).toBeGreaterThanOrEqual(19);
    expect(Math.abs(clock.wallOf(clock.now()) - Date.now())).toBeLessThan(1_500);
  });
});

describe('the wall clock', () => {
  test('is shown for each moment as it was then', () => {
    const clock = createTestClock(1_000_000);
    clock.setWall(hour);
    expect(clock.wallOf(clock.now())).toBe(1_000_000 + hour);
    clock.advance(500);
    const early = clock.now();
    clock.advance(500);
    clock.setWall(-2 * hour);
    clock.now();
    expect([clock.wallOf(early), clock.wallOf(clock.now())]).toEqual([1_000_500 + hour, 1_001_000 - hour]);
  });
  test('that is set is told once, with how far it is ahead now and was before; its small corrections are not', () => {
    const { source, advance, setWall } = createTestClock();
    const told: unknown[] = [];
    setWall(hour);
    const clock = createClock(source, 0, (aheadMs, beforeMs) => told.push([aheadMs, beforeMs]));
    clock.now();
    setWall(-hour);
    clock.now();
    advance(1_000);
    clock.now();
    setWall(900);
    clock.now();
    expect(told).toEqual([
      [hour, 0],
      [0, hour],
    ]);
  });
  test('is not taken for set when the process was paused between its two readings', () => {
    const { source, advance } = createTestClock();
    const told: unknown[] = [];
    let pausing = false;
    const wall = (): number => {
      if (pausing) advance(20_000);
      return source.wall();
    };
    const clock = createClock({ ...source, wall }, 0, () => told.push('set'));
    pausing = true;
    clock.now();
    pausing = false;
    clock.now();
    expect(told).toEqual([]);
  });
});

describe('the time of one exchange', () => {
  const outer = new AbortController();
  afterEach(() => void vi.useRealTimers());
  const left = (): unknown => ({ timers: vi.getTimerCount(), listeners: getEventListeners(outer.signal, 'abort').length });

  test('ends it when it is over', () => {
    vi.useFakeTimers();
    const { signal, cancel } = timeoutOf(30, outer.signal);
    vi.advanceTimersByTime(29);
    expect(signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(signal.aborted).toBe(true);
    cancel();
    expect(left()).toEqual({ timers: 0, listeners: 0 });
  });
  test('leaves neither a timer nor a listener behind when the exchange ended before', () => {
    vi.useFakeTimers();
    const { signal, cancel } = timeoutOf(30, outer.signal);
    expect(left()).toEqual({ timers: 1, listeners: 1 });
    cancel();
    expect(left()).toEqual({ timers: 0, listeners: 0 });
    expect(signal.aborted).toBe(false);
  });
  test('ends it with whatever it is a part of, also when that had ended before', () => {
    const { signal, cancel } = timeoutOf(30, outer.signal);
    outer.abort();
    expect([signal.aborted, timeoutOf(30, outer.signal).signal.aborted]).toEqual([true, true]);
    cancel();
  });
});

describe('the anchor', () => {
  const last: Anchor = { bootId: 'a', offsetMs: 1_000_000 };
  test.each<[string, Anchor | undefined, string | undefined, boolean, number, boolean]>([
    ['stays while its boot lasts and records stand on it, however the wall was set', last, 'a', true, 1_000_000 + hour, false],
    ['stays when the wall agrees with it anyway', last, 'a', false, 1_000_900, false],
    ['goes to the wall when nothing stands on it', last, 'a', false, 1_000_000 + hour, true],
    ['is made anew after a reboot', last, 'b', true, 1_000_000, true],
    ['is made anew where there is none', undefined, 'a', true, 1_000_000, true],
    ['is made anew where the kernel names no boot', { ...last, bootId: '' }, undefined, true, 1_000_000, true],
    ['is made anew when what it says cannot be', { ...last, offsetMs: 1e300 }, 'a', true, 1_000_000, true],
  ])('%s', (_, before, bootId, bound, aheadMs, fresh) => {
    const found = anchorAfter(before, bootId, bound, { monotonic: 50, wall: 50 + aheadMs });
    expect(found).toEqual({ fresh, anchor: fresh ? { bootId: bootId ?? '', offsetMs: aheadMs } : before });
  });
});

describe('a record of another time line', () => {
  test.each([0, 400, 5_000_000])('has its newest fact at now = %i, and all others as far from it as before', (now) => {
    const moved = movedTo(full, now);
    expect(timesOf(moved)).toEqual(timesOf(full).map((time) => time - 400 + now));
    expect(JSON.stringify(moved, timeless)).toBe(JSON.stringify(full, timeless));
  });
  test('keeps what it does not have absent', () => {
    expect(movedTo(aRunner(aJob(1)), 9)).toEqual(aRunner(aJob(1), { createdAt: 9 }));
  });
});
const timeless = (name: string, value: unknown): unknown => (/(?:^a|A)t$/.test(name) ? 0 : value);
