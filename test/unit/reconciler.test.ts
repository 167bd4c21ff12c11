// The loop over a world in memory: write-ahead order, the three clocks, crash and fault at each step, and nothing left at the end.

import { describe, expect, test } from 'vitest';
import { ControllerError } from '../../src/errors.ts';
import type { FakeMachine } from '../contract/fake-driver.ts';
import { aMachine, aProfile } from '../support/build.ts';
import { createRig, flushed, type Rig } from '../support/reconciler-rig.ts';

function only(rig: Rig): FakeMachine {
  const [machine, ...others] = rig.driver.machines.values();
  if (machine === undefined || others.length > 0) throw new Error(`wanted one machine, there are ${rig.driver.machines.size}`);
  return machine;
}
function uuidOf(rig: Rig): string {
  const uuid = only(rig).assignment?.uuid;
  if (uuid === undefined) throw new Error('the machine has no assignment');
  return uuid;
}
function expectNothingLeft(rig: Rig): void {
  expect([...rig.driver.machines.keys()]).toEqual([]);
  expect(rig.forge.rows).toEqual([]);
  expect([...rig.store.records.keys()]).toEqual([]);
}
async function runToEnd(rig: Rig, handle: string): Promise<void> {
  rig.forge.pick(uuidOf(rig), handle);
  await rig.step();
  rig.forge.end(handle);
  rig.driver.end(only(rig).spec.id);
  await rig.step();
}

describe('a job', () => {
  test('a waiting job gets one machine with its handle and labels, runs, and leaves nothing', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    await rig.step();
    expect(only(rig).assignment).toMatchObject({
      url: 'http://forge.test',
      handle: job.handle,
      labels: ['debian'],
      token: 'secret-token-1',
    });
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'waiting-for-job' }]);
    rig.forge.pick(uuidOf(rig), job.handle);
    await rig.step();
    await rig.step();
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'busy' }]);
    rig.forge.end(job.handle);
    rig.driver.end(only(rig).spec.id);
    await rig.step();
    expectNothingLeft(rig);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'finished', job: { id: 1 } }]);
    await rig.step();
    expect(rig.driver.calls.filter(({ verb }) => verb === 'start')).toHaveLength(1);
  });
  test('I1 the record is written before anything it owns and deleted after all of it', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    rig.store.fail(1);
    await rig.step();
    expect(rig.driver.machines.size).toBe(0);
    expect(rig.forge.rows).toEqual([]);
    await rig.step(2_000);
    const { id } = only(rig).spec;
    rig.driver.end(id);
    rig.driver.fail('remove', { times: 1 });
    await rig.step();
    expect(rig.store.records.has(id)).toBe(true);
    await rig.step(2_000);
    expectNothingLeft(rig);
  });
  test('I7 a runner token goes to its machine and its record, and to no log line and no snapshot', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    await rig.step();
    expect(only(rig).assignment?.token).toBe('secret-token-1');
    expect(JSON.stringify(rig.log.lines)).not.toContain('secret-token-1');
    expect(JSON.stringify(rig.reconciler.snapshot())).not.toContain('secret-token-1');
    expect(rig.log.concealed).toContain('secret-token-1');
  });
  test('a rerun is another job, even while its first attempt is cleaned up', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.pick(uuidOf(rig), job.handle);
    rig.forge.end(job.handle);
    rig.driver.end(only(rig).spec.id);
    rig.forge.queue(1, { handle: 'second', attempt: 2 });
    await rig.step();
    expect(only(rig).assignment?.handle).toBe('second');
  });
});

