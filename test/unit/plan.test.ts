// The decision of a tick: what is started, what ends, and what is left alone.

import { describe, expect, test } from 'vitest';
import type { Action, Job, Machine, Runner, World } from '../../src/core/model.ts';
import { plan } from '../../src/core/plan.ts';
import { aJob, aMachine, aPolicy, aProfile, aRegistration, aRunner, aWorld, known, listed, unknown } from '../support/build.ts';

const policy = aPolicy();
const waitingFor = (...jobs: readonly Job[]): Partial<World> => ({ jobs: new Map([['main', listed(jobs)]]) });
const launched = (actions: readonly Action[]): number[] =>
  actions.flatMap((action) => (action.kind === 'launch' ? [action.runner.job.id] : []));

describe('admission', () => {
  test('a waiting job whose labels are served gets a runner with a slot of its own', () => {
    const { actions, denials } = plan(aWorld(waitingFor(aJob(1), aJob(2))), policy, 1000);
    expect(launched(actions)).toEqual([1, 2]);
    expect(actions.flatMap((action) => (action.kind === 'launch' ? [action.runner.slot] : []))).toEqual([0, 1]);
    expect(denials).toEqual([]);
  });
  test('a job that runs already is not started again', () => {
    expect(plan(aWorld(waitingFor(aJob(1, { state: 'running', taskId: 9 }))), policy, 0).actions).toEqual([]);
  });
  test('a job that has a record is not started again', () => {
    const job = aJob(1);
    const world = aWorld({ ...waitingFor(job), runners: [aRunner(job, { assignedAt: 1 })], machines: known([aMachine(aRunner(job).id)]) });
    expect(launched(plan(world, policy, 1000).actions)).toEqual([]);
    expect(plan(world, policy, 1000).denials).toEqual([]);
  });
  test('jobs whose first labels are the same are each matched by all of theirs', () => {
    const { actions, denials } = plan(aWorld(waitingFor(aJob(1), aJob(2, { labels: ['debian', 'gpu'] }), aJob(3))), policy, 0);
    expect(launched(actions)).toEqual([1, 3]);
    expect(denials).toMatchObject([{ reason: 'unmatched', job: { id: 2 } }]);
  });
  test('a job that two forge entries list is started once', () => {
    const world = aWorld({
      jobs: new Map([
        ['main', listed([aJob(1)])],
        ['org', listed([aJob(1, { forge: 'org' })])],
      ]),
    });
    expect(launched(plan(world, policy, 0).actions)).toEqual([1]);
  });
  test('a job settled during the poll that still lists it is not started again; the next poll decides', () => {
    const settled = new Map([['handle-1', 4]]);
    const stale = aWorld({ jobs: new Map([['main', listed([aJob(1)], 4)]]), settled });
    const fresh = aWorld({ jobs: new Map([['main', listed([aJob(1)], 5)]]), settled });
    expect(launched(plan(stale, policy, 0).actions)).toEqual([]);
    expect(launched(plan(fresh, policy, 0).actions)).toEqual([1]);
  });
  test('repositories take turns, the oldest job of each first', () => {
    const jobs = [aJob(1), aJob(2), aJob(3), aJob(10, { repositoryId: 2 }), aJob(11, { repositoryId: 2 })];
    expect(launched(plan(aWorld(waitingFor(...jobs)), aPolicy({ maxConcurrent: 4 }), 0).actions)).toEqual([1, 10, 2, 11]);
  });
  test('a repository that already holds machines waits for the others', () => {
    const busy = aJob(1);
    const world = aWorld({
      ...waitingFor(busy, aJob(2), aJob(10, { repositoryId: 2 })),
      runners: [aRunner(busy)],
      machines: known([aMachine(aRunner(busy).id, { state: 'starting' })]),
    });
    expect(launched(plan(world, aPolicy({ maxConcurrent: 2 }), 0).actions)).toContain(10);
    expect(launched(plan(world, aPolicy({ maxConcurrent: 2 }), 0).actions)).not.toContain(2);
  });
  test('I4 records, machines without a record and actions in flight each count once against the capacity', () => {
    const recorded = aRunner(aJob(1));
    const world = aWorld({
      ...waitingFor(aJob(5), aJob(6), aJob(7)),
      runners: [recorded],
      machines: known([aMachine(recorded.id), aMachine('j0000002abc', { slot: 1 })]),
      inFlight: new Set([recorded.id, 'j0000003abc', 'main/77']),
    });
    expect(launched(plan(world, aPolicy({ maxConcurrent: 4 }), 0).actions)).toEqual([5]);
  });
  test('with no machine at all allowed nothing new is started, every waiting job is told so, and what was begun goes on', () => {
    const recorded = aRunner(aJob(1));
    const { actions, denials } = plan(aWorld({ ...waitingFor(aJob(5)), runners: [recorded] }), aPolicy({ maxConcurrent: 0 }), 0);
    expect(launched(actions)).toEqual([1]);
    expect(denials).toMatchObject([{ job: { id: 5 }, reason: 'capacity', sentence: 'nothing is started here: maxConcurrent is 0' }]);
  });
  test('per profile and per repository caps hold within one tick too', () => {
    const profiles = [aProfile({ max: 1 })];
    expect(launched(plan(aWorld(waitingFor(aJob(1), aJob(2))), aPolicy({ profiles }), 0).actions)).toEqual([1]);
    const capped = plan(aWorld(waitingFor(aJob(1), aJob(2), aJob(3, { repositoryId: 2 }))), aPolicy({ maxPerRepository: 1 }), 0);
    expect(launched(capped.actions)).toEqual([1, 3]);
    expect(capped.denials).toMatchObject([{ reason: 'repository-capacity', job: { id: 2 } }]);
  });
  const comer = { fork: false, repository: 'Team/Web', event: 'push' };
  test('a profile that refuses forks takes neither their jobs nor one of which that is not known, and another takes them', () => {
    const jobs = [aJob(1, { origin: comer }), aJob(2, { origin: { ...comer, fork: true }, runId: 2 }), aJob(3, { runId: 3 }), aJob(4)];
    const careful = aProfile({ name: 'careful', refusesForks: true });
    const { actions, denials } = plan(aWorld(waitingFor(...jobs)), aPolicy({ profiles: [careful] }), 0);
    expect(launched(actions)).toEqual([1]);
    expect(denials.map(({ reason, sentence }) => `${reason}: ${sentence}`)).toEqual([
      expect.stringMatching(/^fork: it is of a pull request of a fork, .*`careful`/),
      expect.stringMatching(/^fork: whether it is of a fork is not known, because its Forgejo has not said/),
      expect.stringMatching(/^fork: .* does not tell which run it belongs to \(16 and newer do\)/),
    ]);
    const both = plan(aWorld(waitingFor(...jobs)), aPolicy({ profiles: [careful, aProfile({ name: 'open' })] }), 0);
    expect(both.actions.map((action) => (action.kind === 'launch' ? action.runner.profile : ''))).toEqual([
      'careful',
      'open',
      'open',
      'open',
    ]);
  });
  test.each([
    ['repositories.allow', { repositories: { allow: ['team/docs', 'other/*'] } }],
    ['repositories.deny', { repositories: { allow: ['team/*'], deny: ['TEAM/w*b'] } }],
    ['events.allow', { events: { allow: ['schedule', 'pull_request'] } }],
    ['events.deny', { repositories: { deny: ['x/*'] }, events: { deny: ['push'] } }],
  ])('a job that the list %s of a profile refuses waits and says so, and another profile takes it', (list, gate) => {
    const jobs = [aJob(1, { origin: comer, runId: 1 })];
    const choosy = aProfile({ name: 'choosy', ...gate });
    const { actions, denials } = plan(aWorld(waitingFor(...jobs)), aPolicy({ profiles: [choosy] }), 0);
    expect(actions).toEqual([]);
    const said = list.startsWith('event') ? 'it was started by push' : 'its repository is Team/Web';
    expect(denials).toMatchObject([{ sentence: `${said}, which is not taken by: \`choosy\` (${list})` }]);
    const both = plan(aWorld(waitingFor(...jobs)), aPolicy({ profiles: [choosy, aProfile({ name: 'open' })] }), 0);
    expect(both.actions).toMatchObject([{ runner: { profile: 'open' } }]);
  });
  test('a profile with lists takes what they have, and nothing of which repository or event is not known', () => {
    const strict = aProfile({ name: 'strict', repositories: { allow: ['Team/*'] }, events: { deny: ['schedule'] } });
    const jobs = [
      aJob(1, { origin: comer, runId: 1 }),
      aJob(2, { runId: 2 }),
      aJob(3),
      aJob(4, { origin: { fork: false, repository: 'team/web' }, runId: 4 }),
    ];
    const { actions, denials } = plan(aWorld(waitingFor(...jobs)), aPolicy({ profiles: [strict] }), 0);
    expect(launched(actions)).toEqual([1]);
    expect(denials.map(({ reason, sentence }) => `${reason}: ${sentence}`)).toEqual([
      'repository: its repository is not known, because its Forgejo has not said, which is not taken by: `strict` (repositories.allow)',
      expect.stringMatching(/^repository: .* does not tell which run it belongs to \(16 and newer do\)/),
      'event: the event that started it is not known, because its Forgejo has not said, which is not taken by: `strict` (events.deny)',
    ]);
  });
  test('when the first profile is full, another that serves the job takes it', () => {
    const profiles = [aProfile({ name: 'small', max: 1 }), aProfile({ name: 'big' })];
    const { actions } = plan(aWorld(waitingFor(aJob(1), aJob(2))), aPolicy({ profiles }), 0);
    expect(actions.map((action) => action.kind === 'launch' && action.runner.profile)).toEqual(['small', 'big']);
  });
  test('subnets that are not yet seen gone are never given again: exhausted means wait', () => {
    const world = aWorld({ ...waitingFor(aJob(1)), machines: known([aMachine('j0000009abc', { slot: 0, state: 'exited' })]) });
    const { denials, actions } = plan(world, aPolicy({ slots: 1 }), 0);
    expect(launched(actions)).toEqual([]);
    expect(denials).toMatchObject([{ reason: 'no-slot' }]);
  });
});

