// A record that lies aside: what becomes of its machine meanwhile, and what when it comes back to a world that has gone on.

import { describe, expect, test } from 'vitest';
import type { Runner } from '../../src/core/model.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

function only<T>(all: Iterable<T>): T {
  const [one, ...others] = all;
  if (one === undefined || others.length > 0) throw new Error(`wanted one, there are ${others.length + (one === undefined ? 0 : 1)}`);
  return one;
}
const counts = (rig: Rig) => [rig.driver.machines.size, rig.forge.rows.length, rig.store.records.size];

/** A job at work whose record the next start cannot read. */
async function putAside(rig: Rig): Promise<Runner> {
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.pick(only(rig.forge.rows).uuid, job.handle);
  await rig.step();
  const runner = only(rig.store.records.values());
  rig.store.records.clear();
  rig.restart();
  return runner;
}
function comesBack(rig: Rig, runner: Runner): void {
  rig.store.records.set(runner.id, runner);
  rig.restart();
}
async function steps(rig: Rig, count: number): Promise<void> {
  for (let n = 0; n < count; n += 1) await rig.step();
}

describe('while a record lies aside', () => {
  test('I9 its machine works on for as long as its runner reports, and no maintenance takes it', async () => {
    const rig = createRig();
    await putAside(rig);
    for (let n = 0; n < 5; n += 1) {
      rig.reconciler.maintain();
      await rig.step(600_000);
    }
    expect(counts(rig)).toEqual([1, 1, 0]);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'stop' || verb === 'remove')).toEqual([]);
  });
  test('I4 its machine counts against the capacity and holds its slot', async () => {
    const rig = createRig({ maxConcurrent: 2, slots: 2 });
    const { slot } = await putAside(rig);
    rig.forge.queue(2);
    rig.forge.queue(3);
    await steps(rig, 3);
    const fresh = only(rig.store.records.values());
    expect([fresh.slot === slot, rig.driver.machines.size]).toEqual([false, 2]);
    expect(rig.reconciler.snapshot().denials).toMatchObject([{ reason: 'capacity' }]);
  });
  test('I8 the end of its job, or of its machine by RuntimeMaxSec, leaves nothing', async () => {
    for (const result of ['success', 'timeout']) {
      const rig = createRig();
      const { id, job } = await putAside(rig);
      await steps(rig, 2);
      rig.forge.end(job.handle);
      rig.driver.end(id, { result, code: 'exited', status: '0' });
      await steps(rig, 2);
      expect(counts(rig)).toEqual([0, 0, 0]);
    }
  });
  test('one whose machine still waits for its job is swept, and the job starts anew', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    await rig.step();
    rig.store.records.clear();
    rig.restart();
    await steps(rig, 9);
    expect(counts(rig)).toEqual([1, 1, 1]);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'start')).toHaveLength(2);
  });
});

describe('a record that comes back', () => {
  test('I9 takes its machine on again if that still works, with its clocks as they were', async () => {
    const rig = createRig();
    const runner = await putAside(rig);
    await steps(rig, 3);
    comesBack(rig, runner);
    await steps(rig, 3);
    expect(counts(rig)).toEqual([1, 1, 1]);
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ id: runner.id, phase: 'busy' }]);
    await rig.step(7_200_000);
    await steps(rig, 2);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'job-timeout' }]);
  });
  test('I8 to a machine that was swept and a job that is over is ended, and hurts nobody', async () => {
    const rig = createRig();
    const runner = await putAside(rig);
    rig.forge.end(runner.job.handle);
    rig.driver.end(runner.id);
    await steps(rig, 3);
    const other = rig.forge.queue(2);
    await steps(rig, 1);
    rig.forge.pick(only(rig.forge.rows).uuid, other.handle);
    comesBack(rig, runner);
    await steps(rig, 4);
    expect(only(rig.store.records.values()).job.id).toBe(2);
    expect(counts(rig)).toEqual([1, 1, 1]);
    expect(rig.forge.reports.size).toBe(0);
  });
  test('I8 without a machine, to a job that has gone, is ended', async () => {
    const rig = createRig();
    rig.driver.fail('start');
    const job = rig.forge.queue(1);
    await rig.step();
    const runner = only(rig.store.records.values());
    rig.store.records.clear();
    rig.forge.end(job.handle);
    rig.restart();
    rig.driver.heal('start');
    await steps(rig, 3);
    comesBack(rig, runner);
    await steps(rig, 9);
    expect(counts(rig)).toEqual([0, 0, 0]);
  });
  test('I8 to a host that was started anew is ended as lost, and its job is reported if nobody did', async () => {
    const rig = createRig();
    const runner = await putAside(rig);
    await rig.driver.remove(runner.machine);
    comesBack(rig, runner);
    await steps(rig, 3);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'machine-lost' }]);
    expect([rig.driver.machines.size, rig.forge.rows.length, rig.forge.reports.size]).toEqual([0, 0, 1]);
  });
});
