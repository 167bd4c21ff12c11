// What the loop remembers between ticks, and for how long: rests, settled jobs, failed tries, and what a slow forge said a while ago. Each
// test was written because a small wrong change of the code went unnoticed without it.

import { describe, expect, test } from 'vitest';
import type { Action } from '../../src/core/model.ts';
import { ControllerError } from '../../src/errors.ts';
import { createBackOffs } from '../../src/reconciler/back-offs.ts';
import { createHistory } from '../../src/reconciler/history.ts';
import { aJob, aMachine, aRunner, aWorld, listed, unknown } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const one = aRunner(aJob(1));
const elsewhere = aRunner(aJob(2, { repositoryId: 2 }));
const error = new ControllerError('FORGE_UNREACHABLE', 'no answer');

/** From now on the forge takes a second to list its jobs. */
function slowDown(rig: Rig): void {
  const quick = { ...rig.forge };
  Object.assign(rig.forge, {
    jobs: () => {
      rig.clock.advance(1_000);
      return quick.jobs();
    },
  });
}

describe('a rest', () => {
  test('ends early for the jobs of the repository whose job has ended, and for no others', () => {
    const backOffs = createBackOffs();
    backOffs.after('first', one, 'unpicked', 0);
    backOffs.after('second', elsewhere, 'unpicked', 0);
    backOffs.after('third', { ...aRunner(aJob(3)), pickedAt: 1 }, 'finished', 10_000);
    expect(backOffs.all().get('first')?.until).toBe(10_000);
    expect(backOffs.all().get('second')?.until).toBe(30_000);
  });
  test('that ended early is longer the next time all the same', () => {
    const backOffs = createBackOffs();
    backOffs.after('first', one, 'unpicked', 0);
    backOffs.after('third', { ...aRunner(aJob(3)), pickedAt: 1 }, 'finished', 10_000);
    backOffs.after('first', { ...one, createdAt: 11_000, assignedAt: 12_000 }, 'unpicked', 20_000);
    expect(backOffs.all().get('first')).toMatchObject({ until: 80_000, count: 2 });
  });
  test('is none after a try during which a job of the repository ended: it may have come too late for that machine', () => {
    const backOffs = createBackOffs();
    const tried = { createdAt: 1_000, assignedAt: 2_000 };
    backOffs.after('third', { ...aRunner(aJob(3)), pickedAt: 1 }, 'finished', 4_000);
    backOffs.forget(aWorld({ runners: [{ ...one, ...tried }] }), 4_500);
    backOffs.after('first', { ...one, ...tried }, 'unpicked', 5_000);
    backOffs.after('second', { ...elsewhere, ...tried }, 'unpicked', 5_000);
    backOffs.after('fourth', { ...aRunner(aJob(4)), ...tried }, 'start-failed', 5_000);
    expect(['first', 'second', 'fourth'].map((key) => backOffs.all().get(key)?.until)).toEqual([5_000, 35_000, 15_000]);
    backOffs.forget(aWorld(), 5_000);
    backOffs.after('fifth', { ...aRunner(aJob(5)), ...tried }, 'unpicked', 5_000);
    expect(backOffs.all().get('fifth')?.until).toBe(35_000);
  });
  test('is not for a job that was picked, nor for one that its forge has ended', () => {
    const backOffs = createBackOffs();
    backOffs.after('first', { ...one, pickedAt: 1 }, 'machine-failed', 0);
    backOffs.after('second', one, 'job-gone', 0);
    backOffs.after('third', one, 'cancelled', 0);
    expect(backOffs.all().size).toBe(0);
  });
  test('is remembered while a machine waits for the job, and forgotten when a good list shows neither', () => {
    const backOffs = createBackOffs();
    backOffs.after('handle-1', one, 'unpicked', 0);
    const gone = { jobs: new Map([['main', listed([], 5, 60_000)]]) };
    backOffs.forget(aWorld({ ...gone, runners: [one] }), 60_000);
    expect(backOffs.all().size).toBe(1);
    backOffs.forget(aWorld({ jobs: new Map([['main', unknown]]) }), 60_000);
    expect(backOffs.all().size).toBe(1);
    backOffs.forget(aWorld(gone), 60_000);
    expect(backOffs.all().size).toBe(0);
  });
  test('is forgotten when its forge left the configuration', () => {
    const backOffs = createBackOffs();
    backOffs.after('handle-1', one, 'unpicked', 0);
    backOffs.forget(aWorld({ jobs: new Map([['other', unknown]]) }), 1);
    expect(backOffs.all().size).toBe(0);
  });
  test('of a job that was cancelled is gone from the snapshot with the next good list', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    for (let second = 0; second < 40; second += 1) await rig.step();
    expect(rig.reconciler.snapshot().backOffs).toHaveLength(1);
    rig.forge.end('handle-1');
    await rig.step();
    await rig.step();
    expect(rig.reconciler.snapshot().backOffs).toEqual([]);
  });
});

