// What must be asked once more before it is believed: each of these was found by the simulation, which shows a world that changes between
// the look and the deed.

import { expect, test } from 'vitest';
import { ControllerError } from '../../src/errors.ts';
import { aProfile } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const short = aProfile({ timeouts: { startMs: 20_000, pickMs: 5_000, jobMs: 600_000, stopMs: 5_000 } });
const uuidOf = (rig: Rig) => rig.forge.rows[0]?.uuid ?? '';
const statesOf = (rig: Rig) => [...rig.driver.machines.values()].map(({ state }) => state);

test('I9 a forge that has just come back calls a working runner idle: its machine is left alone', async () => {
  const rig = createRig({ profiles: [short] });
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.queue(job.id, { state: 'running', taskId: 77 });
  rig.forge.fail('jobs', 1);
  await rig.step(6_000);
  await rig.step();
  await rig.step();
  rig.forge.pick(uuidOf(rig), job.handle);
  for (let second = 0; second < 20; second += 1) await rig.step();
  expect(statesOf(rig)).toEqual(['running']);
  expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'busy' }]);
});

test('I9 a forge that has just come back and does not list the job of an idle looking runner is not believed', async () => {
  const rig = createRig({ profiles: [short] });
  const job = rig.forge.queue(1);
  await rig.step();
  const [idle] = rig.forge.rows;
  rig.forge.pick(uuidOf(rig), job.handle);
  await rig.step();
  const registration = rig.forge.registration.bind(rig.forge);
  Object.assign(rig.forge, { jobs: () => Promise.resolve([]) });
  for (let second = 0; second < 4; second += 1) await rig.step();
  Object.assign(rig.forge, { jobs: () => Promise.reject(new ControllerError('FORGE_UNREACHABLE', 'jobs: no answer')) });
  for (let second = 0; second < 20; second += 1) await rig.step();
  Object.assign(rig.forge, { jobs: () => Promise.resolve([]), registration: () => Promise.resolve(idle) });
  // The poll that failed last puts the next one off; its first answers are not yet to be believed.
  for (let second = 0; second < 40 && rig.reconciler.snapshot().forges[0]?.error !== undefined; second += 1) await rig.step();
  await rig.step();
  Object.assign(rig.forge, { registration });
  for (let second = 0; second < 10; second += 1) await rig.step();
  expect(statesOf(rig)).toEqual(['running']);
});

test('I9 a stop that was not delivered is taken back when the job was handed out meanwhile', async () => {
  const rig = createRig({ profiles: [short] });
  const job = rig.forge.queue(1);
  await rig.step();
  rig.driver.fail('stop', { times: 1 });
  // Its first report is on its way, and the list is behind.
  const [idle] = rig.forge.rows;
  const jobs = rig.forge.jobs.bind(rig.forge);
  const registration = rig.forge.registration.bind(rig.forge);
  rig.forge.pick(uuidOf(rig), job.handle);
  Object.assign(rig.forge, { jobs: () => Promise.resolve([job]), registration: () => Promise.resolve(idle) });
  await rig.step(6_000);
  expect([...rig.store.records.values()]).toMatchObject([{ stop: { reason: 'unpicked' } }]);
  Object.assign(rig.forge, { jobs, registration });
  for (let second = 0; second < 30; second += 1) await rig.step();
  expect(statesOf(rig)).toEqual(['running']);
  expect([...rig.store.records.values()][0]).not.toHaveProperty('stop');
});

test('credentials that were given back before a crash are not handed out again', async () => {
  const rig = createRig({ profiles: [short] });
  rig.driver.fail('assign', { times: 1 });
  rig.forge.queue(1);
  await rig.step();
  await rig.forge.unregister(rig.forge.rows[0]?.id ?? 0);
  rig.restart();
  await rig.step();
  const [record] = rig.store.records.values();
  expect(record).toHaveProperty('assignedAt');
  expect(rig.forge.rows.map(({ id }) => id)).toEqual([record?.credentials?.id]);
});

test('a registration that reported just now is not given back while the list does not show what it works on', async () => {
  const rig = createRig({ profiles: [short] });
  const job = rig.forge.queue(1);
  await rig.step();
  const jobs = rig.forge.jobs.bind(rig.forge);
  Object.assign(rig.forge, { jobs: () => Promise.resolve([]) });
  rig.forge.pick(uuidOf(rig), job.handle);
  rig.driver.end([...rig.driver.machines.keys()][0] ?? '', { result: 'signal', code: 'killed', status: 'KILL' });
  for (let second = 0; second < 3; second += 1) await rig.step();
  expect(rig.forge.rows).toHaveLength(1);
  Object.assign(rig.forge, { jobs });
  for (let second = 0; second < 10; second += 1) await rig.step();
  expect(rig.forge.reports.size).toBe(1);
  expect([rig.forge.rows.length, rig.store.records.size]).toEqual([0, 0]);
});

test('I9 a forge that has just come back is not believed that a machine without a record is idle', async () => {
  const rig = createRig({ profiles: [short] });
  const job = rig.forge.queue(1);
  await rig.step();
  const idle = rig.forge.rows;
  rig.forge.pick(uuidOf(rig), job.handle);
  const registrations = rig.forge.registrations.bind(rig.forge);
  rig.store.records.clear();
  rig.restart();
  Object.assign(rig.forge, { registrations: () => Promise.resolve(idle) });
  await rig.step();
  await rig.step();
  expect(statesOf(rig)).toEqual(['running']);
  Object.assign(rig.forge, { registrations });
  for (let second = 0; second < 10; second += 1) await rig.step();
  expect(statesOf(rig)).toEqual(['running']);
  expect(rig.forge.rows).toHaveLength(1);
});

test('I2 registrations that cannot be read, with jobs that can, cost a working machine without a record nothing', async () => {
  const rig = createRig({ profiles: [short] });
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.pick(uuidOf(rig), job.handle);
  await rig.step();
  rig.store.records.clear();
  rig.restart();
  rig.forge.fail('registrations', 1_000);
  // Well beyond the time for which nobody believes a forge that has just come back.
  for (let minute = 0; minute < 3; minute += 1) {
    rig.reconciler.maintain();
    await rig.step(60_000);
    await rig.step();
  }
  expect(statesOf(rig)).toEqual(['running']);
});
