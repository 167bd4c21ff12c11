// Promises the truth of a simulated Forgejo: jobs, registrations, tasks, and what the server does by itself. Facts as in a real one: a final
// report and a cancel delete the ephemeral registration, a deleted one stops nothing, `active` means reported within ten seconds.

import type { Credentials, Job, Registration } from '../../src/core/model.ts';
import type { ReportOutcome } from '../../src/forge/forge.ts';
import type { Judge } from './judge.ts';
import type { Schedule } from './schedule.ts';

export type SimJob = {
  readonly job: Job;
  readonly lengthMs: number;
  group: string | undefined;
  state: 'waiting' | 'running' | 'success' | 'failure' | 'cancelled';
  taskId: number;
  /** The registration that has it; undefined for a runner of somebody else's. */
  holder: SimRegistration | undefined;
  pickedAt: number;
  picks: number;
  /** True while a machine works on it. */
  worked: boolean;
  /** Nobody can know that it has to be reported: the record of its machine was lost, or the forge hid it. */
  orphaned: boolean;
  /** It was ended by us before it was due: counted once. */
  wronged: boolean;
};

export type SimRegistration = Omit<Registration, 'status'> & {
  readonly token: string;
  onlineAt: number;
  /** When its runner last reported; follows the clock by itself while `reporting`. */
  activeAt: number;
  reporting: boolean;
  job: SimJob | undefined;
  /** It serves no label any more. */
  withheld: boolean;
};

export type Wish = {
  readonly repositoryId: number;
  readonly lengthMs: number;
  readonly labels: readonly string[];
  readonly group?: string;
};
export type Fetched = { readonly kind: 'job'; readonly job: SimJob } | { readonly kind: 'nothing' | 'refused' | 'down' };

export type SimForge = {
  readonly jobs: ReadonlyMap<string, SimJob>;
  readonly registrations: Map<number, SimRegistration>;
  /** Jobs without an end. */
  open(): number;
  queue(wish: Wish): SimJob;
  rerun(job: SimJob): void;
  cancel(job: SimJob): void;
  /** A runner that is none of ours takes a waiting job. */
  poach(job: SimJob): void;
  hide(repositoryId: number, ms: number): void;
  list(): readonly Job[];
  register(name: string, description: string): Credentials;
  seen(registration: SimRegistration): Registration;
  /** '' = the first that waits and whose labels are among these. */
  fetch(token: string, handle: string, labels: readonly string[]): Fetched;
  withhold(token: string): void;
  /** The runner's final word; true when there is nothing more to say. */
  conclude(job: SimJob, state: 'success' | 'failure'): boolean;
  /** Nobody works on it any more; after a while the server itself fails it. */
  abandon(job: SimJob): void;
  reportFailure(credentials: Credentials, taskId: number): ReportOutcome;
  goDown(ms: number): void;
  readonly isUp: () => boolean;
};

const activeForMs = 10_000;
const onlineForMs = 60_000;
/** A runner reports as soon as it has a job and then every second; after an outage, up to a second after the server came back. */
const reportEveryMs = 1_000;
/** Forgejo waits ten minutes; less makes runs shorter and proves the same. */
export const zombieMs = 180_000;