const denialOf = (world: World, over = {}) => plan(world, aPolicy(over), 0).denials[0];

describe('denials', () => {
  test('a label with a line break in it neither passes for two labels nor spoils those of an honest job', () => {
    const profiles = [aProfile({ labels: ['debian', 'x64'] })];
    const [hostile, honest] = [aJob(1, { labels: ['debian\nx64'] }), aJob(2, { labels: ['debian', 'x64'] })];
    for (const jobs of [
      [hostile, honest],
      [aJob(0, { labels: honest.labels }), hostile],
    ]) {
      const { actions, denials } = plan(aWorld(waitingFor(...jobs)), aPolicy({ profiles }), 0);
      expect(launched(actions)).not.toContain(1);
      expect(launched(actions)).toHaveLength(1);
      expect(denials).toMatchObject([{ job: { id: 1 }, reason: 'unmatched' }]);
    }
  });
  test('every waiting job that is not started says why in a sentence', () => {
    expect(denialOf(aWorld(waitingFor(aJob(1, { labels: ['gpu'] }))))).toMatchObject({
      reason: 'unmatched',
      sentence: 'label `gpu` is in no profile; nearest is `default`',
    });
    expect(denialOf(aWorld(waitingFor(aJob(1))), { mode: 'draining' })).toMatchObject({ reason: 'draining' });
    expect(denialOf(aWorld(waitingFor(aJob(1))), { maxConcurrent: 0 })).toMatchObject({ reason: 'capacity', position: 1 });
    expect(denialOf(aWorld(waitingFor(aJob(1))), { profiles: [aProfile({ max: 0 })] })).toMatchObject({ reason: 'profile-capacity' });
    expect(denialOf(aWorld({ ...waitingFor(aJob(1)), machines: unknown }))).toMatchObject({ reason: 'host-unknown' });
  });
  test('a job that rests says how long and why', () => {
    const backOffs = new Map([['handle-1', { until: 30_000, count: 2, reason: 'unpicked' as const, forge: 'main', repositoryId: 1 }]]);
    const denial = denialOf(aWorld({ ...waitingFor(aJob(1)), backOffs }));
    expect(denial).toMatchObject({ reason: 'back-off' });
    expect(denial?.sentence).toContain('concurrency group');
    expect(denial?.sentence).toContain('30 s');
  });
  test('a job that rests gives its turn to others and is tried again when its rest is over', () => {
    const backOffs = new Map([['handle-1', { until: 30_000, count: 1, reason: 'unpicked' as const, forge: 'main', repositoryId: 1 }]]);
    const world = aWorld({ ...waitingFor(aJob(1), aJob(2)), backOffs });
    expect(launched(plan(world, aPolicy({ maxConcurrent: 1 }), 0).actions)).toEqual([2]);
    expect(launched(plan(world, aPolicy({ maxConcurrent: 1 }), 30_000).actions)).toEqual([1]);
  });
});