describe('the clocks', () => {
  test('a job that nobody hands out frees its machine after the un-picked clock and rests longer each time', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    const starts: number[] = [];
    for (let second = 0; second < 400; second += 1) {
      await rig.step(1_000);
      for (const line of rig.log.lines.splice(0)) if (line.event === 'launch') starts.push(second);
    }
    const gaps = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
    expect(gaps.length).toBeGreaterThanOrEqual(2);
    expect(gaps[0]).toBeGreaterThanOrEqual(60);
    expect(gaps[1] ?? 0).toBeGreaterThanOrEqual((gaps[0] ?? 0) + 25);
  });
  test('a job that rests is tried again when another of its repository has ended', async () => {
    const rig = createRig();
    const blocker = rig.forge.queue(1);
    await rig.step();
    rig.forge.pick(uuidOf(rig), blocker.handle);
    await rig.step();
    rig.forge.queue(2);
    for (let second = 0; second < 40; second += 1) await rig.step();
    expect(rig.reconciler.snapshot().denials).toMatchObject([{ reason: 'back-off', job: { id: 2 } }]);
    rig.forge.end(blocker.handle);
    rig.driver.end(only(rig).spec.id);
    await rig.step();
    await rig.step();
    expect(only(rig).assignment?.handle).toBe('handle-2');
  });
  test('a job that is too long is stopped, and its end is told', async () => {
    const rig = createRig({ profiles: [aProfile({ timeouts: { startMs: 60_000, pickMs: 30_000, jobMs: 60_000, stopMs: 5_000 } })] });
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.pick(uuidOf(rig), job.handle);
    await rig.step();
    for (let second = 0; second < 61; second += 1) await rig.step();
    expect(rig.log.lines).toContainEqual(
      expect.objectContaining({ event: 'stop', facts: expect.objectContaining({ reason: 'job-timeout' }) }),
    );
    rig.forge.end(job.handle);
    await rig.step();
    expectNothingLeft(rig);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'job-timeout' }]);
  });
  test('a machine that does not obey a stop is removed by force', async () => {
    const rig = createRig(
      { profiles: [aProfile({ timeouts: { startMs: 60_000, pickMs: 1_000, jobMs: 60_000, stopMs: 2_000 } })] },
      { obedient: false },
    );
    rig.forge.queue(1);
    await rig.step();
    for (let second = 0; second < 18; second += 1) await rig.step();
    expectNothingLeft(rig);
  });
  test('a machine that does not come up is given back after the start clock', async () => {
    const rig = createRig({ profiles: [aProfile({ timeouts: { startMs: 3_000, pickMs: 30_000, jobMs: 60_000, stopMs: 5_000 } })] });
    rig.driver.fail('assign');
    rig.forge.queue(1);
    for (let second = 0; second < 8; second += 1) await rig.step();
    expectNothingLeft(rig);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'start-failed' }]);
  });
});

describe('doubt', () => {
  test('I9 a job that is handed out in the moment of the un-picked clock is left to run', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    await rig.step();
    const list = rig.forge.jobs.bind(rig.forge);
    let polls = 0;
    // The list that the plan decides by is the last one before the runner fetched.
    Object.assign(rig.forge, {
      jobs: async () => {
        const jobs = await list();
        polls += 1;
        if (polls === 1) rig.forge.pick(uuidOf(rig), job.handle);
        return jobs;
      },
    });
    await rig.step(31_000);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'stop')).toEqual([]);
    await rig.step();
    await rig.step();
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'busy' }]);
  });
});

