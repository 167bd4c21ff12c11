// Runners that a person asked for, tick by tick: made, found again after a crash, given whatever job comes, ended when their time is over.

import { describe, expect, test, vi } from 'vitest';
import type { DispatchAnswer, DispatchMistake, DispatchWish } from '../../src/core/dispatched.ts';
import type { Policy, Runner } from '../../src/core/model.ts';
import { aJob, aPolicy, aProfile } from '../support/build.ts';
import { createRig, flushed, type Rig } from '../support/reconciler-rig.ts';

const minute = 60_000;
const dispatch = { labels: ['debian', 'big'] };
const wish: DispatchWish = { labels: ['debian'], count: 1, ttlMs: 20 * minute };

/** Asked, and answered by the tick that comes. */
async function dispatched(rig: Rig, over: Partial<DispatchWish> = {}): Promise<DispatchAnswer> {
  const answering = rig.reconciler.dispatch({ ...wish, ...over }, 'test');
  await rig.step();
  return accepted(await answering);
}

function accepted(answer: DispatchAnswer | DispatchMistake): DispatchAnswer {
  if ('mistake' in answer) throw new Error(answer.sentence);
  return answer;
}

async function steps(rig: Rig, count: number, ms = 1_000): Promise<void> {
  for (let n = 0; n < count; n += 1) await rig.step(ms);
}

const idOf = ({ runners: [runner] }: Pick<DispatchAnswer, 'runners'>): string => runner?.id ?? '';
const recordOf = (rig: Rig, id: string): Runner | undefined => rig.store.records.get(id);
const events = (rig: Rig, event: string) => rig.log.lines.filter((line) => line.event === event).map(({ facts }) => facts);
/** The jobs of the records; 0 is none yet. */
const jobsOf = (rig: Rig): readonly number[] => [...rig.store.records.values()].map(({ job }) => job.id).toSorted((a, b) => a - b);
const nothingLeft = (rig: Rig): void => {
  expect([rig.store.records.size, rig.driver.machines.size, rig.forge.rows.length]).toEqual([0, 0, 0]);
};

const reload = (rig: Rig, policy: Partial<Policy>): void =>
  rig.reconciler.configure({ forges: [{ forge: rig.forge, url: 'http://forge.test', pollIntervalMs: 1_000 }], policy: aPolicy(policy) });

/** Its runner takes that job, and says so on its console. */
function takes(rig: Rig, id: string, job: number): void {
  rig.forge.pick(recordOf(rig, id)?.credentials?.uuid ?? '', `handle-${job}`);
  rig.driver.say(id, `level=info msg="task ${job + 1000} repo is acme/demo https://data.test http://forge.test"`);
}

