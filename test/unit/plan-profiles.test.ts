// What a configuration that changed under running machines means for them: nothing. Their clocks stand on their records.

import { describe, expect, test } from 'vitest';
import type { Profile, Runner } from '../../src/core/model.ts';
import { plan } from '../../src/core/plan.ts';
import { aJob, aMachine, aPolicy, aProfile, aRunner, aWorld, known, listed } from '../support/build.ts';

const hour = 3_600_000;
const job = aJob(1, { state: 'running', taskId: 1 });
const long = aProfile({ name: 'long', timeouts: { startMs: 60_000, pickMs: 30_000, jobMs: 6 * hour, stopMs: 45_000 } });
const short = aProfile({ name: 'short', timeouts: { startMs: 1_000, pickMs: 1_000, jobMs: 60_000, stopMs: 1_000 } });
const busy = aRunner(job, { profile: 'long', timeouts: long.timeouts, assignedAt: 1_000, pickedAt: 2_000 });
const stepAt = (now: number, runner: Runner, profiles: readonly Profile[], machines = [aMachine(runner.id)]) =>
  plan(
    aWorld({ runners: [runner], machines: known(machines), jobs: new Map([['main', listed([job], 1, now)]]) }),
    aPolicy({ profiles, maxConcurrent: 1 }),
    now,
  ).actions[0];

describe('a profile that changed', () => {
  test('a launch puts the clocks of its profile on the record', () => {
    const jobs = new Map([['main', listed([aJob(1)])]]);
    expect(plan(aWorld({ jobs }), aPolicy({ profiles: [long] }), 0).actions).toMatchObject([{ runner: { timeouts: long.timeouts } }]);
  });
  test.each([
    ['left the configuration', [short]],
    ['got shorter clocks', [short, { ...short, name: 'long', labels: ['x'] }]],
  ])('I9 a machine at work whose profile %s keeps the clocks it was launched with', (_, profiles) => {
    expect(stepAt(5 * hour, busy, profiles)).toBeUndefined();
    expect(stepAt(6 * hour + 2_001, busy, profiles)).toMatchObject({ kind: 'stop', reason: 'job-timeout', graceMs: 45_000 });
  });
  test('longer clocks do not reach a machine whose unit has the old ones, and a record without clocks takes those of its profile', () => {
    const brief = aRunner(job, { profile: 'short', timeouts: short.timeouts, assignedAt: 1_000, pickedAt: 2_000 });
    expect(stepAt(70_000, brief, [{ ...long, name: 'short' }])).toMatchObject({ kind: 'stop', reason: 'job-timeout' });
    const { timeouts: _, ...old } = brief;
    expect(stepAt(70_000, old, [{ ...long, name: 'short' }])).toBeUndefined();
  });
  test('a record whose profile left before its machine was made is given back, never made with another profile', () => {
    const { assignedAt: _, pickedAt: __, ...launching } = busy;
    const waiting = { ...launching, job: { ...launching.job, handle: 'other' } };
    expect(stepAt(1_000, waiting, [short], [])).toMatchObject({ kind: 'finalize', reason: 'start-failed' });
    expect(stepAt(1_000, waiting, [short], [aMachine(busy.id, { state: 'idle' })])).toMatchObject({ kind: 'launch' });
    expect(stepAt(1_000, waiting, [long], [])).toMatchObject({ kind: 'launch' });
  });
  test('S2-8: a lower maxConcurrent ends nobody; it only holds back who waits', () => {
    const runners = [1, 2, 3].map((id) => aRunner(aJob(id), { assignedAt: 1_000, pickedAt: 2_000, slot: id }));
    const jobs = [1, 2, 3].map((id) => aJob(id, { state: 'running', taskId: id }));
    const world = aWorld({
      runners,
      machines: known(runners.map(({ id }, slot) => aMachine(id, { slot: slot + 1 }))),
      jobs: new Map([['main', listed([...jobs, aJob(4)], 1, 3_000)]]),
    });
    const { actions, denials } = plan(world, aPolicy({ maxConcurrent: 1 }), 3_000);
    expect([actions, denials]).toMatchObject([[], [{ reason: 'capacity' }]]);
  });
});
