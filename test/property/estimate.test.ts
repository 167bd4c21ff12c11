// Laws of the guess when a waiting job starts: right to the millisecond where everything takes what it took before, played against the plan
// itself; and elsewhere never a time that nothing tells.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { estimatesOf, lastingOf } from '../../src/core/estimate.ts';
import type { Denial, Job, Machine, Policy, Profile, Runner } from '../../src/core/model.ts';
import { jobKeyOf } from '../../src/core/naming.ts';
import { plan } from '../../src/core/plan.ts';
import type { EndedView, Snapshot } from '../../src/core/snapshot.ts';
import { aJob, aMachine, aPolicy, aProfile, aRunner, aWorld, known, listed } from '../support/build.ts';

const begin = 10_000_000;
const labelSets = [['debian'], ['x64'], ['debian', 'x64']] as const;

type Scene = {
  readonly policy: Policy;
  readonly jobs: readonly Job[];
  readonly runners: readonly Runner[];
  readonly ended: readonly EndedView[];
};

const profiles = fc
  .tuple(fc.option(fc.integer({ min: 1, max: 3 })), fc.option(fc.integer({ min: 1, max: 3 })))
  .map(([one, two]): Profile[] => [
    aProfile({ name: 'one', labels: ['debian', 'x64'], ...(one === null ? {} : { max: one }) }),
    aProfile({ name: 'two', labels: ['x64'], ...(two === null ? {} : { max: two }) }),
  ]);

const job = fc
  .record({ id: fc.integer({ min: 1, max: 60 }), repositoryId: fc.integer({ min: 1, max: 3 }), labels: fc.constantFrom(...labelSets) })
  .map(({ id, repositoryId, labels }) => aJob(id, { repositoryId, labels: [...labels], name: `job of ${repositoryId}` }));

/** Three ended jobs for each repository and profile, which all took the same: what is usual is sure. */
const scene = fc
  .record({
    profiles,
    jobs: fc.uniqueArray(job, { selector: jobKeyOf, maxLength: 14 }),
    running: fc.uniqueArray(job, { selector: jobKeyOf, maxLength: 4 }),
    lasted: fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 4, maxLength: 4 }),
    minutes: fc.array(fc.integer({ min: 1_000, max: 5_000 }), { minLength: 6, maxLength: 6 }),
    maxConcurrent: fc.integer({ min: 1, max: 4 }),
    maxPerRepository: fc.option(fc.integer({ min: 1, max: 3 })),
  })
  .map(({ profiles, jobs, running, lasted, minutes, maxConcurrent, maxPerRepository }): Scene => {
    const runners = running.map((one, index) =>
      aRunner(aJob(one.id + 100, { ...one, id: one.id + 100, handle: `running-${one.id}` }), {
        slot: index,
        profile: one.labels.includes('debian') ? 'one' : 'two',
        createdAt: begin - (lasted[index] ?? 1),
        assignedAt: begin - (lasted[index] ?? 1),
        pickedAt: begin - (lasted[index] ?? 1),
      }),
    );
    const ended = ['one', 'two'].flatMap((profile, of) =>
      [1, 2, 3].flatMap((repositoryId) => {
        const ms = minutes[of * 3 + repositoryId - 1] ?? 1_000;
        return [1, 2, 3].map((attempt) => anEnd({ profile, repositoryId, name: `job of ${repositoryId}`, ms, attempt }));
      }),
    );
    const policy = aPolicy({ profiles, maxConcurrent, ...(maxPerRepository === null ? {} : { maxPerRepository }) });
    return { policy, jobs, runners, ended };
  });

type End = {
  readonly profile: string;
  readonly repositoryId: number;
  readonly name: string;
  readonly ms: number;
  readonly attempt?: number;
};

function anEnd({ profile, repositoryId, name, ms, attempt = 1 }: End): EndedView {
  const [endedAt, createdAt] = [begin - 100_000, begin - 100_000 - ms];
  const job = { id: 900 + repositoryId, name, repositoryId, attempt, handle: `ended-${attempt}` };
  return { id: 'j', forge: 'main', job, profile, createdAt, pickedAt: createdAt, endedAt, reason: 'finished' };
}

function pictureOf({ policy, runners, ended }: Scene, denials: readonly Denial[]) {
  const used = (name: string): number => runners.filter((runner) => runner.profile === name).length;
  return {
    denials,
    ended,
    runners: runners.map((runner): Snapshot['runners'][number] => ({ ...runner, phase: 'busy', attempts: 0, retryAt: 0 })),
    capacity: {
      max: policy.maxConcurrent,
      used: runners.length,
      slots: policy.slots,
      ...(policy.maxPerRepository === undefined ? {} : { maxPerRepository: policy.maxPerRepository }),
      profiles: policy.profiles.map(({ name, labels, max }) => ({ name, labels, used: used(name), ...(max === undefined ? {} : { max }) })),
    },
  };
}