describe('a runner that was dispatched', () => {
  test('is registered for labels and no job, and says who asked for it, until when, and that it has none', async () => {
    const rig = createRig({ dispatch });
    const answer = await dispatched(rig, { count: 2 });
    expect(answer.refused).toBeUndefined();
    const ids = answer.runners.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    for (const id of ids) {
      expect(id).toMatch(/^jd[0-9a-z]{9}$/);
      expect(rig.driver.machines.get(id)?.assignment).toMatchObject({ handle: '', labels: ['debian'] });
      expect(recordOf(rig, id)).toMatchObject({ dispatch: { ttlMs: 20 * minute }, job: { id: 0, labels: ['debian'] } });
    }
    expect(rig.forge.rows.map(({ name }) => name).toSorted()).toEqual(ids.toSorted());
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'waiting-for-job' }, { phase: 'waiting-for-job' }]);
    expect(events(rig, 'order')).toMatchObject([{ by: 'test', order: 'dispatch', wanted: 2, accepted: 2, runners: ids }]);
  });

  test('takes the job that comes, which is known by its own words, and nothing of it is left when that has ended', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    await rig.step();
    rig.forge.queue(1);
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
    expect(rig.reconciler.snapshot().denials).toMatchObject([{ reason: 'dispatched', job: { id: 1 } }]);
    takes(rig, id, 1);
    await steps(rig, 2);
    expect(recordOf(rig, id)).toMatchObject({ job: { id: 1, handle: 'handle-1' }, taskId: 1001, pickedAt: expect.any(Number) });
    expect(events(rig, 'picked')).toMatchObject([{ runner: id, job: 1, dispatched: true }]);
    await steps(rig, 30);
    expect(rig.driver.machines.get(id)?.state).toBe('running');
    rig.forge.end('handle-1');
    rig.driver.end(id);
    await steps(rig, 2);
    nothingLeft(rig);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ id, job: { id: 1 }, reason: 'finished' }]);
  });

  test('that no job came to is ended when its time is over, machine, registration and record', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    await rig.step(20 * minute - 2_000);
    expect(rig.driver.machines.get(id)?.state).toBe('running');
    await rig.step(3_000);
    expect(recordOf(rig, id)?.stop).toMatchObject({ reason: 'no-job' });
    expect(rig.forge.calls.filter((call) => call.startsWith('withhold'))).toHaveLength(1);
    await steps(rig, 2);
    nothingLeft(rig);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ id, reason: 'no-job' }]);
    expect(rig.reconciler.snapshot().backOffs).toEqual([]);
  });

  test('I9 whose time is over just when a job came is asked once more, is at work, and then its time is its deadline', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    // The list does not show the job yet when the time is over.
    const late = rig.forge.queue(1, { state: 'running', taskId: 1001 });
    rig.forge.pick(recordOf(rig, id)?.credentials?.uuid ?? '', late.handle);
    rig.driver.say(id, 'task 1001 repo is acme/demo');
    rig.forge.fail('jobs', 1);
    await rig.step(20 * minute);
    expect(recordOf(rig, id)?.stop).toBeUndefined();
    await steps(rig, 2);
    expect(recordOf(rig, id)).toMatchObject({ job: { id: 1 }, stop: { reason: 'ttl' } });
  });

  test('has its time in all: a job that it has by then is ended, and no other clock ends it before', async () => {
    const rig = createRig({
      dispatch,
      profiles: [aProfile({ timeouts: { startMs: minute, pickMs: 1_000, jobMs: 30 * minute, stopMs: 10_000 } })],
    });
    const id = idOf(await dispatched(rig));
    await rig.step(10 * minute);
    expect(recordOf(rig, id)?.stop).toBeUndefined();
    rig.forge.queue(1);
    takes(rig, id, 1);
    await steps(rig, 2);
    await rig.step(9 * minute);
    expect(recordOf(rig, id)?.stop).toBeUndefined();
    await rig.step(minute);
    expect(recordOf(rig, id)?.stop?.reason).toBe('ttl');
  });

  test('lives no longer than its profile lets a job take', async () => {
    const rig = createRig({
      dispatch,
      profiles: [aProfile({ timeouts: { startMs: minute, pickMs: minute, jobMs: 5 * minute, stopMs: 10_000 } })],
    });
    const answer = await dispatched(rig);
    expect(answer.runners[0]?.dispatch.ttlMs).toBe(5 * minute);
    expect(rig.driver.machines.get(idOf(answer))?.spec.runtimeMaxMs).toBeGreaterThan(5 * minute);
    await steps(rig, 8, minute);
    nothingLeft(rig);
  });

  test('that nobody can ask about is ended a little after its time all the same', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    rig.forge.fail('registration', 1_000);
    await rig.step(20 * minute);
    expect(recordOf(rig, id)?.stop).toBeUndefined();
    await rig.step(11_000);
    expect(recordOf(rig, id)?.stop?.reason).toBe('ttl');
  });

  test('which has a job that nothing tells is busy, and its forge is asked about it once per list', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    rig.forge.queue(1);
    rig.forge.pick(recordOf(rig, id)?.credentials?.uuid ?? '', 'handle-1');
    rig.driver.say(id, 'task 9999 repo is somebody/else');
    await steps(rig, 2);
    expect(recordOf(rig, id)).toMatchObject({ job: { id: 0 }, pickedAt: expect.any(Number) });
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'busy' }]);
    await steps(rig, 60);
    const before = rig.driver.calls.filter(({ verb }) => verb === 'output').length;
    await steps(rig, 100);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'output')).toHaveLength(before);
    expect(recordOf(rig, id)?.stop).toBeUndefined();
  });

  test('is not asked about for jobs that cannot be its own, nor twice upon one list', async () => {
    const rig = createRig({ dispatch, profiles: [aProfile(), aProfile({ name: 'big', labels: ['big'] })] });
    await dispatched(rig);
    const asked = (): number => rig.forge.calls.filter((call) => call.startsWith('registration ')).length;
    rig.forge.queue(5, { labels: ['arm'], state: 'running', taskId: 7 });
    await steps(rig, 5);
    expect(asked()).toBe(0);
    rig.forge.queue(6, { state: 'running', taskId: 8 });
    await rig.step();
    expect(asked()).toBe(1);
    await rig.step(0);
    await rig.step(0);
    expect(asked()).toBe(1);
    await rig.step();
    expect(asked()).toBe(2);
  });

  test('is asked about seldom while the same foreign job runs on, and at once when a newer one does', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    const asked = (): number => rig.forge.calls.filter((call) => call.startsWith('registration ')).length;
    rig.forge.queue(6, { state: 'running', taskId: 8 });
    await steps(rig, 30);
    const first = asked();
    expect(first).toBeGreaterThan(20);
    await steps(rig, 600);
    expect(asked() - first).toBeLessThan(15);
    rig.forge.queue(1);
    takes(rig, id, 1);
    await steps(rig, 2);
    expect(recordOf(rig, id)).toMatchObject({ job: { id: 1 } });
  });

  test('whose job is listed late, behind a newer foreign one that runs on, is found all the same', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    rig.forge.queue(6, { state: 'running', taskId: 9_000 });
    await steps(rig, 100);
    expect(recordOf(rig, id)?.pickedAt).toBeUndefined();
    rig.forge.queue(1);
    takes(rig, id, 1);
    await steps(rig, 65);
    expect(recordOf(rig, id)).toMatchObject({ job: { id: 1 } });
  });

  test('whose machine dies with a job that nobody knew has that job reported: Forgejo says whose task it is', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    rig.forge.queue(8, { state: 'running', taskId: 1008 });
    rig.forge.queue(7);
    rig.forge.pick(recordOf(rig, id)?.credentials?.uuid ?? '', 'handle-7');
    rig.driver.end(id, { result: 'signal', code: 'killed', status: 'KILL' });
    await steps(rig, 2);
    expect([...rig.forge.reports.keys()]).toEqual([1007]);
    nothingLeft(rig);
  });

  test('ends at a drain if it has no job, by the same look as ever', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    const busy = idOf(await dispatched(rig));
    rig.forge.queue(1);
    takes(rig, busy, 1);
    await steps(rig, 2);
    rig.reconciler.drain(true, 'test');
    await steps(rig, 15);
    expect([...rig.store.records.keys()]).toEqual([busy]);
    expect(events(rig, 'finalize')).toMatchObject([{ runner: id, reason: 'no-job' }]);
  });
});

