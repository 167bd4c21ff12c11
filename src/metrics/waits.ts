// Promises how long each job has waited since it was first seen. Bounded: of very many that never come to a run, the oldest are forgotten.

/** About a megabyte. */
const kept = 10_000;

export type Waits = {
  /** The job waits; only the first time counts. `forMs`: it has for so long already. */
  seen(key: string, forMs?: number): void;
  /** It has a machine; how long it waited is known when the job came to it. */
  assigned(key: string): void;
  /** It is over, or runs: seconds from when it was first seen to its last machine, once. */
  settled(key: string): number | undefined;
  /** Milliseconds that it has waited until now. */
  waitedMs(key: string): number;
};

export function createWaits(now: () => number): Waits {
  const jobs = new Map<string, { readonly since: number; assignedAt?: number }>();
  return {
    seen(key, forMs = 0) {
      if (jobs.has(key)) return;
      jobs.set(key, { since: now() - forMs });
      for (const oldest of jobs.keys()) if (jobs.size > kept) jobs.delete(oldest);
    },
    assigned(key) {
      const job = jobs.get(key);
      if (job !== undefined) job.assignedAt = now();
    },
    settled(key) {
      const job = jobs.get(key);
      jobs.delete(key);
      return job?.assignedAt === undefined ? undefined : (job.assignedAt - job.since) / 1000;
    },
    waitedMs(key) {
      const job = jobs.get(key);
      return job === undefined ? 0 : now() - job.since;
    },
  };
}
