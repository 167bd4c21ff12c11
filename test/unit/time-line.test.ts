// A wall clock that is set, a restart, a reboot, a lost anchor: no job is ended by it, no deadline is put off for long, nothing is stuck.

import { describe, expect, test } from 'vitest';
import { createClock } from '../../src/clock.ts';
import type { Runner } from '../../src/core/model.ts';
import type { Anchor } from '../../src/core/time-line.ts';
import { bootIdOf, openTimeLine } from '../../src/daemon-clock.ts';
import { healthOf } from '../../src/http/health.ts';
import { statusOf } from '../../src/http/status.ts';
import type { AnchorPlace } from '../../src/store/store.ts';
import { aJob, aProfile, aRunner } from '../support/build.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { createMemoryLog, createRig, type Rig } from '../support/reconciler-rig.ts';

const hour = 3_600_000;
const year = 365 * 24 * hour;
const jumps = [hour, -hour, 10 * year, -30 * year];
const short = aProfile({ timeouts: { startMs: 20_000, pickMs: 5_000, jobMs: 60_000, stopMs: 5_000 } });
const settings = { maxConcurrent: 7, pollIntervalMs: 1_000, jobTimeoutMs: 60_000, configHash: 'x', forges: [] };

function memoryAnchors(anchor?: Anchor): AnchorPlace & { anchor: Anchor | undefined } {
  const place = {
    anchor,
    read: () => Promise.resolve(place.anchor),
    write: (next: Anchor) => Promise.resolve(void (place.anchor = next)),
  };
  return place;
}

/** A host whose rig is on its time line from the start. */
function createHost() {
  const rig = createRig({ profiles: [short] });
  const anchors = memoryAnchors({ bootId: 'first', offsetMs: 0 });
  /** A new start of the service. */
  const start = async (bootId = 'first', { source }: TestClock = rig.clock): Promise<void> => {
    const loaded = { runners: [...rig.store.records.values()], quarantined: [] };
    rig.restart(await openTimeLine({ source, bootId, anchors, store: rig.store, loaded, log: rig.log }));
  };
  return { rig, anchors, start };
}

async function busy(rig: Rig): Promise<Runner> {
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.pick(rig.forge.rows[0]?.uuid ?? '', job.handle);
  await rig.step();
  const runner = [...rig.store.records.values()][0];
  if (runner?.pickedAt === undefined) throw new Error('it was not picked');
  return runner;
}
const stops = (rig: Rig): number => rig.driver.calls.filter(({ verb }) => verb === 'stop').length;
const polls = (rig: Rig): number => rig.forge.calls.filter((call) => call.startsWith('jobs')).length;
function expectNothingLeft(rig: Rig): void {
  expect([[...rig.driver.machines.keys()], rig.forge.rows, [...rig.store.records.keys()]]).toEqual([[], [], []]);
}

describe('a wall clock that is set', () => {
  test.each(jumps)('I5 I9 by %i ms ends no running job and puts off no deadline, also across a restart', async (byMs) => {
    const { rig, start } = createHost();
    await busy(rig);
    rig.clock.setWall(byMs);
    await rig.step(20_000);
    await start();
    rig.clock.setWall(byMs);
    await rig.step(20_000);
    expect([stops(rig), rig.driver.machines.size]).toEqual([0, 1]);
    for (let n = 0; n < 22; n += 1) await rig.step();
    expect(stops(rig)).toBeGreaterThan(0);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'job-timeout' }]);
  });
  test.each(jumps)('by %i ms changes nothing in how often a forge is asked and in health, and times are shown by it', async (byMs) => {
    const { rig } = createHost();
    await rig.step();
    const before = polls(rig);
    rig.clock.setWall(byMs);
    for (let n = 0; n < 10; n += 1) await rig.step();
    expect(polls(rig) - before).toBe(10);
    const snapshot = rig.reconciler.snapshot();
    expect(healthOf(snapshot, settings, rig.clock.now())).toMatchObject({ status: 'ok', reasons: [] });
    const status = statusOf(snapshot, settings, rig.clock.now(), rig.clock.wallOf);
    expect(status.observed_at).toBe(new Date(rig.clock.now() + byMs).toISOString());
  });
  test('is said in the log of the next start, once, and the line goes to it when no record stands on the old one', async () => {
    const { rig, anchors, start } = createHost();
    await busy(rig);
    rig.clock.setWall(hour);
    await start();
    await rig.step();
    const said = rig.log.lines.filter(({ event }) => event === 'clock');
    expect(said.map(({ facts }) => facts)).toEqual([{ wallAheadMs: hour, beforeMs: 0 }]);
    expect(anchors.anchor).toEqual({ bootId: 'first', offsetMs: 0 });
    rig.store.records.clear();
    await start();
    expect(anchors.anchor).toEqual({ bootId: 'first', offsetMs: hour });
    expect(rig.log.lines.filter(({ event }) => event === 'clock')).toHaveLength(1);
  });
});