describe('a reload that forbids what was dispatched', () => {
  const other = aProfile({ name: 'other', labels: ['other'] });
  const tightened: readonly (readonly [string, Partial<Policy>])[] = [
    ['takes the label out of dispatch', { dispatch: { labels: ['big'] }, profiles: [aProfile()] }],
    ['takes dispatch out', { profiles: [aProfile()] }],
    ['takes the profile out', { dispatch, profiles: [other, aProfile({ name: 'heir' })] }],
    ['has the profile refuse forks', { dispatch, profiles: [aProfile({ refusesForks: true })] }],
    ['has the profile ask for repositories', { dispatch, profiles: [aProfile({ repositories: { allow: ['a/b'] } })] }],
    ['has the profile ask for events', { dispatch, profiles: [aProfile({ events: { deny: ['pull_request'] } })] }],
  ];

  test.each(tightened)('%s: who waits is ended by the same looks, who has a job goes on', async (_, policy) => {
    const rig = createRig({ dispatch });
    const busy = idOf(await dispatched(rig));
    rig.forge.queue(1);
    takes(rig, busy, 1);
    await steps(rig, 2);
    const id = idOf(await dispatched(rig));
    await steps(rig, 15);
    reload(rig, policy);
    await rig.step();
    expect(recordOf(rig, id)?.stop?.reason).toBe('no-job');
    expect(rig.forge.calls.filter((call) => call.startsWith('withhold'))).toHaveLength(1);
    await steps(rig, 3);
    expect([...rig.store.records.keys()]).toEqual([busy]);
    expect(recordOf(rig, busy)?.stop).toBeUndefined();
  });

  test.each(tightened)('%s: one that is not up yet never is', async (_, policy) => {
    const rig = createRig({ dispatch });
    rig.driver.fail('start', { times: 1 });
    const id = idOf(await dispatched(rig));
    reload(rig, policy);
    await steps(rig, 3);
    nothingLeft(rig);
    expect(events(rig, 'finalize')).toMatchObject([{ runner: id, reason: 'no-job' }]);
    expect(events(rig, 'assign')).toEqual([]);
  });

  test('I9 and comes when it has just taken a job leaves it at work: it is asked once more', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    await steps(rig, 15);
    rig.forge.queue(1);
    takes(rig, id, 1);
    rig.forge.fail('jobs', 1);
    reload(rig, {});
    await steps(rig, 5);
    expect(recordOf(rig, id)).toMatchObject({ job: { id: 1 } });
    expect(recordOf(rig, id)?.stop).toBeUndefined();
  });

  test('is heard by an order that no plan has taken yet', async () => {
    const rig = createRig({ dispatch });
    const answer = rig.reconciler.dispatch(wish, 'test');
    reload(rig, {});
    await rig.step();
    expect(await answer).toMatchObject({ runners: [], refused: { reason: 'unmatched' } });
    nothingLeft(rig);
  });
});

