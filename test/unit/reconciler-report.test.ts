// A container that dies leaves its job running in the forge's eyes: the loop ends it at once with the runner's own credentials, whatever
// killed it and however often we are killed meanwhile, and never while the machine may be at work.

import { expect, test } from 'vitest';
import type { MachineExit } from '../../src/core/model.ts';
import { aJob, aProfile, aRunner } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const killed: MachineExit = { result: 'signal', code: 'killed', status: 'KILL', memoryPeakBytes: 64 * 2 ** 20, oomKills: 0 };

function only<T>(all: Iterable<T>): T {
  const [one, ...others] = all;
  if (one === undefined || others.length > 0) throw new Error('wanted one');
  return one;
}
const machineOf = (rig: Rig): string => only(rig.driver.machines.keys());
const left = (rig: Rig): readonly number[] => [rig.driver.machines.size, rig.forge.rows.length, rig.store.records.size];
const order = (rig: Rig): readonly string[] => rig.forge.calls.map((call) => call.split(' ')[0] ?? '');

async function busy(rig: Rig, confirmed = true): Promise<number> {
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.pick(only(rig.forge.rows).uuid, job.handle);
  if (confirmed) await rig.step();
  return job.id + 1000;
}

test('a machine that was killed has its job failed in the next tick, with the cause, its memory and its last words', async () => {
  const rig = createRig();
  const task = await busy(rig);
  rig.driver.end(machineOf(rig), killed);
  await rig.step();
  expect(rig.forge.reports.get(task)).toEqual([
    'forgejo-runner-controller: the container of this job was killed by signal KILL. The job is reported as failed.',
    expect.stringMatching(/^ {2}container j\w{10} of profile default, controller test; it had the job for 1 s$/),
    '  memory: peak 64 MiB, no limit',
    '  the last lines of its console:',
    expect.stringMatching(/^ {2}\| console of j/),
  ]);
  expect(left(rig)).toEqual([0, 0, 0]);
  expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'machine-failed' }]);
});

test('a job that was picked a moment before its machine died, and not yet seen to run, is failed too', async () => {
  const rig = createRig();
  const task = await busy(rig, false);
  rig.driver.end(machineOf(rig), killed);
  await rig.step();
  expect([...rig.forge.reports.keys()]).toEqual([task]);
  expect(left(rig)).toEqual([0, 0, 0]);
});

test('a job that ended is not reported, whatever its machine did at the end', async () => {
  const rig = createRig();
  await busy(rig);
  rig.forge.end('handle-1');
  rig.driver.end(machineOf(rig), killed);
  await rig.step();
  expect(rig.forge.reports.size).toBe(0);
  expect(left(rig)).toEqual([0, 0, 0]);
});

test('a runner that ended well without its result having arrived has its job failed: nobody else will', async () => {
  const rig = createRig();
  const task = await busy(rig);
  rig.driver.end(machineOf(rig));
  await rig.step();
  expect(rig.forge.reports.get(task)?.[0]).toContain('ended by itself before its result had reached Forgejo');
  expect(left(rig)).toEqual([0, 0, 0]);
});

test("a machine that died before it had a job fails nobody's job, though another runner has it now", async () => {
  const rig = createRig();
  const job = rig.forge.queue(1);
  await rig.step();
  const stranger = await rig.forge.register('stranger', 'somebody else');
  rig.forge.pick(stranger.uuid, job.handle);
  rig.driver.end(machineOf(rig), killed);
  await rig.step();
  expect(rig.forge.reports.size).toBe(0);
  expect(rig.forge.rows.map(({ name }) => name)).toEqual(['stranger']);
  expect(rig.store.records.size).toBe(0);
});

test('while the forge is away the machine goes and the report waits; it names the first cause when the forge is back', async () => {
  const rig = createRig();
  const task = await busy(rig);
  rig.forge.fail('registered', 3);
  rig.driver.end(machineOf(rig), killed);
  await rig.step();
  expect(left(rig)).toEqual([0, 1, 1]);
  for (let second = 0; second < 30; second += 1) await rig.step();
  expect(rig.forge.reports.get(task)?.[0]).toContain('was killed by signal KILL');
  expect(left(rig)).toEqual([0, 0, 0]);
});

