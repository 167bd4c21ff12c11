// Machines that wait for jobs, decision by decision: which job gets one, when they are made, and when they go.

import { describe, expect, test } from 'vitest';
import type { Action, Machine, Policy, Runner, World } from '../../src/core/model.ts';
import { isMachineId, isWarmId, warmIdOf } from '../../src/core/naming.ts';
import { plan } from '../../src/core/plan.ts';
import { aJob, aMachine, aPolicy, aProfile, aRunner, aWorld, known, listed, unknown } from '../support/build.ts';

const hour = 3_600_000;
const warm = { min: 1, maxAgeMs: hour };
const build = 'b1';
const kept = (over: Partial<Policy> = {}): Policy => aPolicy({ profiles: [aProfile({ warm })], ...over });
const warmth = (over: Partial<World['warmth']> = {}): World['warmth'] => ({
  builds: known(
    new Map([
      ['default', build],
      ['big', build],
    ]),
  ),
  usedAt: new Map(),
  rests: new Map(),
  ...over,
});
const waiting = (n: number, over: Partial<Machine> = {}): Machine =>
  aMachine(`w000000000${n}`, { slot: n, state: 'idle', warm: { profile: 'default', build }, ...over });
const worldOf = (machines: readonly Machine[], over: Partial<World> = {}): World =>
  aWorld({ machines: known(machines), warmth: warmth(), ...over });
const jobs = (...ids: number[]): World['jobs'] => new Map([['main', listed(ids.map((id) => aJob(id)))]]);
const bigJobs = (...ids: number[]): World['jobs'] => new Map([['main', listed(ids.map((id) => aJob(id, { labels: ['big'] })))]]);
const actionsOf = (world: World, policy: Policy, now = 1_000): readonly Action[] => plan(world, policy, now).actions;
const said = (actions: readonly Action[]): readonly string[] =>
  actions.map((action) => `${action.kind} ${action.id}${action.kind === 'cool' ? ` ${action.reason}` : ''}`);
const warmRunner = (machine: Machine, over: Partial<Runner> = {}): Runner =>
  aRunner(aJob(9), { id: machine.id, machine: machine.id, ...over });

describe('a job that waits', () => {
  test('gets the machine that waits, under the id of that machine: no second one is made, and none beside the launch', () => {
    const actions = actionsOf(worldOf([waiting(1)], { jobs: jobs(5) }), kept());
    expect(actions).toMatchObject([{ kind: 'launch', id: 'w0000000001', runner: { machine: 'w0000000001', slot: 1, job: { id: 5 } } }]);
    expect(actions).toHaveLength(1);
  });
  test('gets it also when the host is full, for that place is taken already', () => {
    const policy = kept({ maxConcurrent: 1, profiles: [aProfile({ warm, max: 1 })] });
    expect(said(actionsOf(worldOf([waiting(1)], { jobs: jobs(5) }), policy))).toEqual(['launch w0000000001']);
  });
  test('gets one that listens before one that starts, and the oldest first; each machine goes to one job', () => {
    const machines = [waiting(1, { state: 'starting' }), waiting(2, { startedAt: 500 }), waiting(3, { startedAt: 400 })];
    const policy = kept({ profiles: [aProfile({ warm: { ...warm, min: 3 } })] });
    const launches = actionsOf(worldOf(machines, { jobs: jobs(5, 6, 7, 8) }), policy);
    expect(launches.map((action) => (action.kind === 'launch' ? [action.runner.job.id, action.id] : []))).toMatchObject([
      [5, 'w0000000003'],
      [6, 'w0000000002'],
      [7, 'w0000000001'],
      [8, expect.stringMatching(/^j/)],
    ]);
  });
  test.each([
    ['another profile', { warm: { profile: 'other', build } }],
    ['another build', { warm: { profile: 'default', build: 'b0' } }],
    ['nobody knows which build', { warm: undefined }],
  ])('gets none of %s', (_, over) => {
    const { warm: unsaid, ...rest } = { ...waiting(1), ...over };
    const machine = unsaid === undefined ? rest : { ...rest, warm: unsaid };
    const actions = actionsOf(worldOf([machine], { jobs: jobs(5) }), kept());
    expect(said(actions)).toEqual([
      'cool w0000000001 ' + (_ === 'another build' ? 'outdated' : 'surplus'),
      expect.stringMatching(/^launch j/),
    ]);
  });
  test('gets none while nobody can say what machines are made of, and none of them is removed', () => {
    for (const builds of [unknown, known(new Map<string, string>())])
      expect(said(actionsOf(worldOf([waiting(1)], { jobs: jobs(5), warmth: warmth({ builds }) }), kept()))).toEqual([
        expect.stringMatching(/^launch j/),
      ]);
  });
  test('gets none that a record speaks of, that an action is under way for, or that a launch in line takes', () => {
    const machine = waiting(1);
    const launch = { kind: 'launch', id: machine.id, runner: warmRunner(machine) } as const;
    const busy = [
      { runners: [warmRunner(machine)] },
      { inFlight: new Set([machine.id]) },
      { inFlight: new Set([machine.id]), beginning: [launch] },
    ];
    for (const over of busy)
      expect(said(actionsOf(worldOf([machine], { jobs: jobs(5), ...over }), kept())).filter((line) => line.includes('5'))).toEqual([
        expect.stringMatching(/^launch j0000005/),
      ]);
  });
  test('I3 is not started twice while its launch is in line and no record speaks of it yet', () => {
    const machine = waiting(1);
    const runner = warmRunner(machine, { job: aRunner(aJob(5)).job });
    const over = { jobs: jobs(5), inFlight: new Set([machine.id]), beginning: [{ kind: 'launch', id: machine.id, runner } as const] };
    expect(plan(worldOf([machine, waiting(2)], over), kept(), 1_000)).toMatchObject({ actions: [], denials: [] });
  });
});