describe('I8 a kill', () => {
  test.each(['start', 'assign'] as const)('in the middle of a dispatch (%s): the next start goes on with it, once', async (verb) => {
    const rig = createRig({ dispatch });
    rig.driver.fail(verb, { times: 1 });
    const id = idOf(await dispatched(rig));
    rig.restart();
    await steps(rig, 3);
    expect([...rig.store.records.keys()]).toEqual([id]);
    expect(rig.driver.machines.get(id)?.assignment?.handle).toBe('');
    expect(rig.forge.rows.map(({ name }) => name)).toEqual([id]);
  });

  test('that leaves half a machine: it is made again, and the runner that was promised waits', async () => {
    const rig = createRig({ dispatch });
    rig.driver.fail('start', { times: 1, after: true });
    const id = idOf(await dispatched(rig));
    rig.driver.end(id, { result: 'lost', code: '', status: '' });
    rig.restart();
    await steps(rig, 3);
    expect(rig.driver.machines.get(id)).toMatchObject({ state: 'running', assignment: { handle: '' } });
    expect(events(rig, 'finalize')).toEqual([]);
  });

  test('that takes the host with it after the registration ends the runner: it may have had a job', async () => {
    const rig = createRig({ dispatch });
    rig.driver.fail('assign', { times: 1, after: true });
    const id = idOf(await dispatched(rig));
    rig.driver.end(id, { result: 'lost', code: '', status: '' });
    rig.restart();
    await steps(rig, 3);
    expect(events(rig, 'finalize')).toMatchObject([{ runner: id, reason: 'machine-lost' }]);
    nothingLeft(rig);
  });

  test('later: it waits on, takes its job, and its time is what it was', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    rig.restart();
    await steps(rig, 3);
    rig.forge.queue(1);
    takes(rig, id, 1);
    rig.restart();
    await steps(rig, 3);
    expect(recordOf(rig, id)).toMatchObject({ job: { id: 1 } });
    await rig.step(20 * minute);
    expect(recordOf(rig, id)?.stop?.reason).toBe('ttl');
  });
});

