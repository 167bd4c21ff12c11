// What a record may say of a hand-over, a pick-up and a task, and what is asked before a machine is ended on a suspicion. Each test was
// written because a small wrong change of the code went unnoticed without it.

import { expect, test } from 'vitest';
import { aProfile } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

function only<T>(all: Iterable<T>): T {
  const [one, ...others] = all;
  if (one === undefined || others.length > 0) throw new Error('wanted one');
  return one;
}
const recordOf = (rig: Rig) => only(rig.store.records.values());

test('I1 a hand-over that failed is not on the record', async () => {
  const rig = createRig();
  rig.driver.fail('assign', { times: 1 });
  rig.forge.queue(1);
  await rig.step();
  expect(recordOf(rig)).not.toHaveProperty('assignedAt');
  await rig.step(2_000);
  expect(recordOf(rig).assignedAt).toBe(rig.clock.now());
});

test('the task of a job that was picked is on the record: its end is told although the list does not show it any more', async () => {
  const rig = createRig();
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.pick(only(rig.forge.rows).uuid, job.handle);
  await rig.step();
  Object.assign(rig.forge, { jobs: async () => [] });
  rig.driver.end(only(rig.driver.machines.keys()), { result: 'signal', code: 'killed', status: 'KILL' });
  await rig.step();
  expect([...rig.forge.reports.keys()]).toEqual([1001]);
});

test('I9 a job that runs by now is not ended as un-picked, though its registration does not report yet', async () => {
  const rig = createRig();
  const job = rig.forge.queue(1);
  for (let second = 0; second < 30; second += 1) await rig.step();
  const honest = { ...rig.forge };
  const { uuid } = only(rig.forge.rows);
  let polls = 0;
  Object.assign(rig.forge, {
    jobs: async () => {
      const list = await honest.jobs();
      if ((polls += 1) === 2) rig.forge.pick(uuid, job.handle);
      return list;
    },
    registration: async (id: number) => {
      const row = await honest.registration(id);
      return row === undefined ? undefined : { ...row, status: 'idle' };
    },
  });
  for (let second = 0; second < 3; second += 1) await rig.step();
  expect(polls).toBeGreaterThan(2);
  expect(rig.driver.calls.filter(({ verb }) => verb === 'stop')).toEqual([]);
  Object.assign(rig.forge, { registration: (id: number) => honest.registration(id) });
  await rig.step();
  expect(recordOf(rig).pickedAt).toBe(rig.clock.now());
});

test('the end of a job is told as of the moment when it was first seen, however late the telling succeeds', async () => {
  const rig = createRig();
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.pick(only(rig.forge.rows).uuid, job.handle);
  await rig.step();
  rig.forge.fail('report', 1);
  rig.driver.end(only(rig.driver.machines.keys()), { result: 'signal', code: 'killed', status: 'KILL' });
  await rig.step();
  rig.restart();
  await rig.step(50_000);
  expect(rig.forge.reports.get(1001)?.[1]).toMatch(/it had the job for 1 s$/);
});

test('I1 what could not be written down is not believed, and not acted on', async () => {
  const rig = createRig({ profiles: [aProfile({ timeouts: { startMs: 20_000, pickMs: 5_000, jobMs: 10_000, stopMs: 5_000 } })] });
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.pick(only(rig.forge.rows).uuid, job.handle);
  await rig.step();
  rig.store.fail(1);
  await rig.step(11_000);
  expect(only(rig.reconciler.snapshot().runners)).not.toHaveProperty('stop');
  await rig.step(2_000);
  expect(recordOf(rig)).toMatchObject({ stop: { reason: 'job-timeout' } });
});

test('a registration whose reply was lost goes with its runner, without waiting for the next maintenance', async () => {
  const rig = createRig();
  rig.forge.fail('register', 99, true);
  rig.forge.queue(1);
  await rig.step();
  expect(rig.forge.rows).toHaveLength(1);
  rig.forge.end('handle-1');
  for (let poll = 0; poll < 4; poll += 1) await rig.step();
  expect([rig.driver.machines.size, rig.forge.rows.length, rig.store.records.size]).toEqual([0, 0, 0]);
});
