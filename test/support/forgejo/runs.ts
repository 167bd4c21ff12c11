// Promises the life of runs and jobs as Forgejo 16 lives it: insert, pick, finish, cancel, rerun, zombies, with needs and concurrency
// groups. Knows no HTTP. Every function leaves the world consistent and wakes who waits.

import {
  bumpVersion,
  newHex,
  newUuid,
  rowOf,
  versionOf,
  type Job,
  type Registration,
  type Run,
  type Scoped,
  type Status,
  type Task,
  type World,
} from './world.ts';
import type { PlannedRun } from './workflow.ts';

export type NewRun = Pick<Run, 'repositoryId' | 'title' | 'workflow' | 'event' | 'payload' | 'userId' | 'ref' | 'sha'> & {
  readonly plan: PlannedRun;
  /** Number within the repository, when it was taken before the plan was made. */
  readonly index: number;
  readonly id: number;
};

const done: ReadonlySet<Status> = new Set(['success', 'failure', 'cancelled', 'skipped']);

export function isDone(status: Status): boolean {
  return done.has(status);
}

export function insertRun(world: World, wanted: NewRun): Run {
  const { plan, ...rest } = wanted;
  const repository = rowOf(world.repositories, wanted.repositoryId);
  const now = world.now();
  const run: Run = { ...rest, group: plan.group, fork: false, createdAt: now, jobs: [], updatedAt: now, startedAt: 0, stoppedAt: 0 };
  if (plan.cancelInProgress) for (const other of rivalsOf(world, run)) cancelRun(world, other);
  world.runs.set(run.id, run);
  for (const planned of plan.jobs) {
    const id = world.next('job');
    const order = world.next('order');
    const place = { id, runId: run.id, repositoryId: repository.id, ownerId: repository.ownerId };
    const state = { attempt: 1, handle: newUuid(), taskId: 0, order, tasks: [], status: firstStatusOf(planned) };
    world.jobs.set(id, { ...planned, ...place, ...state });
    run.jobs.push(id);
  }
  unblock(world, run);
  if (jobsOf(world, run).some((job) => job.status === 'waiting')) bumpVersion(world, repositoryScopeOf(world, run));
  touch(world, run);
  return run;
}

export function jobsOf(world: World, run: Run): readonly Job[] {
  return run.jobs.map((id) => rowOf(world.jobs, id));
}

export function statusOf(world: World, run: Run): Status {
  const states = new Set(jobsOf(world, run).map((job) => job.status));
  for (const state of ['running', 'waiting', 'blocked', 'failure', 'cancelled', 'success'] as const) if (states.has(state)) return state;
  return 'skipped';
}

/** What a fetch by this registration would get; undefined = nothing now. */
export function pick(world: World, registration: Registration, handle: string, requestKey: string): Task | undefined {
  const labels = new Set(registration.labels);
  let best: Job | undefined;
  for (const job of world.jobs.values()) {
    if (job.status !== 'waiting' || job.taskId !== 0 || (handle !== '' && job.handle !== handle)) continue;
    if (job.labels.length === 0 || !job.labels.every((label) => labels.has(label))) continue;
    if (best !== undefined && best.order < job.order) continue;
    if (!isReachable(world, registration, job) || isHeldBack(world, rowOf(world.runs, job.runId))) continue;
    best = job;
  }
  return best === undefined ? undefined : assign(world, best, registration, requestKey);
}

function assign(world: World, job: Job, registration: Registration, requestKey: string): Task {
  const now = world.now();
  const task: Task = {
    id: world.next('task'),
    jobId: job.id,
    attempt: job.attempt,
    registrationId: registration.id,
    requestKey,
    rows: [],
    outputs: new Map(),
    token: newHex(),
    status: 'running',
    logClosed: false,
    steps: [],
    updatedAt: now,
    startedAt: now,
    stoppedAt: 0,
  };
  world.tasks.set(task.id, task);
  job.tasks.push(task.id);
  job.taskId = task.id;
  job.status = 'running';
  const run = rowOf(world.runs, job.runId);
  if (run.startedAt === 0) run.startedAt = now;
  touch(world, run);
  return task;
}

function isReachable(world: World, { ownerId, repositoryId }: Scoped, job: Job): boolean {
  const repository = rowOf(world.repositories, job.repositoryId);
  if (repositoryId !== 0) return repository.id === repositoryId;
  return repository.actions && (ownerId === 0 || repository.ownerId === ownerId);
}

