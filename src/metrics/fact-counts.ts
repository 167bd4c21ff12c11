// Promises what the facts add up to: how long jobs waited, machines took and jobs ran, how runners ended, what had to be tried again or
// swept. Nothing is counted that the log does not say.

import type { Registry } from 'prom-client';
import type { Job } from '../core/model.ts';
import type { Fact } from '../events.ts';
import { counterOf, histogramOf, jobBuckets, stepBuckets, waitBuckets } from './named.ts';
import { actionKinds, coolReasons, endReasons, oneOf, secondsOf, wordOf } from './said.ts';
import { createWaits } from './waits.ts';

export type FactCounts = {
  take(fact: Fact): void;
  /** How long a job has waited that has no machine yet; 0 for one that nothing was said of. */
  waitedMs(job: Pick<Job, 'forge' | 'id' | 'handle'>): number;
};

const startPhases = [
  ['record', 'recordedMs'],
  ['start', 'startedMs'],
  ['register', 'registeredMs'],
  ['assign', 'assignedMs'],
] as const;

/** `now`: milliseconds that only ever grow. */
export function createFactCounts(registry: Registry, now: () => number): FactCounts {
  const waits = createWaits(now);
  const meters = createMeters(registry);

  const settle = (fact: Fact): void => {
    const seconds = waits.settled(jobOf(fact));
    if (seconds !== undefined) meters.queueWait.observe(seconds);
  };
  const takers: Readonly<Record<string, (fact: Fact) => void>> = {
    launch(fact) {
      if (fact.facts['resumed'] !== true) meters.launched.inc({ machine: fact.facts['warm'] === true ? 'warm' : 'cold' });
    },
    cool: (fact) => meters.cooled.inc({ reason: oneOf(coolReasons, fact.facts['reason']) }),
    deny: (fact) => waits.seen(jobOf(fact)),
    assign(fact) {
      // One that was dispatched has none yet.
      if (fact.facts['job'] !== undefined) {
        waits.seen(jobOf(fact), (secondsOf(fact, 'afterMs') ?? 0) * 1000);
        waits.assigned(jobOf(fact));
      }
      for (const [phase, name] of startPhases) meters.phase(phase, secondsOf(fact, name));
    },
    picked(fact) {
      if (fact.facts['dispatched'] === true) waits.assigned(jobOf(fact));
      settle(fact);
      meters.phase('pick', secondsOf(fact, 'pickMs'));
    },
    finalize(fact) {
      const reason = oneOf(endReasons, fact.facts['reason']);
      meters.ended.inc({ reason });
      const ran = secondsOf(fact, 'ranMs');
      if (ran !== undefined) meters.jobDuration.observe(ran);
      const cleaned = secondsOf(fact, 'cleanMs');
      if (cleaned !== undefined) meters.cleanUp.observe(cleaned);
      // A job that its machine did not get waits on.
      if (ran !== undefined || reason === 'cancelled' || reason === 'job-gone') settle(fact);
    },
    report: () => meters.reported.inc(),
    sweep: (fact) => meters.swept.inc({ kind: 'registration' in fact.facts ? 'registration' : 'machine' }),
    retry: (fact) => meters.retried.inc({ action: oneOf(actionKinds, fact.facts['action']) }),
  };
  return {
    take(fact) {
      meters.lines.inc({ level: fact.level });
      takers[fact.event]?.(fact);
    },
    waitedMs: ({ forge, id, handle }) => waits.waitedMs(keyOf(forge, id, handle)),
  };
}

function createMeters(registry: Registry) {
  const phases = histogramOf(
    {
      registry,
      name: 'start_phase_seconds',
      help: 'How long each phase of a start took: record, start, register and assign of the machine, and pick of the job by its runner.',
      labels: ['phase'],
    },
    stepBuckets,
  );
  const meters = {
    queueWait: histogramOf(
      { registry, name: 'queue_wait_seconds', help: 'From when a job was first seen waiting until a machine had it.' },
      waitBuckets,
    ),
    jobDuration: histogramOf(
      { registry, name: 'job_duration_seconds', help: 'How long jobs ran, from their pick-up to the end of their machine.' },
      jobBuckets,
    ),
    cleanUp: histogramOf({ registry, name: 'cleanup_seconds', help: 'How long the removal of an ended runner took.' }, stepBuckets),
    ended: counterOf({
      registry,
      name: 'runners_ended_total',
      help: 'Runners that are gone, by how they ended; finished means that the machine ended by itself after its job.',
      labels: ['reason'],
    }),
    reported: counterOf({ registry, name: 'reports_total', help: 'Jobs failed in a forge because their machine died under them.' }),
    launched: counterOf({
      registry,
      name: 'launches_total',
      help: 'Starts for jobs, by whether their machine had waited for one (warm) or was made then (cold).',
      labels: ['machine'],
    }),
    cooled: counterOf({
      registry,
      name: 'warm_machines_ended_total',
      help: 'Machines that waited for jobs and were taken away before one came, by reason.',
      labels: ['reason'],
    }),
    swept: counterOf({
      registry,
      name: 'sweeps_total',
      help: 'Machines and registrations of ours without a record that were removed.',
      labels: ['kind'],
    }),
    retried: counterOf({ registry, name: 'retries_total', help: 'Steps that failed and are tried again, by step.', labels: ['action'] }),
    lines: counterOf({ registry, name: 'log_lines_total', help: 'Lines of the log from level info on.', labels: ['level'] }),
    phase(phase: string, seconds: number | undefined): void {
      if (seconds !== undefined) phases.observe({ phase }, seconds);
    },
  };
  // A counter that appears with its first event hides it from increase().
  for (const reason of endReasons) meters.ended.inc({ reason }, 0);
  for (const machine of ['warm', 'cold']) meters.launched.inc({ machine }, 0);
  for (const reason of coolReasons) meters.cooled.inc({ reason }, 0);
  for (const kind of ['machine', 'registration']) meters.swept.inc({ kind }, 0);
  for (const action of actionKinds) meters.retried.inc({ action }, 0);
  for (const level of ['info', 'warn', 'error']) meters.lines.inc({ level }, 0);
  for (const phase of [...startPhases.map(([name]) => name), 'pick']) phases.zero({ phase });
  return meters;
}

function jobOf({ facts }: Fact): string {
  return keyOf(facts['forge'], facts['job'], facts['handle']);
}

function keyOf(forge: unknown, id: unknown, handle: unknown): string {
  return `${wordOf(forge)} ${typeof id === 'number' ? id : ''} ${wordOf(handle)}`;
}
