// Laws of the plan, for worlds that nobody thought of.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Job, Machine, Policy, Reading, Runner, World } from '../../src/core/model.ts';
import { jobKeyOf } from '../../src/core/naming.ts';
import { plan } from '../../src/core/plan.ts';
import { aJob, aMachine, aPolicy, aProfile, aRegistration, aRunner, aWorld, known, listed, unknown } from '../support/build.ts';

const labels = fc.subarray(['debian', 'x64', 'gpu', 'kvm'], { minLength: 0 });
const job = fc
  .record({
    id: fc.integer({ min: 1, max: 40 }),
    repositoryId: fc.integer({ min: 1, max: 4 }),
    labels,
    running: fc.boolean(),
    attempt: fc.integer({ min: 1, max: 2 }),
  })
  .map(({ id, repositoryId, labels, running, attempt }): Job =>
    aJob(id, {
      repositoryId,
      labels,
      attempt,
      handle: `h-${id}-${attempt}`,
      ...(running ? { state: 'running' as const, taskId: id } : {}),
    }),
  );
const jobs = fc.uniqueArray(job, { selector: jobKeyOf, maxLength: 25 });
const now = 10_000_000;
const moment = fc.integer({ min: 0, max: now });

const runner = fc
  .record({
    job,
    slot: fc.integer({ min: 0, max: 9 }),
    createdAt: moment,
    assigned: fc.option(moment),
    picked: fc.option(moment),
    stopped: fc.option(moment),
    credentials: fc.boolean(),
  })
  .map(({ job, slot, createdAt, assigned, picked, stopped, credentials }): Runner =>
    aRunner(job, {
      slot,
      createdAt,
      ...(assigned === null ? {} : { assignedAt: assigned }),
      ...(assigned === null || picked === null ? {} : { pickedAt: picked }),
      ...(stopped === null ? {} : { stop: { reason: 'job-timeout' as const, at: stopped } }),
      ...(credentials ? { credentials: { id: job.id, uuid: `u-${job.id}`, token: 't' } } : {}),
    }),
  );
const states = fc.constantFrom<Machine['state']>('starting', 'idle', 'running', 'exited');
const stranger = fc.record({
  id: fc.constantFrom('j7777777abc', 'w0123456789', 'webserver', 'office'),
  slot: fc.integer({ min: 0, max: 9 }),
  state: states,
});

const world = fc
  .record({
    jobs,
    runners: fc.uniqueArray(runner, { selector: ({ id }) => id, maxLength: 8 }),
    machineOf: fc.array(fc.option(states), { minLength: 8, maxLength: 8 }),
    strangers: fc.uniqueArray(stranger, { selector: ({ id }) => id, maxLength: 3 }),
    forgeKnown: fc.boolean(),
    hostKnown: fc.boolean(),
    flying: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
    absent: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 8, maxLength: 8 }),
    registrations: fc.uniqueArray(
      fc.record({ id: fc.integer({ min: 1, max: 50 }), name: fc.constantFrom('j7777777abc', 'office', 'j0000001zzz'), ours: fc.boolean() }),
      { selector: ({ id }) => id, maxLength: 6 },
    ),
  })
  .map((raw): World => {
    const machines = raw.runners.flatMap(({ id, slot }, index) => {
      const state = raw.machineOf[index];
      return state === null || state === undefined ? [] : [aMachine(id, { slot, state })];
    });
    const all = [...machines, ...raw.strangers.map(({ id, slot, state }) => aMachine(id, { slot, state }))];
    const registrations = raw.registrations.map(({ id, name, ours }) =>
      aRegistration({ id, name, ...(ours ? {} : { description: 'theirs' }) }),
    );
    return aWorld({
      jobs: new Map([['main', raw.forgeKnown ? listed(raw.jobs, 5) : unknown]]),
      registrations: new Map([['main', raw.forgeKnown ? known(registrations) : unknown]]),
      machines: (raw.hostKnown ? known(all) : unknown) satisfies Reading<readonly Machine[]>,
      runners: raw.runners,
      inFlight: new Set(raw.runners.filter((_, index) => raw.flying[index]).map(({ id }) => id)),
      absences: new Map(raw.runners.map(({ id }, index) => [id, { polls: raw.absent[index] ?? 0, since: now - 20_000 }])),
    });
  });
const policy = fc
  .record({
    maxConcurrent: fc.integer({ min: 0, max: 12 }),
    slots: fc.integer({ min: 1, max: 10 }),
    cap: fc.option(fc.integer({ min: 0, max: 3 })),
    perRepository: fc.option(fc.integer({ min: 1, max: 3 })),
    mode: fc.constantFrom('serving' as const, 'draining' as const),
  })
  .map(({ maxConcurrent, slots, cap, perRepository, mode }): Policy =>
    aPolicy({
      maxConcurrent,
      slots,
      mode,
      profiles: [
        aProfile({ name: 'small', ...(cap === null ? {} : { max: cap }) }),
        aProfile({ name: 'big', labels: ['debian', 'x64', 'kvm'] }),
      ],
      ...(perRepository === null ? {} : { maxPerRepository: perRepository }),
    }),
  );