describe('an order', () => {
  test('I1 is answered when the records are on the disk; one that cannot be written is refused, and nothing of it stays', async () => {
    const rig = createRig({ dispatch });
    rig.store.fail(1);
    const answering = rig.reconciler.dispatch({ ...wish, count: 2 }, 'test');
    await rig.step();
    const answer = await answering;
    if ('mistake' in answer) throw new Error(answer.sentence);
    expect(answer.refused?.reason).toBe('store-failed');
    expect(answer.runners.map(({ id }) => id)).toEqual([...rig.store.records.keys()]);
    await steps(rig, 5);
    expect(rig.store.records.size).toBe(1);
    expect(rig.driver.machines.size).toBe(1);
  });

  test('I4 gets what jobs leave free, and is told why the rest is refused', async () => {
    const rig = createRig({ dispatch, maxConcurrent: 3 });
    for (const id of [1, 2]) rig.forge.queue(id);
    const answer = await dispatched(rig, { count: 5 });
    expect(answer.runners).toHaveLength(1);
    expect(answer.refused).toMatchObject({ reason: 'capacity', sentence: expect.stringContaining('maxConcurrent') });
    expect(rig.driver.machines.size).toBe(3);
    expect((await dispatched(rig)).runners).toEqual([]);
  });

  test.each([
    ['of a profile that is full', { profiles: [aProfile({ max: 1 })] }, 1, 'profile-capacity'],
    ['beyond the address pool', { slots: 2 }, 2, 'no-slot'],
    ['below the free space that there must be', { floor: { bytes: 2 ** 50, inodes: 0 } }, 0, 'host-full'],
  ] as const)('%s is refused', async (_, policy, accepted, reason) => {
    const rig = createRig({ dispatch, ...policy });
    const answer = await dispatched(rig, { count: 4 });
    expect([answer.runners.length, answer.refused?.reason]).toEqual([accepted, reason]);
  });

  test('I2 starts nothing while the host cannot be listed, nor while draining', async () => {
    const rig = createRig({ dispatch });
    rig.driver.fail('list', { times: 1 });
    expect((await dispatched(rig)).refused?.reason).toBe('host-unknown');
    rig.reconciler.drain(true, 'test');
    expect((await dispatched(rig)).refused?.reason).toBe('draining');
    nothingLeft(rig);
  });

  test.each([
    ['where nothing may be', {}, {}, 'off', 'dispatch.labels'],
    ['of a label that is not allowed', { dispatch: { labels: ['big'] } }, {}, 'labels', '"debian"'],
    [
      'of labels that no profile has all of',
      { dispatch, profiles: [aProfile(), aProfile({ name: 'big', labels: ['big'] })] },
      { labels: ['debian', 'big'] },
      'labels',
      'big',
    ],
    ['of a profile that takes no forks', { dispatch, profiles: [aProfile({ refusesForks: true })] }, {}, 'labels', 'where jobs come from'],
    [
      'of a profile that takes some repositories alone',
      { dispatch, profiles: [aProfile({ repositories: { allow: ['a/b'] } })] },
      {},
      'labels',
      'where jobs come from',
    ],
    ['for a forge that is not there', { dispatch }, { forge: 'other' }, 'forge', 'main'],
  ] as const)('%s is a mistake, and is told at once', async (_, policy, over, mistake, word) => {
    const rig = createRig(policy);
    const answer = await rig.reconciler.dispatch({ ...wish, ...over }, 'test');
    expect(answer).toMatchObject({ mistake, sentence: expect.stringContaining(word) });
  });

  test('that no plan has taken in time is refused, and nothing of it is started later', async () => {
    const rig = createRig({ dispatch });
    const release = rig.driver.hold('list');
    const ticking = rig.reconciler.tick();
    const answer = rig.reconciler.dispatch(wish, 'test');
    rig.clock.advance(3_000);
    expect(await answer).toMatchObject({ runners: [], refused: { reason: 'late' } });
    release();
    await ticking;
    await steps(rig, 3);
    nothingLeft(rig);
  });

  test('that waits in line behind slow steps is refused in time for who asks, and nothing of it is started later', async () => {
    const rig = createRig({ dispatch, maxConcurrent: 40, slots: 60 });
    const release = rig.driver.hold('start');
    for (let id = 1; id <= 31; id += 1) rig.forge.queue(id);
    const answer = rig.reconciler.dispatch({ ...wish, count: 2 }, 'test');
    rig.clock.advance(1_000);
    await rig.reconciler.tick();
    await flushed();
    rig.clock.advance(3_000);
    const { runners, refused } = accepted(await answer);
    expect([runners.length, refused]).toMatchObject([1, { reason: 'late', sentence: expect.stringContaining('ask again') }]);
    expect(events(rig, 'order')).toMatchObject([{ wanted: 2, accepted: 1, reason: 'late' }]);
    await rig.reconciler.tick();
    release();
    await steps(rig, 3);
    expect([...rig.store.records.keys()].filter((id) => id.startsWith('jd'))).toEqual(runners.map(({ id }) => id));
    expect(rig.store.log.filter((entry) => entry.startsWith('put jd')).every((entry) => entry.includes(idOf({ runners })))).toBe(true);
  });

  test('whose record is written too slowly is refused, and that record goes again before anything is handed a job', async () => {
    const rig = createRig({ dispatch });
    const disk = Promise.withResolvers<undefined>();
    vi.spyOn(rig.store, 'put').mockImplementationOnce(async (runner) => {
      await disk.promise;
      await rig.store.put(runner);
    });
    const answer = rig.reconciler.dispatch(wish, 'test');
    await rig.reconciler.tick();
    await flushed();
    rig.clock.advance(4_000);
    expect(await answer).toMatchObject({ runners: [], refused: { reason: 'late' } });
    disk.resolve(undefined);
    await steps(rig, 3);
    nothingLeft(rig);
    expect(rig.driver.calls.filter(({ verb }) => verb === 'start' || verb === 'assign')).toEqual([]);
  });

  test('that comes when the service ends is refused, not forgotten', async () => {
    const rig = createRig({ dispatch });
    const answer = rig.reconciler.dispatch(wish, 'test');
    await rig.reconciler.run(AbortSignal.abort());
    expect(await answer).toMatchObject({ runners: [], refused: { reason: 'draining' } });
    expect(await rig.reconciler.dispatch(wish, 'test')).toMatchObject({ runners: [] });
  });
});