describe('a machine that waits gives way', () => {
  const two = [aProfile({ warm }), aProfile({ name: 'big', labels: ['big'] })];

  test.each([
    ['all places are taken', { maxConcurrent: 1 }, 'capacity'],
    ['all subnets are taken', { slots: 1 }, 'no-slot'],
  ])('to a job of another profile when %s, once, and is not made anew before that job has its place', (_, over, reason) => {
    const policy = kept({ profiles: two, ...over });
    const machine = waiting(1, { slot: 0 });
    const first = plan(worldOf([machine], { jobs: bigJobs(5) }), policy, 1_000);
    expect(said(first.actions)).toEqual(['cool w0000000001 room']);
    expect(first.denials).toMatchObject([{ reason, sentence: expect.stringContaining('w0000000001, which waits for jobs, gives way') }]);
    const next = plan(worldOf([machine], { jobs: bigJobs(5), inFlight: new Set([machine.id]) }), policy, 1_100);
    expect([next.actions, next.denials]).toMatchObject([[], [{ reason, sentence: expect.stringContaining('it starts when one') }]]);
    expect(said(actionsOf(worldOf([], { jobs: bigJobs(5) }), policy))).toEqual([expect.stringMatching(/^launch j/)]);
  });
  test('one machine for one job: while one of two is on its way out, the second job has another give way', () => {
    const policy = kept({ maxConcurrent: 3, profiles: [aProfile({ warm: { ...warm, min: 3 } }), two[1] ?? aProfile()] });
    const machines = [waiting(1), waiting(2), waiting(3)];
    expect(said(actionsOf(worldOf(machines, { jobs: bigJobs(5) }), policy))).toEqual(['cool w0000000003 room']);
    const underWay = { jobs: bigJobs(5, 6), inFlight: new Set(['w0000000003']) };
    expect(said(actionsOf(worldOf(machines, underWay), policy))).toEqual(['cool w0000000002 room']);
  });
  test('one that a launch in line takes is none that leaves: another gives way', () => {
    const policy = kept({ maxConcurrent: 2, profiles: [aProfile({ warm: { ...warm, min: 2 } }), two[1] ?? aProfile()] });
    const taken = waiting(1);
    const beginning = [{ kind: 'launch', id: taken.id, runner: warmRunner(taken) } as const];
    const world = worldOf([taken, waiting(2)], { jobs: bigJobs(5), inFlight: new Set([taken.id]), beginning });
    expect(said(actionsOf(world, policy))).toEqual(['cool w0000000002 room']);
    const capped = kept({ profiles: [aProfile({ warm, max: 2 })] });
    const counted = worldOf([taken], { jobs: jobs(5), inFlight: new Set([taken.id]), beginning });
    expect(said(actionsOf(counted, capped))).toEqual([expect.stringMatching(/^launch j0000005/)]);
  });
  test('to nobody whom it does not help: a repository at its cap, a label that nobody has', () => {
    const world = worldOf([waiting(1)], {
      jobs: new Map([['main', listed([aJob(5, { labels: ['big'], repositoryId: 3 }), aJob(6, { labels: ['gpu'] })])]]),
      runners: [aRunner(aJob(1, { repositoryId: 3 }), { assignedAt: 1, pickedAt: 1, slot: 7 })],
    });
    const actions = actionsOf(
      { ...world, machines: known([waiting(1), aMachine(world.runners[0]?.id ?? '', { slot: 7 })]) },
      kept({ profiles: two, maxPerRepository: 1 }),
    );
    expect(said(actions).filter((line) => line.startsWith('cool'))).toEqual([]);
  });
  test('to a configuration that allows fewer machines: none waits where nothing is started', () => {
    expect(said(actionsOf(worldOf([waiting(1)]), kept({ maxConcurrent: 0 })))).toEqual(['cool w0000000001 surplus']);
  });
});

