// Promises that a job which cannot be run now does not eat machines: each try that nobody picked makes the next one wait longer. Kept in
// memory only: after a restart one try too many costs seconds, a job that rests for ever would cost more.

import { isJobless } from '../core/dispatch.ts';
import { jobKeyOf } from '../core/naming.ts';
import { repositoryKeyOf } from '../core/admission.ts';
import type { BackOff } from '../core/memory.ts';
import type { EndReason, Runner, World } from '../core/model.ts';

const firstMs: Partial<Record<EndReason, number>> = { unpicked: 30_000, 'start-timeout': 10_000, 'start-failed': 10_000 };
const otherwiseMs = 5_000;
const capMs = 300_000;

export type BackOffs = {
  all(): ReadonlyMap<string, BackOff>;
  /** A runner has ended: rests its handle if its job was not taken, and frees its repository's others if it was. */
  after(key: string, runner: Runner, reason: EndReason, now: number): void;
  /** Drops what no good list shows any more. */
  forget(world: World, now: number): void;
};

export function createBackOffs(): BackOffs {
  const resting = new Map<string, BackOff>();
  /** By repository, when one of its jobs last ended. */
  const freed = new Map<string, number>();
  return {
    all: () => new Map(resting),
    after(key, runner, reason, now) {
      // Nobody waited for it.
      if (isJobless(runner)) return;
      const { forge, job, createdAt, assignedAt = createdAt } = runner;
      const repository = repositoryKeyOf(forge, job.repositoryId);
      const left = reason === 'job-gone' || reason === 'cancelled';
      if (runner.pickedAt !== undefined || reason === 'finished' || left) {
        // A concurrency group is a matter of one repository: when one of its jobs has ended, the blocked one may be next.
        for (const [other, rest] of resting) {
          if (repositoryKeyOf(rest.forge, rest.repositoryId) === repository) resting.set(other, { ...rest, until: now });
        }
        freed.set(repository, now);
        if (left || runner.pickedAt !== undefined) return;
      }
      const count = (resting.get(key)?.count ?? 0) + 1;
      // The one before it may have ended too late for this try, but not for the next.
      const isFree = reason === 'unpicked' && (freed.get(repository) ?? -Infinity) >= assignedAt;
      const delayMs = isFree ? 0 : Math.min(capMs, (firstMs[reason] ?? otherwiseMs) * 2 ** (count - 1));
      resting.set(key, { until: now + delayMs, count, reason, forge, repositoryId: job.repositoryId });
    },
    forget(world, now) {
      const oldest = Math.min(...world.runners.map(({ createdAt }) => createdAt));
      for (const [repository, at] of freed) if (at < oldest) freed.delete(repository);
      for (const [key, rest] of resting) {
        const reading = world.jobs.get(rest.forge);
        // Its forge has left the configuration.
        if (reading === undefined) resting.delete(key);
        const gone = reading?.state === 'known' && reading.at > now - capMs && !reading.value.jobs.some((job) => jobKeyOf(job) === key);
        const running = world.runners.some((runner) => jobKeyOf({ forge: runner.forge, ...runner.job }) === key);
        if (gone && !running && (world.settled.get(key) ?? -1) < (reading?.state === 'known' ? reading.value.poll : 0)) resting.delete(key);
      }
    },
  };
}