describe('polling beside it', () => {
  test('leaves it a job, but not for long: then that job gets a machine of its own', async () => {
    const rig = createRig({ dispatch });
    await dispatched(rig);
    rig.forge.queue(1);
    await steps(rig, 9);
    expect(rig.driver.machines.size).toBe(1);
    await steps(rig, 3);
    expect(jobsOf(rig)).toEqual([0, 1]);
  });

  test('starts at once what is more than those that wait can take, and what has other labels', async () => {
    const rig = createRig({ dispatch, profiles: [aProfile(), aProfile({ name: 'big', labels: ['big'] })] });
    await dispatched(rig);
    rig.forge.queue(1, { labels: ['big'] });
    await rig.step();
    expect(jobsOf(rig)).toEqual([0, 1]);
    rig.forge.queue(2);
    rig.forge.queue(3);
    await rig.step();
    expect(jobsOf(rig)).toEqual([0, 1, 3]);
  });

  test('and a runner that took the job of another one of ours: that one gives up, and neither is started again', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    rig.forge.queue(1);
    await steps(rig, 12);
    expect(rig.driver.machines.size).toBe(2);
    takes(rig, id, 1);
    await steps(rig, 60);
    expect([...rig.store.records.keys()]).toEqual([id]);
    expect(recordOf(rig, id)).toMatchObject({ job: { id: 1 } });
    expect(events(rig, 'launch')).toHaveLength(2);
  });

  test('I9 a job is not doubled: the record of one that was dispatched and has it keeps polling from starting it', async () => {
    const rig = createRig({ dispatch });
    const id = idOf(await dispatched(rig));
    const job = aJob(1);
    rig.forge.queue(1);
    takes(rig, id, 1);
    await steps(rig, 2);
    // A list that is older than what is known.
    rig.forge.queue(1, { handle: job.handle, state: 'waiting' });
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
  });
});