/** The world of one runner, for the life-cycle tables. */
function lifeOf(runner: Runner, machine: Machine | undefined, job: Job | 'absent' | 'unknown', over: Partial<World> = {}): World {
  return aWorld({
    jobs: new Map([['main', job === 'unknown' ? unknown : listed(job === 'absent' ? [] : [job])]]),
    runners: [runner],
    machines: known(machine === undefined ? [] : [machine]),
    ...over,
  });
}
const stepAt = (now: number, world: World) => plan(world, policy, now).actions[0];

describe('one runner', () => {
  const job = aJob(1);
  const runner = aRunner(job);
  const assigned = { ...runner, assignedAt: 1_000 };
  const picked = { ...assigned, pickedAt: 2_000 };
  const running = aJob(1, { state: 'running', taskId: 5 });
  const machine = aMachine(runner.id);
  const twice = { absences: new Map([[runner.id, { polls: 2, since: 0 }]]) };

  test('a launch that was cut short is resumed from its record', () => {
    expect(stepAt(10, lifeOf(runner, undefined, job))).toMatchObject({ kind: 'launch' });
    expect(stepAt(10, lifeOf(runner, { ...machine, state: 'idle' }, job))).toMatchObject({ kind: 'launch' });
  });
  test('I9 a machine that was handed its job, but not on the record, is written down before any clock may end it', () => {
    expect(stepAt(9_000_000, lifeOf(runner, machine, running))).toMatchObject({ kind: 'launch' });
    expect(stepAt(9_000_000, lifeOf(runner, machine, 'unknown'))).toMatchObject({ kind: 'launch' });
  });
  test('the start clock ends a machine that does not come up', () => {
    expect(stepAt(60_001, lifeOf(runner, { ...machine, state: 'starting' }, job))).toMatchObject({
      kind: 'finalize',
      reason: 'start-timeout',
    });
  });
  test('the un-picked clock ends a machine whose job does not come', () => {
    expect(stepAt(31_000, lifeOf(assigned, machine, job))).toBeUndefined();
    expect(stepAt(31_001, lifeOf(assigned, machine, job))).toMatchObject({ kind: 'stop', reason: 'unpicked' });
  });
  test('the job clock ends a job that is too long, counted from its pick-up', () => {
    expect(stepAt(7_202_000, lifeOf(picked, machine, running))).toBeUndefined();
    expect(stepAt(7_202_001, lifeOf(picked, machine, running))).toMatchObject({ kind: 'stop', reason: 'job-timeout', graceMs: 10_000 });
  });
  test('a job that was picked late, or not yet seen to be, has its whole clock', () => {
    expect(stepAt(1_000 + 30_000 + 7_200_000, lifeOf(assigned, machine, running))).toMatchObject({ kind: 'confirm' });
    expect(stepAt(1_001 + 30_000 + 7_200_000, lifeOf(assigned, machine, running))).toMatchObject({ kind: 'stop', reason: 'job-timeout' });
  });
  test('I5 the job clock runs on while the forge does not answer', () => {
    expect(stepAt(7_202_001, lifeOf(picked, machine, 'unknown'))).toMatchObject({ kind: 'stop', reason: 'job-timeout' });
  });
  test('I2 an unanswered poll ends nothing', () => {
    expect(stepAt(5_000_000, lifeOf(picked, machine, 'unknown', twice))).toBeUndefined();
    expect(stepAt(5_000_000, lifeOf(assigned, machine, 'unknown', twice))).toBeUndefined();
  });
  test('I2 a host that cannot be listed ends nothing and starts nothing', () => {
    expect(plan(lifeOf(picked, undefined, 'absent', { machines: unknown, ...twice }), policy, 9_000_000).actions).toEqual([]);
  });
  test('one poll without the job ends nothing: it may have raced with the start', () => {
    expect(stepAt(50_000, lifeOf(picked, machine, 'absent', { absences: new Map([[runner.id, { polls: 1, since: 0 }]]) }))).toBeUndefined();
  });
  test('a cancelled job frees its machine after two polls and the grace', () => {
    expect(stepAt(4_999, lifeOf(picked, machine, 'absent', twice))).toBeUndefined();
    expect(stepAt(5_000, lifeOf(picked, machine, 'absent', twice))).toMatchObject({ kind: 'stop', reason: 'cancelled' });
  });
  test('a job cancelled before pick-up frees its machine without grace', () => {
    expect(stepAt(1_500, lifeOf(assigned, machine, 'absent', twice))).toMatchObject({ kind: 'stop', reason: 'job-gone' });
    expect(stepAt(1_500, lifeOf(runner, { ...machine, state: 'starting' }, 'absent', twice))).toMatchObject({
      kind: 'finalize',
      reason: 'job-gone',
    });
  });
  test('I9 a busy machine within its clock is left alone', () => {
    for (const now of [2_001, 100_000, 7_000_000]) expect(stepAt(now, lifeOf(picked, machine, running))).toBeUndefined();
  });
  test('a job that is said to run is confirmed to be ours before it counts as picked', () => {
    expect(stepAt(2_000, lifeOf(assigned, machine, running))).toMatchObject({ kind: 'confirm' });
  });
  test('a machine whose job somebody else took is freed', () => {
    const missed = lifeOf({ ...assigned, missedAt: 31_000 }, machine, running);
    expect(stepAt(40_999, missed)).toMatchObject({ kind: 'confirm' });
    expect(stepAt(41_000, missed)).toMatchObject({ kind: 'stop', reason: 'unpicked' });
    expect(stepAt(10, lifeOf(runner, { ...machine, state: 'idle' }, running))).toMatchObject({ kind: 'finalize', reason: 'job-gone' });
  });
  test('a machine that ended is finalized with how it ended', () => {
    const exit = { result: 'success', code: 'exited', status: '0' };
    expect(stepAt(3_000, lifeOf(picked, { ...machine, state: 'exited', exit }, running))).toMatchObject({
      kind: 'finalize',
      reason: 'finished',
      exit,
    });
    const killed = { result: 'signal', code: 'killed', status: 'KILL' };
    expect(stepAt(3_000, lifeOf(picked, { ...machine, state: 'exited', exit: killed }, running))).toMatchObject({
      reason: 'machine-failed',
    });
    expect(stepAt(3_000, lifeOf(picked, { ...machine, state: 'exited', exit: { ...exit, result: 'timeout' } }, running))).toMatchObject({
      reason: 'job-timeout',
    });
  });
  test('a machine that vanished after its assignment is finalized as lost', () => {
    expect(stepAt(3_000, lifeOf(picked, undefined, running))).toMatchObject({ kind: 'finalize', reason: 'machine-lost' });
  });
  test('a stop that was recorded is asked again until the machine is gone, then it is removed by force', () => {
    const stopping = { ...picked, stop: { reason: 'job-timeout' as const, at: 10_000 } };
    expect(stepAt(11_000, lifeOf(stopping, machine, running))).toMatchObject({ kind: 'stop', reason: 'job-timeout' });
    expect(stepAt(22_000, lifeOf(stopping, machine, running))).toMatchObject({ kind: 'stop', reason: 'job-timeout' });
    expect(stepAt(22_001, lifeOf(stopping, machine, running))).toMatchObject({ kind: 'finalize', reason: 'job-timeout' });
    expect(stepAt(11_000, lifeOf(stopping, undefined, running))).toMatchObject({ kind: 'finalize', reason: 'job-timeout' });
  });
  test('I3 an id with an action under way gets no second one', () => {
    expect(plan(lifeOf(runner, undefined, job, { inFlight: new Set([runner.id]) }), policy, 10).actions).toEqual([]);
  });
  test('a step that failed waits for its next try', () => {
    const retries = new Map([
      [runner.id, { action: 'launch' as const, attempts: 1, at: 500, error: { code: 'DRIVER_FAILED', message: 'x' } }],
    ]);
    expect(stepAt(499, lifeOf(runner, undefined, job, { retries }))).toBeUndefined();
    expect(stepAt(500, lifeOf(runner, undefined, job, { retries }))).toMatchObject({ kind: 'launch' });
    expect(stepAt(60_001, lifeOf(runner, undefined, job, { retries }))).toMatchObject({ kind: 'finalize', reason: 'start-failed' });
  });
});