describe('cancel', () => {
  test('a job cancelled while it runs has its machine stopped within two polls and the grace', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.pick(uuidOf(rig), job.handle);
    await rig.step();
    rig.forge.end(job.handle);
    for (let second = 0; second < 8; second += 1) await rig.step();
    expectNothingLeft(rig);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'cancelled' }]);
  });
  test('a job cancelled before pick-up frees its machine after two polls', async () => {
    const rig = createRig();
    await rig.step();
    await rig.step(5_000);
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.end(job.handle);
    for (let polls = 0; polls < 4; polls += 1) await rig.step();
    expectNothingLeft(rig);
  });
  test('I9 a job whose repository moved out of sight while its runner still reports is left alone', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    await rig.step();
    const uuid = uuidOf(rig);
    rig.forge.pick(uuid, job.handle);
    await rig.step();
    const hidden = { ...rig.forge, jobs: () => Promise.resolve([]) };
    Object.assign(rig.forge, { jobs: hidden.jobs });
    for (let second = 0; second < 30; second += 1) await rig.step();
    expect(only(rig).state).toBe('running');
    expect(rig.driver.calls.filter(({ verb }) => verb === 'stop')).toEqual([]);
  });
  test('I2 a forge that does not answer for an hour loses no running job', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.pick(uuidOf(rig), job.handle);
    await rig.step();
    for (const verb of ['jobs', 'registration', 'registrations'] as const) rig.forge.fail(verb, Number.POSITIVE_INFINITY);
    for (let minute = 0; minute < 60; minute += 1) await rig.step(60_000);
    expect(only(rig).state).toBe('running');
    expect(rig.reconciler.snapshot().forges).toMatchObject([{ error: { code: 'FORGE_UNREACHABLE' } }]);
  });
});

describe('crash and fault', () => {
  test('I8 a crash at any moment of a launch is repaired by the next start, with one run of the job and nothing left', async () => {
    for (const [verb, after] of [
      ['start', false],
      ['start', true],
      ['assign', false],
      ['assign', true],
    ] as const) {
      const rig = createRig();
      const job = rig.forge.queue(1);
      rig.driver.fail(verb, { times: 1, after });
      await rig.step();
      rig.restart();
      await rig.step(2_000);
      await runToEnd(rig, job.handle);
      expectNothingLeft(rig);
      expect(rig.driver.calls.filter((call) => call.verb === 'assign').length).toBeLessThanOrEqual(2);
    }
  });
  test('I8 a registration whose reply was lost is deleted and made again', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    rig.forge.fail('register', 1, true);
    await rig.step();
    expect(rig.forge.rows).toHaveLength(1);
    await rig.step(2_000);
    expect(rig.forge.rows).toHaveLength(1);
    await runToEnd(rig, job.handle);
    expectNothingLeft(rig);
  });
  test('I8 after the loss of all records, machines and registrations with our mark are swept and the job runs again', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    await rig.step();
    rig.store.records.clear();
    rig.restart();
    await rig.step();
    await rig.step();
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
    expect(rig.forge.rows).toHaveLength(1);
    expect(only(rig).assignment?.uuid).toBe(rig.forge.rows[0]?.uuid);
  });
  test('a running job is adopted by the next start and finished normally', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.pick(uuidOf(rig), job.handle);
    await rig.step();
    const { id } = only(rig).spec;
    rig.restart();
    await rig.step();
    expect(only(rig).spec.id).toBe(id);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'start')).toHaveLength(1);
    rig.forge.end(job.handle);
    rig.driver.end(id);
    await rig.step();
    expectNothingLeft(rig);
  });
  test('a failed step is tried again later and later, and said in the snapshot', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    rig.forge.fail('register', 3);
    await rig.step();
    expect(rig.reconciler.snapshot().runners).toMatchObject([
      { phase: 'launching', attempts: 1, lastError: { code: 'FORGE_UNREACHABLE' } },
    ]);
    const retries: number[] = [];
    for (let second = 0; second < 20; second += 1) {
      await rig.step(500);
      const retry = rig.log.lines.find(({ event }) => event === 'retry');
      if (retry !== undefined) retries.push(Number(retry.facts['inMs']));
      rig.log.lines.length = 0;
    }
    expect(retries).toEqual([...retries].toSorted((a, b) => a - b));
    expect(only(rig).assignment?.handle).toBe('handle-1');
  });
  test('a full host counts no attempt', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    rig.driver.fail('start', { times: 2, error: new ControllerError('HOST_EXHAUSTED', 'no addresses') });
    await rig.step();
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ attempts: 0, lastError: { code: 'HOST_EXHAUSTED' } }]);
    await rig.step(1_500);
    await rig.step(1_500);
    expect(only(rig).assignment?.handle).toBe('handle-1');
  });
  test('I3 a slow action is not started twice, and the loop goes on meanwhile', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    const release = rig.driver.hold('start');
    for (let second = 0; second < 5; second += 1) {
      rig.clock.advance(1_000);
      await rig.reconciler.tick();
    }
    rig.forge.queue(2, { repositoryId: 2 });
    rig.clock.advance(1_000);
    await rig.reconciler.tick();
    await flushed();
    expect(rig.driver.calls.filter(({ verb }) => verb === 'start')).toHaveLength(2);
    release();
    await rig.reconciler.settled();
    expect(rig.driver.machines.size).toBe(2);
  });
  test('I2 a host that cannot be listed starts nothing, and is said so', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    rig.driver.fail('list', { times: 2 });
    await rig.step();
    expect(rig.driver.machines.size).toBe(0);
    expect(rig.reconciler.snapshot()).toMatchObject({ host: { error: { code: 'DRIVER_FAILED' } }, denials: [{ reason: 'host-unknown' }] });
    await rig.step();
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
  });
  test('a bug ends the loop instead of being swallowed', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    Object.assign(rig.driver, { start: () => Promise.reject(new TypeError('x is not a function')) });
    await expect(rig.reconciler.run(new AbortController().signal)).rejects.toThrow('x is not a function');
  });
  test('the end of the service leaves machines, registrations and records as they are', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    await rig.step();
    const ending = new AbortController();
    const run = rig.reconciler.run(ending.signal);
    ending.abort();
    await run;
    expect(rig.driver.machines.size).toBe(1);
    expect(rig.forge.rows).toHaveLength(1);
    expect(rig.store.records.size).toBe(1);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'stop' || verb === 'remove')).toEqual([]);
  });
  test('what a stranger planted on the host under our mark is swept and counts against the capacity until it is gone', async () => {
    const rig = createRig({ maxConcurrent: 1 });
    rig.driver.plant(aMachine('j7777777abc', { state: 'exited' }));
    rig.driver.fail('remove', { times: 1 });
    rig.forge.queue(1);
    await rig.step();
    expect(rig.driver.machines.has('j7777777abc')).toBe(true);
    expect(rig.reconciler.snapshot().denials).toMatchObject([{ reason: 'capacity' }]);
    await rig.step(1_500);
    await rig.step();
    expect([...rig.driver.machines.keys()]).not.toContain('j7777777abc');
    expect(rig.driver.machines.size).toBe(1);
  });
});