describe('machines are started to wait', () => {
  const three = kept({ profiles: [aProfile({ warm: { ...warm, min: 3 } })] });

  test('as many as are wanted, two at once, each in a slot of its own and under an id of ours that no other has', () => {
    const actions = actionsOf(worldOf([]), three);
    expect(actions).toMatchObject([
      { kind: 'warm', profile: 'default', slot: 0 },
      { kind: 'warm', profile: 'default', slot: 1 },
    ]);
    const ids = actions.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    expect(ids.every((id) => isMachineId(id) && isWarmId(id))).toBe(true);
    expect(warmIdOf('a', 0, 1)).not.toBe(warmIdOf('b', 0, 1));
  });
  test('none where a profile asks for none', () => {
    expect(actionsOf(worldOf([]), aPolicy())).toEqual([]);
  });
  test('I4 those whose start is under way count: against what is wanted, the capacity, the max and their slots', () => {
    const beginning = [0, 1].map((slot) => ({ kind: 'warm', id: warmIdOf('test', slot, 1), profile: 'default', slot }) as const);
    const underWay = { beginning: beginning.slice(0, 1), inFlight: new Set([beginning[0]?.id ?? '']) };
    expect(actionsOf(worldOf([], underWay), three)).toMatchObject([{ kind: 'warm', slot: 1 }]);
    expect(actionsOf(worldOf([], underWay), { ...three, maxConcurrent: 1 })).toEqual([]);
    expect(actionsOf(worldOf([], underWay), kept({ profiles: [aProfile({ warm: { ...warm, min: 3 }, max: 1 })] }))).toEqual([]);
    expect(actionsOf(worldOf([], { beginning, inFlight: new Set(beginning.map(({ id }) => id)) }), three)).toEqual([]);
    const launch = actionsOf(worldOf([], { ...underWay, jobs: jobs(5) }), three);
    expect(launch).toMatchObject([{ kind: 'launch', runner: { slot: 1 } }]);
  });
  test('not one more while the one that is wanted starts, and never two in one subnet', () => {
    const id = warmIdOf('test', 0, 1);
    const beginning = [{ kind: 'warm', id, profile: 'default', slot: 0 } as const];
    expect(actionsOf(worldOf([], { beginning, inFlight: new Set([id]) }), kept())).toEqual([]);
    expect(actionsOf(worldOf([]), { ...three, slots: 1 })).toHaveLength(1);
  });
  test('I4 those that wait count against the max of their profile and the capacity', () => {
    const policy = kept({ profiles: [aProfile({ warm: { ...warm, min: 2 }, max: 2 })] });
    const runner = aRunner(aJob(1), { assignedAt: 1, pickedAt: 1, slot: 9 });
    const world = worldOf([waiting(1), aMachine(runner.id, { slot: 9 })], { runners: [runner] });
    expect(actionsOf(world, policy)).toEqual([]);
    expect(actionsOf(worldOf([waiting(1)]), kept({ maxConcurrent: 1, profiles: three.profiles }))).toEqual([]);
  });
  test.each<[string, Partial<World>, Partial<Policy>]>([
    ['while a job is being launched', { beginning: [{ kind: 'launch', id: 'j0000005abc', runner: aRunner(aJob(5)) }] }, {}],
    ['while a job waits for a place', { jobs: jobs(5) }, { maxConcurrent: 0 }],
    ['while the host cannot be listed', { machines: unknown }, {}],
    ['while nobody can say what they would be made of', { warmth: warmth({ builds: unknown }) }, {}],
    ['while theirs rest because they died', { warmth: warmth({ rests: new Map([['default', { until: 2_000, count: 1 }]]) }) }, {}],
    ['on a disk that is too full', { room: known({ path: '/state', bytes: 1 }) }, { floor: { bytes: 2, inodes: 0 } }],
    ['while the service drains', {}, { mode: 'draining' }],
    ['while everything is ended', {}, { mode: 'ending' }],
    ['where nothing is started', {}, { maxConcurrent: 0 }],
    ['when no subnet is free', {}, { slots: 0 }],
  ])('but none %s', (_, world, policy) => {
    expect(said(actionsOf(worldOf([], world), kept(policy))).filter((line) => line.startsWith('warm'))).toEqual([]);
  });
  test('beside a job of another profile that is held back for its own reasons, they are', () => {
    const backOffs = new Map([['handle-5', { until: 9_000, count: 1, reason: 'unpicked' as const, forge: 'main', repositoryId: 1 }]]);
    expect(said(actionsOf(worldOf([], { jobs: jobs(5), backOffs }), kept()))).toEqual([expect.stringMatching(/^warm w/)]);
  });
});