function planned({ policy, jobs }: Scene, runners: readonly Runner[], at: number) {
  const taken = new Set(runners.map((runner) => runner.job.handle));
  const machines = runners.map((runner): Machine => aMachine(runner.id, { slot: runner.slot }));
  const waiting = jobs.filter((one) => !taken.has(one.handle));
  return plan(aWorld({ jobs: new Map([['main', listed(waiting)]]), machines: known(machines), runners }), policy, at);
}

/** The plan, asked again whenever something has ended: when each job of the scene was started. */
function played(scene: Scene): ReadonlyMap<string, number> {
  const lasting = lastingOf(scene.ended);
  const endOf = ({ profile, forge, job, createdAt }: Runner, at: number): number =>
    createdAt + (lasting({ profile, forge, name: job.name, repositoryId: job.repositoryId }, at - createdAt)?.ms ?? Infinity);
  let runners = scene.runners.map((runner) => ({ runner, endsAt: endOf(runner, begin) }));
  const started = new Map<string, number>();
  const done = new Set<string>();
  for (let at = begin; at < Infinity; at = Math.min(...runners.map(({ endsAt }) => endsAt))) {
    for (const { runner, endsAt } of runners) if (endsAt <= at) done.add(runner.job.handle);
    runners = runners.filter(({ endsAt }) => endsAt > at);
    const rest = { ...scene, jobs: scene.jobs.filter(({ handle }) => !done.has(handle)) };
    const current = runners.map(({ runner }) => runner);
    for (const action of planned(rest, current, at).actions) {
      // One that has begun already is gone through once more.
      if (action.kind !== 'launch' || current.includes(action.runner)) continue;
      started.set(action.runner.job.handle, at);
      runners.push({ runner: action.runner, endsAt: endOf(action.runner, at) });
    }
  }
  return started;
}

describe('the estimated start of a waiting job', () => {
  test('where every job takes what those like it took, each starts to the millisecond when it was said', () => {
    fc.assert(
      fc.property(scene, (scene) => {
        const { actions, denials } = planned(scene, scene.runners, begin);
        const launched = actions.flatMap((action) => (action.kind === 'launch' ? [action.runner] : []));
        const now = { ...scene, runners: [...scene.runners, ...launched] };
        const estimates = estimatesOf(pictureOf(now, denials), begin);
        const truth = played(scene);
        const said = denials.map((denial) => [denial.job.handle, estimates.get(denial)?.at]);
        expect(said).toEqual(denials.map(({ job }) => [job.handle, truth.get(job.handle)]));
      }),
    );
  });

  test('the order of the lists, of what waits, runs and has ended, changes nothing', () => {
    fc.assert(
      fc.property(scene, (scene) => {
        const { denials } = planned(scene, scene.runners, begin);
        const picture = pictureOf(scene, denials);
        const turned = {
          ...picture,
          denials: denials.toReversed(),
          runners: picture.runners.toReversed(),
          ended: picture.ended.toReversed(),
        };
        expect(new Map([...estimatesOf(turned, begin)].toReversed())).toEqual(estimatesOf(picture, begin));
      }),
    );
  });

  test('no start lies in the past, and each tells how many ended jobs it rests on', () => {
    fc.assert(
      fc.property(scene, fc.integer({ min: 0, max: 20_000 }), (scene, laterMs) => {
        const { denials } = planned(scene, scene.runners, begin);
        const now = begin + laterMs;
        for (const estimate of estimatesOf(pictureOf(scene, denials), now).values()) {
          if (estimate.at === undefined) continue;
          expect(estimate.at).toBeGreaterThanOrEqual(now);
          expect(estimate.endings === 0).toBe(estimate.at === now);
        }
      }),
    );
  });

  test('without any ended job there is no guess, but for places that are free', () => {
    fc.assert(
      fc.property(scene, (scene) => {
        const { denials } = planned(scene, scene.runners, begin);
        const picture = pictureOf({ ...scene, ended: [] }, denials);
        for (const estimate of estimatesOf(picture, begin).values())
          if (estimate.at === undefined) expect(estimate.unknown).toBe('no-history');
          else expect(estimate).toEqual({ at: begin, endings: 0 });
      }),
    );
  });

  test('who waits for what no clock tells has no guess, whatever is known', () => {
    const reasons: readonly Denial['reason'][] = ['unmatched', 'draining', 'back-off', 'host-unknown', 'host-full'];
    fc.assert(
      fc.property(scene, fc.constantFrom(...reasons), (scene, reason) => {
        const denials = scene.jobs.map((job): Denial => ({ job, reason, sentence: 's' }));
        const estimates = [...estimatesOf(pictureOf(scene, denials), begin).values()];
        expect(estimates).toEqual(denials.map(() => ({ unknown: 'no-clock' })));
      }),
    );
  });
});