export function createForgeWorld(schedule: Schedule, judge: Judge): SimForge {
  const jobs = new Map<string, SimJob>();
  const registrations = new Map<number, SimRegistration>();
  const hiddenUntil = new Map<number, number>();
  const now = schedule.now;
  let ids = 0;
  let tasks = 100;
  let open = 0;
  let downAt = 0;
  let upAt = 0;

  function add(job: Job, lengthMs: number, group: string | undefined): SimJob {
    const entry: SimJob = {
      job,
      lengthMs,
      group,
      state: 'waiting',
      taskId: 0,
      holder: undefined,
      pickedAt: 0,
      picks: 0,
      worked: false,
      orphaned: false,
      wronged: false,
    };
    jobs.set(job.handle, entry);
    open += 1;
    return entry;
  }

  function close(job: SimJob, state: SimJob['state']): void {
    if (isOpen(job)) open -= 1;
    job.state = state;
    if (job.holder !== undefined) registrations.delete(job.holder.id);
  }

  function begin(job: SimJob, holder: SimRegistration | undefined): void {
    if (job.picks > 0) judge.doubled.push(job.job.handle);
    tasks += 1;
    Object.assign(job, { state: 'running', taskId: tasks, holder, pickedAt: now(), picks: job.picks + 1 });
  }

  const isUp = (): boolean => now() >= upAt;
  const isBlocked = (job: SimJob): boolean =>
    job.group !== undefined && [...jobs.values()].some((other) => other.group === job.group && other.state === 'running');

  const fits = (job: SimJob, labels: readonly string[]): boolean =>
    job.state === 'waiting' && !isBlocked(job) && job.job.labels.every((label) => labels.includes(label));

  /** A report reached the server between two outages, or never. */
  function activeAtOf(registration: SimRegistration): number {
    const { job, reporting } = registration;
    if (!reporting || job === undefined || !isUp()) return registration.activeAt;
    if (upAt <= job.pickedAt || now() - upAt >= reportEveryMs) return now();
    return downAt > job.pickedAt ? downAt : registration.activeAt;
  }

  /** The server fails what nobody reported on; after a long time out of service it does so at its start. */
  function failZombie(job: SimJob): void {
    if (job.state !== 'running' || job.worked) return;
    if (!isUp()) return void schedule.after(upAt - now() + 1, () => failZombie(job));
    judge.zombie(job);
    close(job, 'failure');
  }

  return {
    jobs,
    registrations,
    isUp,
    open: () => open,
    queue({ repositoryId, lengthMs, group, labels }) {
      ids += 1;
      const job: Job = {
        forge: 'main',
        id: ids,
        handle: `h${ids}.1`,
        attempt: 1,
        repositoryId,
        ownerId: 1,
        name: `job ${ids}`,
        labels,
        taskId: 0,
        state: 'waiting',
      };
      return add(job, lengthMs, group);
    },
    rerun({ job, lengthMs, group }) {
      const attempt = job.attempt + 1;
      const handle = `h${job.id}.${attempt}`;
      if (!jobs.has(handle)) add({ ...job, attempt, handle }, lengthMs, group);
    },
    cancel: (job) => void (isOpen(job) && close(job, 'cancelled')),
    poach(job) {
      if (job.state !== 'waiting' || isBlocked(job)) return;
      begin(job, undefined);
      job.worked = true;
      schedule.after(job.lengthMs, () => {
        job.worked = false;
        if (job.state === 'running') close(job, 'success');
      });
    },
    hide: (repositoryId, ms) => void hiddenUntil.set(repositoryId, now() + ms),
    list: () =>
      [...jobs.values()].flatMap((entry): Job[] => {
        if (!isOpen(entry) || now() < (hiddenUntil.get(entry.job.repositoryId) ?? 0)) return [];
        return [entry.state === 'waiting' ? entry.job : { ...entry.job, state: 'running', taskId: entry.taskId }];
      }),
    register(name, description) {
      ids += 1;
      const id = ids;
      const uuid = `uuid-${id}`;
      const token = `token-${id}`;
      const clocks = { onlineAt: Number.NEGATIVE_INFINITY, activeAt: Number.NEGATIVE_INFINITY };
      registrations.set(id, {
        id,
        uuid,
        name,
        description,
        ephemeral: true,
        token,
        ...clocks,
        reporting: false,
        job: undefined,
        withheld: false,
      });
      return { id, uuid, token };
    },
    seen(registration) {
      const { id, uuid, name, description, ephemeral } = registration;
      const activeAt = activeAtOf(registration);
      const online = now() - Math.max(registration.onlineAt, activeAt) < onlineForMs;
      const status = now() - activeAt < activeForMs ? 'active' : online ? 'idle' : 'offline';
      return { id, uuid, name, description, ephemeral, status };
    },
    fetch(token, handle, labels) {
      if (!isUp()) return { kind: 'down' };
      const registration = [...registrations.values()].find((each) => each.token === token);
      if (registration === undefined) return { kind: 'refused' };
      registration.onlineAt = now();
      const job = handle === '' ? [...jobs.values()].find((each) => fits(each, labels)) : jobs.get(handle);
      if (job?.state !== 'waiting' || registration.job !== undefined || registration.withheld || isBlocked(job)) return { kind: 'nothing' };
      begin(job, registration);
      registration.job = job;
      registration.reporting = true;
      job.worked = true;
      return { kind: 'job', job };
    },
    withhold(token) {
      for (const registration of registrations.values()) if (registration.token === token) registration.withheld = true;
    },
    conclude(job, state) {
      if (!isUp()) return false;
      if (job.state === 'running') close(job, state);
      return true;
    },
    abandon(job) {
      job.worked = false;
      if (job.holder !== undefined) {
        job.holder.activeAt = activeAtOf(job.holder);
        job.holder.reporting = false;
      }
      if (job.state === 'running') schedule.after(zombieMs, () => failZombie(job));
    },
    reportFailure({ id, token }, taskId) {
      const registration = registrations.get(id);
      if (registration?.token !== token) return 'over';
      const job = [...jobs.values()].find((each) => each.taskId === taskId);
      if (job?.state !== 'running') return 'over';
      if (job.holder !== registration) return 'foreign';
      judge.reportedFor(job);
      close(job, 'failure');
      return 'reported';
    },
    goDown(ms) {
      if (isUp()) downAt = now();
      upAt = Math.max(upAt, now() + ms);
      if (ms < zombieMs) return;
      // What nobody could report on for so long is failed when the server starts.
      for (const job of jobs.values()) {
        if (job.state === 'running') schedule.after(ms, () => job.state === 'running' && close(job, 'failure'));
      }
    },
  };
}

export function isOpen(job: SimJob): boolean {
  return job.state === 'waiting' || job.state === 'running';
}