describe('a machine that waits is taken away', () => {
  test('I9 never when it was given a job and its record is lost: what it does is asked first', () => {
    expect(actionsOf(worldOf([waiting(1, { state: 'running' })], { jobs: jobs() }), kept()).filter(({ kind }) => kind !== 'warm')).toEqual(
      [],
    );
    const busy = worldOf([waiting(1, { state: 'running' })], { jobs: jobs(5) });
    expect(said(actionsOf(busy, kept()))).toEqual([expect.stringMatching(/^launch j0000005/)]);
  });
  test.each<[string, string, Partial<Machine>, Partial<Policy>, number]>([
    ['died', 'when it has ended', { state: 'exited', exit: { result: 'signal', code: 'killed', status: 'KILL' } }, {}, 1_000],
    ['draining', 'when nothing more is started', {}, { mode: 'draining' }, 1_000],
    ['surplus', 'when its profile wants none any more', {}, { profiles: [aProfile()] }, 1_000],
    ['surplus', 'when its profile has left', {}, { profiles: [aProfile({ name: 'big' })] }, 1_000],
    ['start-timeout', 'when it does not come up', { state: 'starting' }, {}, 60_001],
    ['outdated', 'when it is made of something else', { warm: { profile: 'default', build: 'b0' } }, {}, 1_000],
    ['aged', 'when it has waited for as long as one may', {}, {}, hour + 1],
  ])('(%s) %s', (reason, _, machine, policy, now) => {
    const actions = actionsOf(worldOf([waiting(1, machine)]), kept(policy), now);
    expect(said(actions)[0]).toBe(`cool w0000000001 ${reason}`);
  });
  test('not a moment earlier than that', () => {
    expect(actionsOf(worldOf([waiting(1)]), kept(), hour)).toEqual([]);
    expect(actionsOf(worldOf([waiting(1, { state: 'starting' })]), kept(), 60_000)).toEqual([]);
  });
  test('when there are more than wanted: those that were started last', () => {
    const machines = [waiting(1), waiting(2, { startedAt: 10 }), waiting(3, { startedAt: 5 })];
    expect(said(actionsOf(worldOf(machines), kept()))).toEqual(['cool w0000000003 surplus', 'cool w0000000002 surplus']);
  });
  test('and, where removing failed, is tried again when that is due', () => {
    const error = { code: 'DRIVER_FAILED', message: '' };
    const retries = new Map([['w0000000001', { action: 'cool' as const, attempts: 1, at: 2_000, error }]]);
    const world = worldOf([waiting(1, { state: 'exited' })], { retries });
    expect(said(actionsOf(world, kept({ maxConcurrent: 1 }), 1_999))).toEqual([]);
    expect(said(actionsOf(world, kept({ maxConcurrent: 1 }), 2_000))).toEqual(['cool w0000000001 died']);
  });
  test('once, by whoever ends everything', () => {
    expect(said(actionsOf(worldOf([waiting(1)]), kept({ mode: 'ending' })))).toEqual(['sweep-machine w0000000001']);
  });
});

describe('how long a profile keeps machines without jobs', () => {
  const lingering = kept({ profiles: [aProfile({ warm: { ...warm, maxAgeMs: 100 * hour, lingerMs: hour } })] });
  const usedAt = new Map([['default', 500]]);
  const used = (machines: readonly Machine[]): World => worldOf(machines, { warmth: warmth({ usedAt }) });

  test('a cycle without a job ends those that wait, by a set clock: not a moment before its end, and none is made after it', () => {
    expect(actionsOf(used([waiting(1)]), lingering, 500 + hour)).toEqual([]);
    expect(said(actionsOf(used([waiting(1)]), lingering, 501 + hour))).toEqual(['cool w0000000001 unused']);
    expect(actionsOf(used([]), lingering, 501 + hour)).toEqual([]);
    expect(said(actionsOf(used([]), lingering, 500 + hour))).toEqual([expect.stringMatching(/^warm/)]);
  });
  test('without such a policy they are kept for ever, each for its own time', () => {
    expect(actionsOf(used([waiting(1, { startedAt: 50 * hour })]), kept(), 51 * hour)).toEqual([]);
  });
});
