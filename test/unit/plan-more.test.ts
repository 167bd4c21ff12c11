// What the plan must not get wrong in small print. Each test was written because a small wrong change of the code went unnoticed without it.

import { describe, expect, test } from 'vitest';
import type { Runner } from '../../src/core/model.ts';
import { plan } from '../../src/core/plan.ts';
import { aJob, aMachine, aPolicy, aRegistration, aRunner, aWorld, known, listed } from '../support/build.ts';

const runner = aRunner(aJob(1), { credentials: { id: 5, uuid: 'u', token: 't' } });
const exit = { result: 'oom-kill', code: 'killed', status: 'KILL' };
const jobs = new Map([['main', listed([aJob(1, { state: 'running', taskId: 7 })])]]);
const stepsOf = (own: Runner, machines = known([aMachine(own.id)])) =>
  plan(aWorld({ jobs, runners: [own], machines }), aPolicy(), 5_000).actions;

describe('an end', () => {
  test('I8 that stands on the record is gone through after a restart, as it was first seen, whatever is left of the machine', () => {
    const ended = { ...runner, ending: { reason: 'machine-failed' as const, exit, at: 4_000 } };
    const wanted = [{ kind: 'finalize', reason: 'machine-failed', exit }];
    expect(stepsOf(ended, known([]))).toMatchObject(wanted);
    expect(stepsOf({ ...ended, assignedAt: 1_000 }, known([]))).toMatchObject(wanted);
    expect(stepsOf({ ...ended, assignedAt: 1_000 }, known([aMachine(runner.id, { state: 'exited' })]))).toMatchObject(wanted);
  });
  test('of a machine that vanished is not called a failure of the machine', () => {
    const machine = aMachine(runner.id, { state: 'exited', exit: { result: 'lost', code: '', status: '' } });
    expect(stepsOf({ ...runner, assignedAt: 1_000 }, known([machine]))).toMatchObject([{ kind: 'finalize', reason: 'machine-lost' }]);
  });
});

test('a registration on another forge than that of the record is swept, whatever its name and number', () => {
  const row = aRegistration({ id: 5, name: runner.id, status: 'idle' });
  const world = aWorld({
    jobs: new Map([...jobs, ['other', listed([])]]),
    runners: [{ ...runner, assignedAt: 1_000, pickedAt: 2_000 }],
    machines: known([aMachine(runner.id)]),
    registrations: new Map([
      ['main', known([row])],
      ['other', known([row])],
    ]),
  });
  expect(plan(world, aPolicy(), 5_000).actions).toMatchObject([{ kind: 'sweep-registration', forge: 'other', registration: { id: 5 } }]);
});

test('two jobs and one slot: the second waits, although both are planned in one tick', () => {
  const { actions, denials } = plan(aWorld({ jobs: new Map([['main', listed([aJob(1), aJob(2)])]]) }), aPolicy({ slots: 1 }), 0);
  expect(actions).toMatchObject([{ kind: 'launch', runner: { slot: 0, job: { id: 1 } } }]);
  expect(denials).toMatchObject([{ reason: 'no-slot', job: { id: 2 } }]);
});
