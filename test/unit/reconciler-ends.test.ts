// How the end of a machine is told, and how soon it comes: a job that was over before anybody saw it run, one that Forgejo has ended, and what
// may still be handed out while a machine is about to be stopped.

import { describe, expect, test } from 'vitest';
import { aProfile } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const short = aProfile({ timeouts: { startMs: 20_000, pickMs: 5_000, jobMs: 600_000, stopMs: 60_000 } });
const uuidOf = (rig: Rig) => rig.forge.rows[0]?.uuid ?? '';
const machineOf = (rig: Rig) => [...rig.driver.machines.keys()][0] ?? '';
const stopsOf = (rig: Rig) => rig.driver.calls.filter(({ verb }) => verb === 'stop').length;
const endedOf = (rig: Rig) => rig.reconciler.snapshot().ended;
const steps = async (rig: Rig, count: number) => {
  for (let second = 0; second < count; second += 1) await rig.step();
};

/** A machine that has the job of this rig. */
async function aMachineWithJob(driver: Parameters<typeof createRig>[1] = {}) {
  const rig = createRig({ profiles: [short] }, driver);
  const job = rig.forge.queue(1);
  await rig.step();
  return { rig, job };
}

describe('a job that was over before it was seen to run', () => {
  test('is told as its machine ends, however many polls that takes', async () => {
    const { rig, job } = await aMachineWithJob();
    rig.forge.pick(uuidOf(rig), job.handle);
    rig.forge.end(job.handle);
    await steps(rig, 4);
    rig.driver.end(machineOf(rig));
    await steps(rig, 2);
    expect(stopsOf(rig)).toBe(0);
    expect(endedOf(rig)).toMatchObject([{ reason: 'finished', cause: 'ended by itself', exit: { result: 'success', status: '0' } }]);
  });

  test('is told with the exit code of its runner if that failed', async () => {
    const { rig, job } = await aMachineWithJob();
    rig.forge.pick(uuidOf(rig), job.handle);
    rig.forge.end(job.handle);
    await steps(rig, 4);
    rig.driver.end(machineOf(rig), { result: 'exit-code', status: '1' });
    await steps(rig, 2);
    expect(endedOf(rig)).toMatchObject([{ reason: 'machine-failed', cause: 'ended with exit code 1' }]);
  });

  test('is told by an exit that came while the forge was asked about it', async () => {
    const { rig, job } = await aMachineWithJob();
    rig.forge.pick(uuidOf(rig), job.handle);
    rig.forge.end(job.handle);
    const registration = rig.forge.registration.bind(rig.forge);
    const graceOverAt = rig.clock.now() + 6_000;
    Object.assign(rig.forge, {
      registration: (id: number) => {
        if (rig.clock.now() >= graceOverAt) rig.driver.end(machineOf(rig));
        return registration(id);
      },
    });
    await steps(rig, 9);
    expect(stopsOf(rig)).toBe(0);
    expect(endedOf(rig)).toMatchObject([{ reason: 'finished' }]);
  });

  test('and whose machine does not leave is ended when its time for that is over', async () => {
    const { rig, job } = await aMachineWithJob();
    rig.forge.pick(uuidOf(rig), job.handle);
    rig.forge.end(job.handle);
    await steps(rig, 9);
    expect(endedOf(rig)).toMatchObject([{ reason: 'cancelled' }]);
  });

  test('is not taken for one that nobody handed out, when the list is behind', async () => {
    const { rig, job } = await aMachineWithJob();
    await steps(rig, 4);
    const jobs = rig.forge.jobs.bind(rig.forge);
    let polls = 0;
    Object.assign(rig.forge, {
      jobs: async () => {
        const list = await jobs();
        polls += 1;
        if (polls > 1) return list;
        rig.forge.pick(uuidOf(rig), job.handle);
        rig.forge.end(job.handle);
        return list;
      },
    });
    await rig.step(3_000);
    expect(stopsOf(rig)).toBe(0);
    rig.driver.end(machineOf(rig));
    await steps(rig, 2);
    expect(endedOf(rig)).toMatchObject([{ reason: 'finished' }]);
  });
});