const law = (check: (world: World, policy: Policy) => void): void => fc.assert(fc.property(world, policy, check), { numRuns: 1_000 });

describe('laws of the plan', () => {
  test('I3 never two actions for one id, never one for an id in flight', () => {
    law((world, policy) => {
      const ids = plan(world, policy, now).actions.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.filter((id) => world.inFlight.has(id))).toEqual([]);
    });
  });
  test('I4 launches never take the host above its capacity, its slots or a cap', () => {
    law((world, policy) => {
      const fresh = plan(world, policy, now).actions.flatMap((action) =>
        action.kind === 'launch' && !world.runners.includes(action.runner) ? [action.runner] : [],
      );
      const held = new Set([
        ...world.runners.map(({ id }) => id),
        ...world.inFlight,
        ...(world.machines.state === 'known' ? world.machines.value.map(({ id }) => id) : []),
      ]);
      expect(fresh.length === 0 || held.size + fresh.length <= policy.maxConcurrent).toBe(true);
      const slots = [...world.runners, ...(world.machines.state === 'known' ? world.machines.value : [])].map(({ slot }) => slot);
      for (const { slot } of fresh) expect(slots).not.toContain(slot);
      expect(new Set(fresh.map(({ slot }) => slot)).size).toBe(fresh.length);
      for (const profile of policy.profiles) {
        const used = [...world.runners, ...fresh].filter((each) => each.profile === profile.name).length;
        const news = fresh.filter((each) => each.profile === profile.name).length;
        expect(news === 0 || used <= (profile.max ?? Number.POSITIVE_INFINITY)).toBe(true);
      }
    });
  });
  test('I2 an unknown host is left alone, and an unknown forge starts nothing and sweeps no registration', () => {
    law((world, policy) => {
      const { actions } = plan(world, policy, now);
      if (world.machines.state === 'unknown') expect(actions.filter(({ kind }) => kind !== 'sweep-registration')).toEqual([]);
      if (world.jobs.get('main')?.state === 'unknown') {
        expect(
          actions.filter(
            (action) => action.kind === 'sweep-registration' || (action.kind === 'launch' && !world.runners.includes(action.runner)),
          ),
        ).toEqual([]);
        expect(actions.filter((action) => action.kind === 'stop' && ['job-gone', 'cancelled'].includes(action.reason))).toEqual([]);
      }
    });
  });
  test('I6 only machines and registrations with our mark are swept', () => {
    law((world, policy) => {
      for (const action of plan(world, policy, now).actions) {
        if (action.kind === 'sweep-machine') expect(action.id).toMatch(/^[jw][0-9a-z]{10}$/);
        if (action.kind === 'sweep-registration')
          expect(action.registration).toMatchObject({ description: policy.description, ephemeral: true });
      }
    });
  });
  test('I9 a machine that works within its clock is neither stopped nor removed while the forge lists its job', () => {
    law((world, policy) => {
      const listing = world.jobs.get('main');
      for (const action of plan(world, policy, now).actions) {
        if (action.kind !== 'stop' && action.kind !== 'finalize') continue;
        const { runner } = action;
        const machine = world.machines.state === 'known' ? world.machines.value.find(({ id }) => id === runner.machine) : undefined;
        const lists =
          listing?.state === 'known' &&
          listing.value.jobs.some((each) => jobKeyOf(each) === jobKeyOf({ forge: 'main', ...runner.job }) && each.state === 'running');
        const healthy =
          machine?.state === 'running' &&
          runner.stop === undefined &&
          runner.pickedAt !== undefined &&
          now - runner.pickedAt <= 7_200_000 &&
          lists;
        expect(healthy).toBe(false);
      }
    });
  });
  test('every waiting job without a record is either started or told why not', () => {
    law((world, policy) => {
      const { actions, denials } = plan(world, policy, now);
      const listing = world.jobs.get('main');
      if (listing?.state !== 'known') return;
      const recorded = new Set(world.runners.map((each) => jobKeyOf({ forge: each.forge, ...each.job })));
      const started = new Set(
        actions.flatMap((action) => (action.kind === 'launch' ? [jobKeyOf({ forge: 'main', ...action.runner.job })] : [])),
      );
      const told = new Set(denials.map((denial) => jobKeyOf(denial.job)));
      for (const each of listing.value.jobs.filter(({ state }) => state === 'waiting')) {
        const key = jobKeyOf(each);
        if (!recorded.has(key)) expect(started.has(key) !== told.has(key)).toBe(true);
      }
    });
  });
  test('the plan is the same for the same world: it reads no clock and rolls no dice', () => {
    law((world, policy) => {
      expect(plan(world, policy, now)).toEqual(plan(world, policy, now));
    });
  });
});