describe('fairness and drain', () => {
  test('draining finishes what runs and starts nothing; resume goes on', async () => {
    const rig = createRig();
    const job = rig.forge.queue(1);
    await rig.step();
    rig.reconciler.drain(true, 'somebody');
    rig.forge.queue(2);
    await runToEnd(rig, job.handle);
    expectNothingLeft(rig);
    expect(rig.reconciler.snapshot().denials).toMatchObject([{ reason: 'draining' }]);
    rig.reconciler.drain(false, 'somebody');
    await rig.step();
    expect(only(rig).assignment?.handle).toBe('handle-2');
  });
  test('of very many jobs that begin to wait at once a tick says a part, and each is said in the end', async () => {
    const rig = createRig();
    for (let id = 1; id <= 500; id += 1) rig.forge.queue(id, { labels: ['gpu'] });
    const said = (): unknown[] => rig.log.lines.filter(({ event }) => event === 'deny').map(({ facts }) => facts.job);
    await rig.step();
    expect(said()).toHaveLength(200);
    for (let second = 0; second < 5; second += 1) await rig.step();
    expect(new Set(said()).size).toBe(500);
    expect(said()).toHaveLength(500);
  });
  test('a denied job is said once in the log, not at every tick', async () => {
    const rig = createRig();
    rig.forge.queue(1, { labels: ['gpu'] });
    for (let second = 0; second < 5; second += 1) await rig.step();
    expect(rig.log.lines.filter(({ event }) => event === 'deny')).toHaveLength(1);
  });
});