/** Its group has a run that runs, or one that waits and came before. Such a job is listed as waiting all the same. */
function isHeldBack(world: World, run: Run): boolean {
  return rivalsOf(world, run).some((other) => {
    const status = statusOf(world, other);
    return status === 'running' || (!isDone(status) && other.index < run.index);
  });
}

function rivalsOf(world: World, run: Run): readonly Run[] {
  if (run.group === undefined) return [];
  return [...world.runs.values()].filter(
    (other) => other.id !== run.id && other.repositoryId === run.repositoryId && other.group === run.group,
  );
}

/** Ends a task for good, as its runner or the server says; the registration goes with it when it is ephemeral. */
export function endTask(world: World, task: Task, status: Status): void {
  if (isDone(task.status)) return;
  const job = rowOf(world.jobs, task.jobId);
  task.status = status;
  task.stoppedAt = world.now();
  if (job.taskId === task.id) job.status = status;
  if (world.registrations.get(task.registrationId)?.ephemeral === true) world.registrations.delete(task.registrationId);
  const run = rowOf(world.runs, job.runId);
  unblock(world, run);
  touch(world, run);
}

/** Cancels what is not done yet; a finished run stays as it is. */
export function cancelRun(world: World, run: Run): void {
  for (const job of jobsOf(world, run)) {
    if (job.status === 'running') endTask(world, rowOf(world.tasks, job.taskId), 'cancelled');
    else if (!isDone(job.status)) job.status = 'cancelled';
  }
  touch(world, run);
}

/** A new attempt of a whole run, or of one of its jobs: same ids, new handles. */
export function rerun(world: World, run: Run, only: Job | undefined): void {
  if (!isDone(statusOf(world, run))) throw new Error(`run ${run.id} is not done: Forgejo reruns only what has ended`);
  for (const job of only === undefined ? jobsOf(world, run) : [only]) {
    job.attempt += 1;
    job.handle = newUuid();
    job.taskId = 0;
    job.order = world.next('order');
    // A job that is rerun alone waits even if it has needs.
    job.status = only === undefined && job.needs.length > 0 ? 'blocked' : 'waiting';
  }
  run.startedAt = 0;
  run.stoppedAt = 0;
  bumpVersion(world, repositoryScopeOf(world, run));
  touch(world, run);
}

/** Fails every running task that was not heard of for that long, as the cron of Forgejo does. */
export function endZombies(world: World, timeoutMs: number): void {
  const oldest = world.now() - timeoutMs;
  for (const task of world.tasks.values()) if (task.status === 'running' && task.updatedAt < oldest) endTask(world, task, 'failure');
}

/** The tasks that a lost reply has cost its runner: same registration, same key. */
export function redelivered(world: World, registration: Registration, requestKey: string): readonly Task[] {
  if (requestKey === '') return [];
  return [...world.tasks.values()].filter((task) => task.registrationId === registration.id && task.requestKey === requestKey);
}

export function hasTask(world: World, registration: Registration): boolean {
  return world.tasks.values().some((task) => task.registrationId === registration.id);
}

export function isCurrent(world: World, registration: Registration, tasksVersion: number): boolean {
  return versionOf(world, registration) === tasksVersion;
}

function firstStatusOf({ needs, condition }: Pick<Job, 'needs' | 'condition'>): Status {
  if (needs.length > 0) return 'blocked';
  return isNever(condition) ? 'skipped' : 'waiting';
}

/** Lets blocked jobs go whose needs have all ended: to wait, or to be skipped because a need failed. */
function unblock(world: World, run: Run): void {
  const jobs = jobsOf(world, run);
  for (let moved = true; moved;) {
    moved = false;
    for (const job of jobs) {
      if (job.status !== 'blocked') continue;
      const needed = jobs.filter((other) => job.needs.includes(other.key));
      if (!needed.every((other) => isDone(other.status))) continue;
      const fine = needed.every((other) => other.status === 'success');
      job.status = !isNever(job.condition) && (fine || /\b(?:always|failure)\(\)/.test(job.condition)) ? 'waiting' : 'skipped';
      job.order = world.next('order');
      if (job.status === 'waiting') bumpVersion(world, repositoryScopeOf(world, run));
      moved = true;
    }
  }
}

function isNever(condition: string): boolean {
  return /^(?:false|\$\{\{\s*false\s*\}\})$/.test(condition.trim());
}

function repositoryScopeOf(world: World, run: Run): Scoped {
  return { repositoryId: run.repositoryId, ownerId: rowOf(world.repositories, run.repositoryId).ownerId };
}

function touch(world: World, run: Run): void {
  run.updatedAt = world.now();
  run.stoppedAt = isDone(statusOf(world, run)) ? run.updatedAt : 0;
  world.changed();
}