describe('a reboot', () => {
  test.each([0, ...jumps])('with the wall clock %i ms off brings running jobs to their end and leaves nothing', async (byMs) => {
    const { rig, anchors, start } = createHost();
    const { id } = await busy(rig);
    rig.driver.end(id, { result: 'lost', code: '', status: '' });
    const next = createTestClock(3_000);
    next.setWall(40 * year + byMs);
    await start('second', next);
    await rig.step();
    await rig.step();
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'machine-lost' }]);
    expectNothingLeft(rig);
    expect(anchors.anchor).toEqual({ bootId: 'second', offsetMs: 40 * year + byMs });
  });
  test.each([0, ...jumps])('with the wall clock %i ms off lets a launch go on that had no machine, and its clock runs', async (byMs) => {
    const { rig, start } = createHost();
    rig.driver.fail('start');
    rig.forge.queue(1);
    await rig.step();
    expect(rig.store.records.size).toBe(1);
    const next = createTestClock(3_000);
    next.setWall(40 * year + byMs);
    await start('second', next);
    rig.forge.calls.length = 0;
    for (let n = 0; n < 25; n += 1) {
      next.advance(1_000);
      await rig.step(0);
    }
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'start-failed' }]);
  });
});

describe('an anchor that is lost within a boot', () => {
  test.each(jumps)('I9 with the wall clock set by %i ms ends no job that works, and its clock runs anew, once', async (byMs) => {
    const { rig, anchors, start } = createHost();
    await busy(rig);
    await rig.step(20_000);
    rig.clock.setWall(40 * year + byMs);
    anchors.anchor = undefined;
    await start();
    const { clock, runners } = await openTimeLine({
      source: rig.clock.source,
      bootId: 'first',
      anchors,
      store: rig.store,
      log: rig.log,
      loaded: { runners: [...rig.store.records.values()], quarantined: [] },
    });
    expect(clock.now() - (runners[0]?.pickedAt ?? 0)).toBe(0);
    await rig.step(50_000);
    await start();
    await rig.step(1_000);
    expect(stops(rig)).toBe(0);
    await rig.step(10_000);
    expect(stops(rig)).toBe(1);
  });
});

describe('a record from the future', () => {
  test('of a hand, a backup or quarantine counts from now, and the others are left as they are', async () => {
    const clock = createTestClock(10_000);
    const put: string[] = [];
    const mine = aRunner(aJob(1), { createdAt: 4_000, assignedAt: 5_000 });
    const strange = aRunner(aJob(2), { createdAt: 40 * year, assignedAt: 40 * year + 500 });
    const opened = await openTimeLine({
      source: clock.source,
      bootId: 'first',
      anchors: memoryAnchors({ bootId: 'first', offsetMs: 0 }),
      store: { put: ({ id }) => Promise.resolve(void put.push(id)) },
      loaded: { runners: [mine, strange], quarantined: [] },
      log: createMemoryLog(),
    });
    expect(opened.runners).toEqual([mine, { ...strange, createdAt: 9_500, assignedAt: 10_000 }]);
    expect(put).toEqual([strange.id]);
  });
});

describe('a disk that takes nothing', () => {
  test('does not keep the service from starting, and the next start takes the records for old once more', async () => {
    const { rig, anchors, start } = createHost();
    await busy(rig);
    anchors.anchor = { bootId: 'zeroth', offsetMs: 5 };
    rig.store.fail(1);
    await start();
    expect(anchors.anchor.bootId).toBe('zeroth');
    expect(rig.log.lines.filter(({ event }) => event === 'clock').map(({ level }) => level)).toEqual(['warn']);
    await start();
    expect(anchors.anchor.bootId).toBe('first');
  });
});

test('the kernel tells its boot, and where it does not nothing fails', async () => {
  expect(await bootIdOf()).toMatch(/^[0-9a-f-]{36}$/);
  expect(await bootIdOf('/nonexistent')).toBeUndefined();
});

test('a suspended host: time that only the wall counted ends nothing', () => {
  const host = createTestClock();
  const clock = createClock(host.source, 0);
  const before = clock.now();
  host.setWall(8 * hour);
  expect([clock.now() - before, clock.wallOf(clock.now()) - before]).toEqual([0, 8 * hour]);
});
