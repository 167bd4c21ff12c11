// What is decided when an operator ends everything: each runner goes by its shortest safe way, and nothing of ours is spared.

import { describe, expect, test } from 'vitest';
import type { Runner, World } from '../../src/core/model.ts';
import { plan } from '../../src/core/plan.ts';
import { aJob, aMachine, aPolicy, aRegistration, aRunner, aWorld, known, listed, unknown } from '../support/build.ts';

const ending = aPolicy({ mode: 'ending' });
const job = aJob(1, { state: 'running', taskId: 1 });
const busy = aRunner(job, { assignedAt: 1_000, pickedAt: 2_000, credentials: { id: 7, uuid: 'u', token: 't' } });
const worldOf = (runner: Runner, over: Partial<World>): World =>
  aWorld({ runners: [runner], jobs: new Map([['main', listed([job])]]), ...over });
const actionsAt = (now: number, world: World) => plan(world, ending, now).actions;
const only = (state: 'starting' | 'idle' | 'running' | 'exited') => known([aMachine(busy.id, { state })]);

describe('ending everything', () => {
  test('a machine at work is asked to end within its grace, with the reason operator', () => {
    expect(actionsAt(3_000, worldOf(busy, { machines: only('running') }))).toMatchObject([
      { kind: 'stop', id: busy.id, reason: 'operator', graceMs: 10_000 },
    ]);
  });
  test('a stop that has begun keeps its reason and its grace, and is removed by force when that is over', () => {
    const stopping = { ...busy, stop: { reason: 'job-timeout' as const, at: 3_000 } };
    expect(actionsAt(4_000, worldOf(stopping, { machines: only('running') }))).toMatchObject([{ kind: 'stop', reason: 'job-timeout' }]);
    expect(actionsAt(23_001, worldOf(stopping, { machines: only('running') }))).toMatchObject([
      { kind: 'finalize', reason: 'job-timeout' },
    ]);
  });
  test('a machine without a job, and a record without a machine, are cleaned up at once', () => {
    const { assignedAt: _, pickedAt: __, ...launching } = busy;
    for (const machines of [only('starting'), only('idle'), known([])])
      expect(actionsAt(3_000, worldOf(launching, { machines }))).toMatchObject([{ kind: 'finalize', reason: 'operator' }]);
    expect(actionsAt(3_000, worldOf(busy, { machines: known([]) }))).toMatchObject([{ kind: 'finalize', reason: 'machine-lost' }]);
    expect(actionsAt(3_000, worldOf(busy, { machines: only('exited') }))).toMatchObject([{ kind: 'finalize' }]);
  });
  test('machines without a record go although no forge was asked, and nobody is started', () => {
    const world = aWorld({ machines: known([aMachine('j0000009abc')]), jobs: new Map([['main', listed([aJob(2)])]]) });
    const { actions, denials } = plan(world, ending, 0);
    expect(actions).toEqual([{ kind: 'sweep-machine', id: 'j0000009abc' }]);
    expect(denials).toMatchObject([{ reason: 'draining', sentence: expect.stringContaining('stops everything') }]);
  });
  test('a registration that the forge still calls active goes when its machine is gone, and not before', () => {
    const registrations = new Map([['main', known([aRegistration({ name: 'j0000009abc', status: 'active' })])]]);
    expect(actionsAt(0, aWorld({ registrations }))).toMatchObject([{ kind: 'sweep-registration' }]);
    expect(actionsAt(0, aWorld({ registrations, machines: known([aMachine('j0000009abc')]) }))).toMatchObject([{ kind: 'sweep-machine' }]);
    expect(actionsAt(0, aWorld({ registrations, machines: unknown }))).toEqual([]);
  });
  test('I2 I6 an unknown host is left alone, and so is what bears no mark of ours', () => {
    expect(actionsAt(3_000, worldOf(busy, { machines: unknown }))).toEqual([]);
    const registrations = new Map([['main', known([aRegistration({ name: 'office' }), aRegistration({ ephemeral: false })])]]);
    expect(actionsAt(0, aWorld({ registrations, machines: known([aMachine('webserver')]) }))).toEqual([]);
  });
});