function endsOf(name: string, repositoryId: number, ...lengths: readonly number[]): readonly EndedView[] {
  return lengths.map((ms) => anEnd({ profile: 'one', repositoryId, name, ms }));
}

describe('what is known of how long jobs take', () => {
  const kind = { forge: 'main', profile: 'one', repositoryId: 1, name: 'build' };

  test('three of the same job tell, else three of its repository, else one of its profile', () => {
    const others = [...endsOf('lint', 1, 50, 60), ...endsOf('build', 2, 900)];
    expect(lastingOf([...others, ...endsOf('build', 1, 10, 20, 90)])(kind, 0)).toEqual({ ms: 20, endings: 3 });
    expect(lastingOf([...others, ...endsOf('build', 1, 10)])(kind, 0)).toEqual({ ms: 50, endings: 3 });
    expect(lastingOf(endsOf('build', 2, 900))(kind, 0)).toEqual({ ms: 900, endings: 1 });
    expect(lastingOf([])(kind, 0)).toBeUndefined();
  });
  test('of one that runs already those tell that took longer; one that outlived all of them is unknown', () => {
    const lasting = lastingOf(endsOf('build', 1, 10, 20, 90, 100, 110));
    expect(lasting(kind, 20)).toEqual({ ms: 100, endings: 3 });
    expect(lasting(kind, 109)).toEqual({ ms: 110, endings: 1 });
    expect(lasting(kind, 110)).toBeUndefined();
  });
  test('a machine whose job never came tells nothing of jobs', () => {
    const [end] = endsOf('build', 1, 30_000);
    const { pickedAt: _, ...unpicked } = end ?? anEnd({ ...kind, ms: 1 });
    expect(lastingOf([{ ...unpicked, reason: 'unpicked' }])(kind, 0)).toBeUndefined();
  });
});

describe('places', () => {
  const ended = [1, 2, 3].map((attempt) => anEnd({ profile: 'one', repositoryId: 1, name: 'build', ms: 1_000, attempt }));
  const waiting: Denial = { job: aJob(1), reason: 'capacity', sentence: 's', position: 1 };
  const runners = [aRunner(aJob(2), { profile: 'one', createdAt: begin - 100, pickedAt: begin - 90 })];
  const picture = pictureOf({ policy: aPolicy({ profiles: [aProfile({ name: 'one' })], maxConcurrent: 1 }), jobs: [], runners, ended }, [
    waiting,
  ]);

  test('a machine that is being ended gives its place back now', () => {
    expect(estimatesOf(picture, begin).get(waiting)).toEqual({ at: begin + 900, endings: 3 });
    const stopping = { ...picture, runners: picture.runners.map((runner) => ({ ...runner, phase: 'stopping' as const })) };
    expect(estimatesOf(stopping, begin).get(waiting)).toEqual({ at: begin, endings: 0 });
  });
  test('a machine that no record speaks of holds its place for a time that nobody knows', () => {
    const stranger = { ...picture, runners: [] };
    expect(estimatesOf(stranger, begin).get(waiting)).toEqual({ unknown: 'no-history' });
  });
  test('the pool of addresses is a capacity, too', () => {
    const narrow = { ...picture, capacity: { ...picture.capacity, max: 9, slots: 1 } };
    expect(estimatesOf(narrow, begin).get(waiting)).toEqual({ at: begin + 900, endings: 3 });
  });
});

test('what is too far back in a long line is not played for, and says so', () => {
  const jobs = Array.from({ length: 310 }, (_, index) => aJob(index + 1));
  const denials = jobs.map((job, index): Denial => ({ job, reason: 'capacity', sentence: 's', position: index + 1 }));
  const ended = [1, 2, 3].map((attempt) => anEnd({ profile: 'one', repositoryId: 1, name: 'build', ms: 1_000, attempt }));
  const policy = aPolicy({ profiles: [aProfile({ name: 'one' })], maxConcurrent: 2 });
  const estimates = estimatesOf(pictureOf({ policy, jobs, runners: [], ended }, denials), begin);
  expect(denials.map((denial) => estimates.get(denial)?.at).slice(296, 302)).toEqual([
    begin + 148_000,
    begin + 148_000,
    begin + 149_000,
    begin + 149_000,
    undefined,
    undefined,
  ]);
  expect([...estimates.values()].at(-1)).toEqual({ unknown: 'too-far' });
});