describe('a settled job', () => {
  test('is not started again from the list of a slow forge, which shows it waiting long after its end', async () => {
    const rig = createRig();
    slowDown(rig);
    rig.forge.queue(1);
    await rig.step();
    rig.forge.end('handle-1');
    for (const id of rig.driver.machines.keys()) rig.driver.end(id);
    for (let second = 0; second < 12; second += 1) await rig.step();
    expect(rig.driver.calls.filter(({ verb }) => verb === 'start')).toHaveLength(1);
  });
  test('is remembered among ten thousand others and no longer', () => {
    const history = createHistory(() => 0.5);
    for (let id = 1; id <= 10_005; id += 1) history.finalized(aRunner(aJob(id)), { reason: 'cancelled' }, 'was cancelled', 1, id);
    expect(history.settled.size).toBe(10_000);
    expect(history.settled.has('handle-10005')).toBe(true);
    expect(history.settled.has('handle-5')).toBe(false);
  });
});

describe('failed tries', () => {
  const launch: Action = { kind: 'launch', id: one.id, runner: one };
  const finalize: Action = { kind: 'finalize', id: one.id, runner: one, reason: 'start-failed' };

  test('count for the step that failed, not for the one after it', () => {
    const history = createHistory(() => 0.5);
    history.failed(launch, error, 0);
    expect(history.failed(launch, error, 1_000)).toMatchObject({ attempts: 2, at: 3_000 });
    expect(history.failed(finalize, error, 3_000)).toMatchObject({ attempts: 1, at: 4_000 });
  });
  test('of a clean-up do not move the time at which it began', () => {
    const history = createHistory(() => 0.5);
    for (const at of [3_000, 4_000]) history.begun(finalize, at);
    expect(history.finalized(one, { reason: 'finished' }, 'finished', 1, 5_000)).toMatchObject({ cleaningAt: 3_000, endedAt: 5_000 });
    const noted = { ...one, ending: { reason: 'cancelled' as const, at: 2_000 } };
    history.begun({ ...finalize, runner: noted }, 6_000);
    expect(history.finalized(noted, { reason: 'cancelled' }, 'was cancelled', 1, 7_000)).toMatchObject({ cleaningAt: 2_000 });
  });
  test('are remembered as long as anything of their runner is there', () => {
    const history = createHistory(() => 0.5);
    history.failed(launch, error, 0);
    history.forget(aWorld({ runners: [one] }), 90_000);
    expect(history.retries.size).toBe(1);
    history.forget(aWorld(), 90_000);
    expect(history.retries.size).toBe(0);
  });
});

describe('what was not read', () => {
  test('I2 a machine that lost its record stays while a forge does not say whether it is at work', async () => {
    const rig = createRig();
    rig.driver.plant(aMachine('j0000001abc'));
    rig.forge.fail('registrations', 1);
    await rig.step();
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
    rig.reconciler.maintain();
    await rig.step(5_000);
    expect(rig.driver.machines.size).toBe(0);
  });
  test('a list is as old as the question, and its answer costs what it took', async () => {
    const rig = createRig();
    slowDown(rig);
    for (let poll = 0; poll < 3; poll += 1) await rig.step();
    expect(rig.reconciler.snapshot().forges).toMatchObject([{ lastPollMs: 1_000 }]);
    const polls = () => rig.forge.calls.filter((call) => call === 'jobs').length;
    await rig.step(18_999);
    expect(polls()).toBe(3);
    await rig.step(1);
    expect(polls()).toBe(4);
  });
});