describe('a failed step', () => {
  const job = aJob(1);
  const picked = aRunner(job, { assignedAt: 1_000, pickedAt: 2_000 });
  const failed = (action: Action['kind']) => ({
    retries: new Map([[picked.id, { action, attempts: 3, at: 99_000_000, error: { code: 'FORGE_UNREACHABLE', message: 'x' } }]]),
  });
  test('I5 does not hold up the deadline of the job', () => {
    const world = lifeOf(picked, aMachine(picked.id), 'unknown', failed('confirm'));
    expect(stepAt(7_202_001, world)).toMatchObject({ kind: 'stop', reason: 'job-timeout' });
  });
  test('does not hold up the clean-up of a machine that has ended', () => {
    const world = lifeOf(picked, aMachine(picked.id, { state: 'exited' }), 'unknown', failed('launch'));
    expect(stepAt(3_000, world)).toMatchObject({ kind: 'finalize' });
  });
});

const asked = (status: 'active' | 'idle') => new Map([['main', known([aRegistration({ status })])]]);
const swept = (world: World) => plan(world, policy, 0).actions.map(({ kind }) => kind);

describe('sweeps', () => {
  test('I9 a machine without a record that was given a job goes only when every forge was asked and it reports to none', () => {
    const machines = known([aMachine('j0000001abc')]);
    const jobs = new Map([['main', listed([])]]);
    expect(swept(aWorld({ machines, jobs }))).toEqual([]);
    expect(swept(aWorld({ machines, jobs, registrations: new Map([['main', unknown]]) }))).toEqual([]);
    expect(swept(aWorld({ machines, jobs, registrations: asked('active') }))).toEqual([]);
    expect(swept(aWorld({ machines, jobs, registrations: asked('idle') }))).toEqual(['sweep-machine', 'sweep-registration']);
  });
  test('a machine with our mark, no record and no job is removed', () => {
    expect(plan(aWorld({ machines: known([aMachine('j0000001abc', { state: 'exited' })]) }), policy, 0).actions).toEqual([
      { kind: 'sweep-machine', id: 'j0000001abc' },
    ]);
  });
  test('I6 machines and registrations without our exact mark are never touched', () => {
    const strangers = [
      aRegistration({ name: 'office' }),
      aRegistration({ description: '' }),
      aRegistration({ ephemeral: false }),
      aRegistration({ description: 'forgejo-runner-controller test@other' }),
    ];
    const world = aWorld({ machines: known([aMachine('webserver')]), registrations: new Map([['main', known(strangers)]]) });
    expect(plan(world, policy, 0).actions).toEqual([]);
  });
  test('a registration of ours that no record speaks of is deleted', () => {
    const registrations = new Map([['main', known([aRegistration({ id: 7 })])]]);
    expect(plan(aWorld({ registrations }), policy, 0).actions).toMatchObject([
      { kind: 'sweep-registration', forge: 'main', registration: { id: 7 } },
    ]);
  });
  test('the registration of a live record stays, a second one of the same name goes', () => {
    const runner = aRunner(aJob(1), { assignedAt: 1, credentials: { id: 5, uuid: 'u', token: 't' } });
    const registrations = new Map([
      ['main', known([aRegistration({ id: 5, name: runner.id }), aRegistration({ id: 6, name: runner.id })])],
    ]);
    const world = lifeOf(runner, aMachine(runner.id), aJob(1), { registrations });
    expect(plan(world, policy, 10).actions).toMatchObject([{ kind: 'sweep-registration', registration: { id: 6 } }]);
  });
  test('I3 a registration whose launch is under way is left to it', () => {
    const registrations = new Map([['main', known([aRegistration({ name: 'j0000001abc' })])]]);
    expect(plan(aWorld({ registrations, inFlight: new Set(['j0000001abc']) }), policy, 0).actions).toEqual([]);
  });
  test('I2 registrations that were not read are not swept', () => {
    expect(plan(aWorld({ registrations: new Map([['main', unknown]]) }), policy, 0).actions).toEqual([]);
  });
});
