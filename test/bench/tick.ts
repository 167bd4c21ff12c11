// Measures one tick over ten thousand listed jobs and twenty profiles: everything a tick computes, with forge, host and disk in memory.

import { plan } from '../../src/core/plan.ts';
import type { Job } from '../../src/core/model.ts';
import { absencesAfter } from '../../src/reconciler/observe.ts';
import { aJob, aMachine, aPolicy, aProfile, aRunner, aWorld, known, listed } from '../support/build.ts';
import { atMost, median, ms, quantile, type Line } from './line.ts';

const jobCount = 10_000;
const machineCount = 100;

/** A hundred repositories; one job in ten wants what nobody serves; the first hundred already run. */
function jobsOf(): readonly Job[] {
  return Array.from({ length: jobCount }, (_, index) =>
    aJob(index + 1, {
      repositoryId: index % 100,
      labels: index % 10 === 9 ? [`unserved-${index % 7}`] : [`label-${index % 20}`, 'linux'],
      state: index < machineCount ? 'running' : 'waiting',
      name: `job ${index}`,
    }),
  );
}

export function measureTick(runs: number): readonly Line[] {
  const jobs = jobsOf();
  const profiles = Array.from({ length: 20 }, (_, index) =>
    aProfile({ name: `profile-${index}`, labels: [`label-${index}`, 'linux', 'x64'], max: 20 }),
  );
  const runners = jobs.slice(0, machineCount).map((job, index) =>
    aRunner(job, {
      slot: index,
      profile: `profile-${index % 20}`,
      assignedAt: 1_000,
      pickedAt: 1_100,
      credentials: { id: index, uuid: 'u', token: 't' },
    }),
  );
  const machines = known(runners.map((runner) => aMachine(runner.machine, { slot: runner.slot })));
  const policy = aPolicy({ profiles, maxConcurrent: 200, slots: 1_000 });
  const samples: number[] = [];
  let actions = 0;
  for (let run = 0; run < runs + 5; run += 1) {
    const begun = performance.now();
    const seen = aWorld({ jobs: new Map([['main', listed(jobs, run + 1, 2_000)]]), machines, runners });
    const absences = absencesAfter(new Map(), seen, 3_000);
    actions = plan({ ...seen, absences }, policy, 3_000).actions.length;
    if (run >= 5) samples.push(performance.now() - begun);
  }
  const note = `absences, matching, fair order, admission and every denial's sentence (${actions} launches planned, ${machineCount} machines run); reading the reply not included; p95 ${ms(quantile(samples, 0.95))}`;
  return [atMost('tick over 10,000 jobs and 20 profiles', 50, median(samples), ms, note, { p95: quantile(samples, 0.95) })];
}
