// Promises the verdict while it happens: what must never be is noted the moment the world sees it. Knows the rules, changes nothing.

import type { SimJob } from './forge-world.ts';

export type Judge = {
  readonly doubled: string[];
  readonly wronglyStopped: string[];
  readonly broken: string[];
  /** We end the machine of this job: wrong while the job runs, was not cancelled and is within its clock (I9). */
  ended(job: SimJob | undefined, how: string): void;
  /** A failure was reported for this job: wrong while its machine works. */
  reportedFor(job: SimJob): void;
  /** The server had to end a job that nobody worked on, `afterMs` after its machine died. */
  zombie(handle: string, afterMs: number): void;
};

/** A runner that fetches between the last look at the forge and the stop cannot be told from one that waits; nor in its first second. */
const unseenMs = 1_500;

export function createJudge(now: () => number, jobClockMs: number): Judge {
  const wronglyStopped: string[] = [];
  const broken: string[] = [];
  return {
    doubled: [],
    wronglyStopped,
    broken,
    ended(job, how) {
      if (job?.state !== 'running' || !job.worked || job.wronged) return;
      const workedMs = now() - job.pickedAt;
      if (workedMs < unseenMs || workedMs > jobClockMs) return;
      job.wronged = true;
      wronglyStopped.push(`${how} with ${job.job.handle}, ${workedMs} ms after its pick-up`);
    },
    reportedFor(job) {
      if (job.worked) wronglyStopped.push(`${job.job.handle} was reported failed while its machine worked`);
    },
    zombie() {},
  };
}