test('I8 the cause survives a crash of the controller between the removal of the machine and the report', async () => {
  const rig = createRig();
  const task = await busy(rig);
  rig.forge.fail('registered', 1);
  rig.driver.end(machineOf(rig), killed);
  await rig.step();
  rig.restart();
  await rig.step();
  expect(rig.forge.reports.get(task)?.[0]).toContain('was killed by signal KILL');
  expect(left(rig)).toEqual([0, 0, 0]);
});

test('I8 a report whose answer was lost is not made twice', async () => {
  const rig = createRig();
  await busy(rig);
  rig.forge.fail('report', 1, true);
  rig.driver.end(machineOf(rig), killed);
  await rig.step();
  expect(rig.forge.reports.size).toBe(1);
  await rig.step(2_000);
  expect(order(rig).filter((verb) => verb === 'report')).toHaveLength(1);
  expect(left(rig)).toEqual([0, 0, 0]);
});

test('a job whose machine is gone after a reboot of the host is failed by the first tick', async () => {
  const rig = createRig();
  const task = await busy(rig);
  await rig.driver.remove(machineOf(rig));
  rig.restart();
  await rig.step();
  expect(rig.forge.reports.get(task)?.[0]).toContain('vanished without a record of its end');
  expect(left(rig)).toEqual([0, 0, 0]);
});

test('I9 a machine without an exit record is gone before anything is said about its job', async () => {
  const rig = createRig(
    { profiles: [aProfile({ timeouts: { startMs: 20_000, pickMs: 5_000, jobMs: 10_000, stopMs: 5_000 } })] },
    { obedient: false },
  );
  await busy(rig);
  for (let second = 0; second < 15; second += 1) await rig.step();
  expect(rig.store.records.values().toArray()[0]?.stop).toMatchObject({ reason: 'job-timeout' });
  rig.driver.fail('remove', { times: 2 });
  for (let second = 0; second < 3; second += 1) await rig.step();
  expect([rig.driver.machines.size, rig.forge.reports.size]).toEqual([1, 0]);
  for (let second = 0; second < 10; second += 1) await rig.step();
  expect(only(rig.forge.reports.values())[0]).toContain('was stopped because the job ran longer than 10 s');
  expect(left(rig)).toEqual([0, 0, 0]);
});

test('what outlived a machine that died is killed before its job is reported', async () => {
  const rig = createRig();
  await busy(rig);
  const release = rig.driver.hold('stop');
  rig.driver.end(machineOf(rig), killed);
  rig.clock.advance(1_000);
  await rig.reconciler.tick();
  expect([order(rig).includes('registered'), rig.forge.reports.size]).toEqual([false, 0]);
  release();
  await rig.reconciler.settled();
  expect(rig.forge.reports.size).toBe(1);
});

test('a full disk keeps neither the machine nor the report back', async () => {
  const rig = createRig();
  await busy(rig);
  rig.store.fail(1);
  rig.driver.end(machineOf(rig), killed);
  await rig.step();
  expect([rig.driver.machines.size, rig.forge.reports.size]).toEqual([0, 1]);
  await rig.step(2_000);
  expect(left(rig)).toEqual([0, 0, 0]);
});

test('the end of a forge that left the configuration is not reported, and its machine goes', async () => {
  const rig = createRig();
  const away = aRunner(aJob(1, { forge: 'away' }), { credentials: { id: 5, uuid: 'u', token: 'secret' }, assignedAt: 1, taskId: 9 });
  rig.store.records.set(away.id, away);
  rig.restart();
  await rig.step();
  await rig.step();
  expect([rig.store.records.size, rig.forge.reports.size]).toEqual([0, 0]);
});

test('an ordinary end costs the forge one question and nothing else', async () => {
  const rig = createRig();
  await busy(rig);
  rig.forge.end('handle-1');
  const before = rig.forge.calls.length;
  rig.driver.end(machineOf(rig));
  await rig.step(100);
  expect(order(rig).slice(before)).toEqual(['registered']);
  expect(rig.driver.calls.filter(({ verb }) => verb === 'output' || verb === 'stop')).toEqual([]);
});
