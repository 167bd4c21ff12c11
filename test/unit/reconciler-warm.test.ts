// Machines that wait for jobs, tick by tick: made, given away, made anew, taken away, found again after a crash.

import { describe, expect, test } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { isWarmId } from '../../src/core/naming.ts';
import { aJob, aPolicy, aProfile, aRunner } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';
import { ControllerError } from '../../src/errors.ts';

const minute = 60_000;
const warm = { min: 1, maxAgeMs: 60 * minute };
const profile = (over: Partial<Profile> = {}): Profile => aProfile({ warm, ...over });
const waitingIn = (rig: Rig): readonly string[] =>
  [...rig.driver.machines.values()].filter(({ state }) => state === 'idle').map(({ spec }) => spec.id);
const events = (rig: Rig, event: string) => rig.log.lines.filter((line) => line.event === event);

async function steps(rig: Rig, count: number, ms = 1_000): Promise<void> {
  for (let n = 0; n < count; n += 1) await rig.step(ms);
}

describe('machines that wait for jobs', () => {
  test('a job is run by the machine that waited for it, under its id, and another takes its place', async () => {
    const rig = createRig({ profiles: [profile()] });
    await rig.step();
    const [id = ''] = waitingIn(rig);
    expect(isWarmId(id)).toBe(true);
    expect(rig.forge.rows).toEqual([]);
    expect(rig.store.records.size).toBe(0);
    rig.forge.queue(1);
    await steps(rig, 3);
    expect(rig.driver.machines.get(id)).toMatchObject({ state: 'running', assignment: { handle: 'handle-1' } });
    expect(rig.store.records.get(id)).toMatchObject({ id, machine: id, job: { id: 1 } });
    expect(rig.driver.calls.filter(({ verb, id: of }) => verb === 'start' && of?.startsWith('j') === true)).toEqual([]);
    expect(waitingIn(rig)).toHaveLength(1);
    expect(waitingIn(rig)).not.toContain(id);
    expect(events(rig, 'launch')).toMatchObject([{ facts: { runner: id, warm: true } }]);
    expect(events(rig, 'warm')).toHaveLength(2);
  });
  test("its own end on the host leaves a job all of its clocks, however late it comes within the machine's time", async () => {
    const rig = createRig({ profiles: [profile()] });
    await rig.step();
    const { startMs, pickMs, jobMs } = aProfile().timeouts;
    const [machine] = rig.driver.machines.values();
    expect(machine?.spec.runtimeMaxMs).toBeGreaterThan(warm.maxAgeMs + startMs + pickMs + jobMs);
  });
  test('I8 after a kill the next start finds those that wait and goes on with them; what does not fit any more goes', async () => {
    const rig = createRig({ profiles: [profile({ warm: { ...warm, min: 2 } })] });
    await steps(rig, 2);
    const before = waitingIn(rig);
    expect(before).toHaveLength(2);
    rig.restart();
    await steps(rig, 2);
    expect(waitingIn(rig)).toEqual(before);
    rig.driver.setBuild('default', 'default 2');
    rig.restart();
    await steps(rig, 4);
    expect(waitingIn(rig)).toHaveLength(2);
    expect(waitingIn(rig).some((id) => before.includes(id))).toBe(false);
    expect(events(rig, 'cool').map(({ facts }) => facts['reason'])).toEqual(['outdated', 'outdated']);
  });
  test('I8 a kill between the record and the hand-over is gone through by the next start, on the same machine', async () => {
    const rig = createRig({ profiles: [profile()] });
    await rig.step();
    const [id = ''] = waitingIn(rig);
    rig.forge.queue(1);
    rig.driver.fail('assign', { times: 1 });
    await rig.step();
    rig.restart();
    await steps(rig, 3);
    expect(rig.driver.machines.get(id)?.assignment?.handle).toBe('handle-1');
    expect([...rig.store.records.keys()]).toEqual([id]);
  });
  test('a configuration that wants none, or others, has the old ones go', async () => {
    const rig = createRig({ profiles: [profile()] });
    await rig.step();
    const forges = [{ forge: rig.forge, url: 'http://forge.test', pollIntervalMs: 1_000 }];
    rig.reconciler.configure({ forges, policy: aPolicy({ profiles: [aProfile()] }) });
    await steps(rig, 2);
    expect(rig.driver.machines.size).toBe(0);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'builds').length).toBe(1);
  });
  test('a drain ends those that wait, and is through when they are gone', async () => {
    const rig = createRig({ profiles: [profile()] });
    await rig.step();
    rig.reconciler.drain(true, 'test');
    await steps(rig, 2);
    expect(rig.driver.machines.size).toBe(0);
    expect(rig.reconciler.snapshot().drain?.left).toBe(0);
    rig.reconciler.drain(false, 'test');
    await steps(rig, 2);
    expect(waitingIn(rig)).toHaveLength(1);
  });
  test('one gives way before a job of another profile waits longer for its place', async () => {
    const rig = createRig({ maxConcurrent: 1, profiles: [profile(), aProfile({ name: 'big', labels: ['big'] })] });
    await rig.step();
    expect(waitingIn(rig)).toHaveLength(1);
    rig.forge.queue(1, { labels: ['big'] });
    await rig.step();
    expect(events(rig, 'cool')).toMatchObject([{ facts: { reason: 'room' } }]);
    await rig.step(0);
    expect([...rig.driver.machines.values()].map(({ spec }) => spec.profile.name)).toEqual(['big']);
  });
});