test('a registration that somebody deleted keeps no machine of a job that waits on', async () => {
  const { rig } = await aMachineWithJob();
  await rig.forge.unregister(rig.forge.rows[0]?.id ?? 0);
  await steps(rig, 8);
  expect(endedOf(rig)).toMatchObject([{ reason: 'unpicked' }]);
});

/** Notes the grace of every stop; the machine obeys nothing but a kill. */
async function aStubbornMachine(console: readonly string[]) {
  const { rig, job } = await aMachineWithJob({ obedient: false });
  const graces: number[] = [];
  Object.assign(rig.driver, {
    output: () => Promise.resolve(graces.length === 0 ? ['task 7 repo is acme/demo'] : console),
    stop: (id: string, graceMs: number) => {
      graces.push(graceMs);
      if (graceMs === 0) rig.driver.end(id, { result: 'signal', code: 'killed', status: 'KILL' });
      return Promise.resolve();
    },
  });
  rig.forge.pick(uuidOf(rig), job.handle);
  await rig.step();
  rig.forge.end(job.handle);
  return { rig, graces };
}

describe('a job that Forgejo has ended', () => {
  test('has its machine killed once nothing is left to it but to offer a result that nobody takes', async () => {
    const told = 'time="x" level=warning msg="uploading final logs failed, but will be retried: unauthenticated: unregistered runner"';
    const { rig, graces } = await aStubbornMachine([told]);
    await steps(rig, 12);
    expect(graces.slice(0, 2)).toEqual([60_000, 0]);
    expect(endedOf(rig)).toMatchObject([{ reason: 'cancelled' }]);
  });

  test('keeps the grace of its profile while steps of it clean up', async () => {
    const { rig, graces } = await aStubbornMachine(['ReportLog error: unauthenticated: unregistered runner']);
    await steps(rig, 30);
    expect(new Set(graces)).toEqual(new Set([60_000]));
    expect(rig.driver.machines.size).toBe(1);
    await steps(rig, 50);
    expect(rig.driver.machines.size).toBe(0);
  });
});

describe('a machine that is about to be stopped because nothing was handed to it', () => {
  test('I9 a machine that is about to be stopped is handed nothing from the last look on', async () => {
    const { rig } = await aMachineWithJob();
    const order: string[] = [];
    const registration = rig.forge.registration.bind(rig.forge);
    const withhold = rig.forge.withhold.bind(rig.forge);
    const stop = rig.driver.stop.bind(rig.driver);
    Object.assign(rig.forge, {
      registration: (id: number) => (order.push('look'), registration(id)),
      withhold: (credentials: Parameters<typeof withhold>[0]) => (order.push('withhold'), withhold(credentials)),
    });
    Object.assign(rig.driver, { stop: (id: string, graceMs: number) => (order.push('stop'), stop(id, graceMs)) });
    await rig.step(6_000);
    expect(order.slice(0, 4)).toEqual(['look', 'withhold', 'look', 'stop']);
    await rig.step();
    expect(endedOf(rig)).toMatchObject([{ reason: 'unpicked' }]);
  });

  test('I9 a machine that was handed its job in the moment of its stop is left alone', async () => {
    const { rig, job } = await aMachineWithJob();
    const withhold = rig.forge.withhold.bind(rig.forge);
    Object.assign(rig.forge, {
      withhold: (credentials: Parameters<typeof withhold>[0]) => {
        rig.forge.pick(uuidOf(rig), job.handle);
        return withhold(credentials);
      },
    });
    await rig.step(6_000);
    await steps(rig, 30);
    expect(stopsOf(rig)).toBe(0);
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'busy' }]);
  });

  test('I2 a machine is not stopped while the forge does not say that it will be handed nothing more', async () => {
    const { rig } = await aMachineWithJob();
    rig.forge.fail('withhold', Number.POSITIVE_INFINITY);
    await rig.step(6_000);
    await steps(rig, 20);
    expect(stopsOf(rig)).toBe(0);
    rig.forge.fail('withhold', 0);
    await steps(rig, 30);
    expect(endedOf(rig)).toMatchObject([{ reason: 'unpicked' }]);
  });
});
