// Promises the verdict while it happens: what must never be is noted the moment the world sees it. Knows the rules, changes nothing.

import type { Job, Registration } from '../../src/core/model.ts';
import type { SimJob } from './forge-world.ts';

export type Judge = {
  readonly doubled: string[];
  readonly wronglyStopped: string[];
  readonly broken: string[];
  /** We end the machine of this job: wrong while the job runs, was not cancelled, and it and its machine are within their clocks (I9). */
  ended(job: SimJob | undefined, how: string, dueAt?: number): void;
  /** A failure was reported for this job: wrong while its machine works. */
  reportedFor(job: SimJob): void;
  /** A registration is given back that had this job; `shown`: the last lists that the controller saw. */
  givenBack(job: SimJob | undefined, status: Registration['status'], shown: readonly (readonly Job[])[]): void;
  /** The server had to end a job that nobody worked on any more: its controller should have told it long before. */
  zombie(job: SimJob): void;
};

function shows(list: readonly Job[], { job }: SimJob): boolean {
  return list.some(({ handle, state }) => handle === job.handle && state === 'running');
}

export function createJudge(now: () => number, jobClockMs: number): Judge {
  const wronglyStopped: string[] = [];
  const broken: string[] = [];
  return {
    doubled: [],
    wronglyStopped,
    broken,
    ended(job, how, dueAt = Infinity) {
      if (job?.state !== 'running' || !job.worked || job.wronged) return;
      const workedMs = now() - job.pickedAt;
      if (workedMs > jobClockMs || now() > dueAt) return;
      job.wronged = true;
      wronglyStopped.push(`${how} with ${job.job.handle}, ${workedMs} ms after its pick-up`);
    },
    reportedFor(job) {
      if (job.worked) wronglyStopped.push(`${job.job.handle} was reported failed while its machine worked`);
    },
    givenBack(job, status, shown) {
      if (job?.state !== 'running' || job.orphaned) return;
      if (job.worked) broken.push(`the registration of ${job.job.handle} was given back while its machine worked`);
      else if (status === 'active' || (shown.length > 3 && shown.every((list) => shows(list, job))))
        broken.push(`the registration of ${job.job.handle} was given back and nobody told the forge that its machine is gone`);
      // The forge itself hid that the job runs: nobody could know what to report.
      else job.orphaned = true;
    },
    zombie({ job, orphaned }) {
      if (!orphaned) broken.push(`${job.handle} lost its machine and was never reported: the server had to notice by itself`);
    },
  };
}