async function dies(rig: Rig): Promise<void> {
  for (const id of waitingIn(rig)) rig.driver.end(id, { result: 'signal', code: 'killed', status: 'KILL' });
  await rig.step(0);
}

describe('machines that die while they wait', () => {
  test('are told and replaced, each later than the one before, until one lives', async () => {
    const rig = createRig({ profiles: [profile()] });
    await rig.step();
    for (const restMs of [1_000, 2_000, 4_000]) {
      await dies(rig);
      expect(rig.driver.machines.size).toBe(0);
      expect(rig.reconciler.snapshot().capacity.profiles[0]?.warm).toEqual({ min: 1, restUntil: rig.clock.now() + restMs });
      await rig.step(restMs - 1);
      expect(waitingIn(rig)).toEqual([]);
      await rig.step(1);
      expect(waitingIn(rig)).toHaveLength(1);
    }
    expect(events(rig, 'cool')[0]).toMatchObject({
      level: 'warn',
      facts: { reason: 'died', profile: 'default', exit: { status: 'KILL' } },
    });
    await steps(rig, 2, minute);
    expect(rig.reconciler.snapshot().capacity.profiles[0]?.warm).toEqual({ min: 1 });
    await dies(rig);
    await rig.step(1_000);
    expect(waitingIn(rig)).toHaveLength(1);
  });
  test('begin with the shortest wait again once a job has got one', async () => {
    const rig = createRig({ profiles: [profile()] });
    await rig.step();
    await dies(rig);
    await rig.step(1_000);
    rig.forge.queue(1);
    await steps(rig, 3);
    expect(events(rig, 'launch')).toMatchObject([{ facts: { warm: true } }]);
    expect(rig.reconciler.snapshot().capacity.profiles[0]?.warm).toEqual({ min: 1 });
    expect(waitingIn(rig)).toHaveLength(1);
  });
  test('with their host are replaced at once: that says nothing about the next one', async () => {
    const rig = createRig({ profiles: [profile()] });
    await rig.step();
    for (const id of waitingIn(rig)) rig.driver.end(id, { result: 'lost', code: '', status: '' });
    await steps(rig, 2, 0);
    expect(waitingIn(rig)).toHaveLength(1);
    expect(events(rig, 'cool')).toMatchObject([{ level: 'info', facts: { reason: 'died' } }]);
  });
  test('or cannot be made are tried again later and said, and no job waits for it', async () => {
    const rig = createRig({ profiles: [profile()] });
    rig.driver.fail('start', { times: 1, error: new ControllerError('HOST_EXHAUSTED', 'no room') });
    await rig.step();
    expect(events(rig, 'retry')).toMatchObject([{ facts: { action: 'warm' } }]);
    await rig.step(500);
    expect(rig.driver.machines.size).toBe(0);
    rig.forge.queue(1);
    await rig.step();
    expect([...rig.driver.machines.values()].map(({ state, spec }) => [state, isWarmId(spec.id)])).toEqual([['running', false]]);
    await rig.step(5_000);
    expect(waitingIn(rig)).toHaveLength(1);
  });
  test('a machine that is made half and whose answer is lost is the one that waits', async () => {
    const rig = createRig({ profiles: [profile()] });
    rig.driver.fail('start', { times: 1, after: true });
    await steps(rig, 12);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'start')).toHaveLength(1);
    expect(waitingIn(rig)).toHaveLength(1);
  });
});

describe('how long machines wait', () => {
  test('each for its own time, by a set clock: then another takes its place', async () => {
    const rig = createRig({ profiles: [profile({ warm: { min: 1, maxAgeMs: 10 * minute } })] });
    await rig.step();
    const [first] = waitingIn(rig);
    await rig.step(10 * minute);
    expect(waitingIn(rig)).toEqual([first]);
    await rig.step(1);
    await rig.step(1);
    expect(waitingIn(rig)).toHaveLength(1);
    expect(waitingIn(rig)).not.toContain(first);
    expect(events(rig, 'cool')).toMatchObject([{ facts: { reason: 'aged' } }]);
  });
  test('a cycle without a job ends those that wait, and the next job has them made again', async () => {
    const rig = createRig({ profiles: [profile({ warm: { ...warm, lingerMs: 30 * minute } })] });
    await rig.step();
    await rig.step(30 * minute);
    expect(waitingIn(rig)).toHaveLength(1);
    await rig.step(1_000);
    await rig.step(1_000);
    expect(rig.driver.machines.size).toBe(0);
    expect(events(rig, 'cool')).toMatchObject([{ facts: { reason: 'unused' } }]);
    rig.forge.queue(1);
    await steps(rig, 3);
    expect(waitingIn(rig)).toHaveLength(1);
  });
});

test('what waits is in the picture: not as used, and gone from it once a record has it', async () => {
  const rig = createRig({ profiles: [profile({ warm: { ...warm, min: 2 } })] });
  await steps(rig, 2);
  const ids = waitingIn(rig);
  const { capacity, warm: shown, host } = rig.reconciler.snapshot();
  expect([capacity.used, host.machines]).toEqual([0, 2]);
  expect(shown.map(({ id, profile: of, state }) => [id, of, state])).toEqual(ids.map((id) => [id, 'default', 'idle']));
  rig.forge.queue(1);
  await rig.step();
  const after = rig.reconciler.snapshot();
  expect(after.capacity.used).toBe(1);
  expect(after.warm.map(({ id }) => id)).not.toContain(after.runners[0]?.id);
  expect(aRunner(aJob(1)).id).not.toBe(after.runners[0]?.id);
});
