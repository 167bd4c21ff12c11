// Promises what a test may do to the stand-in besides speaking Forgejo: set the scene, queue, cancel, rerun, look inside, wait for what
// happens, break things. Every argument and answer is JSON, so the same calls work from another process (control-client.ts).

import type { Faults, Rule } from './faults.ts';
import type { CommitStatus, Permission, Registration, Run, Status, World } from './world.ts';
import { newHex, repositoryByName, rowOf, userByName } from './world.ts';
import { addRepository, addUser } from './routes-repositories.ts';
import { cancelRun, endZombies, jobsOf, rerun, statusOf } from './runs.ts';
import { commit, dispatchEventOf, pushEventOf, start, startPushRuns } from './start-run.ts';
import { registrationJsonOf } from './wire.ts';
import { workflowOf } from './workflow.ts';

export type QueuedJob = { readonly runId: number; readonly jobId: number; readonly handle: string };

export type JobView = {
  readonly id: number;
  readonly runId: number;
  readonly repository: string;
  readonly name: string;
  readonly labels: readonly string[];
  readonly status: Status;
  readonly attempt: number;
  readonly handle: string;
  readonly taskId: number;
  /** Of the last attempt that was picked. */
  readonly log: readonly string[];
  readonly logClosed: boolean;
  readonly steps: readonly { readonly id: number; readonly result: string }[];
  readonly outputs: Readonly<Record<string, string>>;
  /** Of the registration that picked the last attempt, which may be gone. */
  readonly registrationId: number;
};

export type RegistrationView = Pick<
  Registration,
  'id' | 'uuid' | 'name' | 'description' | 'ephemeral' | 'ownerId' | 'repositoryId' | 'labels'
> & {
  readonly status: string;
};

export type JobWish = {
  /** `owner/name` */
  readonly repository: string;
  readonly labels: readonly string[];
  /** One `run:` step; or several as a workflow writes them. */
  readonly script?: string;
  readonly steps?: readonly Readonly<Record<string, unknown>>[];
  readonly name?: string;
  readonly group?: string;
  readonly timeoutMinutes?: number;
  /** As of a pull request of a fork; the event stays what it is. */
  readonly fork?: boolean;
  /** What is said to have started it; a dispatch unless told otherwise. */
  readonly event?: Run['event'];
};

export type Control = {
  addUser(wish: { readonly name: string; readonly admin?: boolean }): Promise<number>;
  addOrganization(wish: { readonly name: string; readonly owners: readonly string[] }): Promise<number>;
  addRepository(wish: { readonly repository: string; readonly private?: boolean; readonly actions?: boolean }): Promise<number>;
  addCollaborator(wish: { readonly repository: string; readonly user: string; readonly permission: Permission }): Promise<void>;
  /** A new access token; scopes as Forgejo names them, `all` among them. */
  addToken(wish: { readonly user: string; readonly scopes: readonly string[] }): Promise<string>;
  setActions(wish: { readonly repository: string; readonly actions: boolean }): Promise<void>;
  /** One run with one job that waits at once. */
  queueJob(wish: JobWish): Promise<QueuedJob>;
  /** The same so many times over: a run for each. */
  queueJobs(wish: JobWish & { readonly count: number }): Promise<readonly QueuedJob[]>;
  /** One run of a whole workflow, whatever its `on:` says; its jobs in the order of the file. */
  queueWorkflow(wish: { readonly repository: string; readonly workflow: string; readonly file?: string }): Promise<readonly QueuedJob[]>;
  /** As a push by the first admin would. */
  push(wish: {
    readonly repository: string;
    readonly path: string;
    readonly content: string;
    readonly message?: string;
  }): Promise<readonly QueuedJob[]>;
  /** Every status that a commit was given, oldest first. */
  statuses(): Promise<readonly CommitStatus[]>;
  /** Every webhook, with the status of each delivery's answer. */
  hooks(): Promise<
    readonly { readonly id: number; readonly url: string; readonly secret: string; readonly deliveries: readonly number[] }[]
  >;
  cancel(runId: number): Promise<void>;
  /** A new attempt of every job of a run, or of one job alone. */
  rerun(wish: { readonly runId: number } | { readonly jobId: number }): Promise<readonly QueuedJob[]>;
  job(id: number): Promise<JobView>;
  jobs(): Promise<readonly JobView[]>;
  /** Resolves with the job once it is there and in one of these states. */
  untilJob(wish: { readonly id: number; readonly states: readonly Status[] }): Promise<JobView>;
  /** Resolves once every job is done. */
  untilIdle(): Promise<void>;
  /** Resolves once so many requests of that route have come. */
  untilRequests(wish: { readonly route: string; readonly count: number }): Promise<void>;
  /** Resolves once so many registrations are there. */
  untilRegistrations(count: number): Promise<void>;
  registrations(): Promise<readonly RegistrationView[]>;
  /** By handle: how often a runner asked for it, how often it got it. '' = asked for no handle. */
  fetches(): Promise<Readonly<Record<string, { readonly asked: number; readonly given: number }>>>;
  /** Moves the clock on; running tasks that were not heard of for too long fail. */
  advance(ms: number): Promise<void>;
  /** By `METHOD route`, the route as in the tables of this folder: `GET /api/v1/orgs/{org}/actions/runners/jobs`. */
  requests(): Promise<Readonly<Record<string, number>>>;
  clearRequests(): Promise<void>;
  addFault(rule: Rule): Promise<number>;
  clearFaults(): Promise<void>;
  /** How often each rule has struck, in their order. */
  struck(): Promise<readonly number[]>;
  /** Lets the ids of a kind go on after `id`. */
  skipIds(wish: { readonly kind: 'repository' | 'registration' | 'run' | 'job' | 'task' | 'user'; readonly id: number }): Promise<void>;
};

export type ControlParts = {
  readonly world: World;
  readonly faults: Faults;
  readonly counts: Map<string, number>;
  readonly zombieTimeoutMs: number;
};

export function createControl(parts: ControlParts): Control {
  return { ...createScene(parts.world), ...createWork(parts.world), ...createViews(parts), ...createSwitches(parts) };
}

function createScene(
  world: World,
): Pick<Control, 'addUser' | 'addOrganization' | 'addRepository' | 'addCollaborator' | 'addToken' | 'setActions'> {
  return {
    addUser: async ({ name, admin = false }) => addUser(world, { name, kind: 'user', admin }).id,
    addOrganization: async ({ name, owners }) => {
      return addUser(world, { name, kind: 'organization', admin: false, owners: owners.map((owner) => userOf(world, owner).id) }).id;
    },
    addRepository: async ({ repository, ...wish }) => {
      const [owner = '', name = ''] = repository.split('/');
      return addRepository(world, userOf(world, owner), { name, ...wish }).id;
    },
    addCollaborator: async ({ repository, user, permission }) => {
      repositoryOf(world, repository).collaborators.set(userOf(world, user).id, permission);
    },
    addToken: async ({ user, scopes }) => {
      const text = newHex();
      world.tokens.set(text, { text, userId: userOf(world, user).id, scopes: new Set(scopes) });
      return text;
    },
    setActions: async ({ repository, actions }) => {
      repositoryOf(world, repository).actions = actions;
    },
  };
}

function createWork(world: World): Pick<Control, 'queueJob' | 'queueJobs' | 'queueWorkflow' | 'push' | 'cancel' | 'rerun'> {
  const queued = (runIds: readonly number[]): readonly QueuedJob[] => {
    const jobs = runIds.flatMap((id) => jobsOf(world, rowOf(world.runs, id)));
    return jobs.map((job) => ({ runId: job.runId, jobId: job.id, handle: job.handle }));
  };
  const dispatch = (full: string, workflow: Readonly<Record<string, unknown>>, file: string): readonly QueuedJob[] => {
    const repository = repositoryOf(world, full);
    const user = actorOf(world);
    const path = `.forgejo/workflows/${file}`;
    const payload = dispatchEventOf(world, repository, user, path, {});
    return queued([start(world, { repository, user, workflow, path, event: 'workflow_dispatch', payload }).id]);
  };
  const queueOne = (wish: JobWish): QueuedJob => {
    const [job] = dispatch(wish.repository, singleJobOf(wish), 'queued.yml');
    if (job === undefined) throw new Error('the queued job did not come into being');
    const run = rowOf(world.runs, job.runId);
    run.fork = wish.fork ?? false;
    run.event = wish.event ?? run.event;
    return job;
  };
  return {
    queueJob: async (wish) => queueOne(wish),
    queueJobs: async ({ count, ...wish }) => Array.from({ length: count }, () => queueOne(wish)),
    queueWorkflow: async ({ repository, workflow, file = 'queued.yml' }) => {
      const parsed = workflowOf(workflow);
      if (parsed === undefined) throw new Error(`not a workflow: ${workflow.slice(0, 200)}`);
      return dispatch(repository, parsed, file);
    },
    push: async ({ repository, path, content, message = 'workflow' }) => {
      const row = repositoryOf(world, repository);
      const user = actorOf(world);
      const change = { path, content, message };
      const event = pushEventOf(world, row, user, change, commit(world, row, change));
      return queued(startPushRuns(world, row, user, event, message).map((run) => run.id));
    },
    cancel: async (runId) => cancelRun(world, rowOf(world.runs, runId)),
    rerun: async (wish) => {
      const job = 'jobId' in wish ? rowOf(world.jobs, wish.jobId) : undefined;
      const runId = 'runId' in wish ? wish.runId : (job?.runId ?? 0);
      rerun(world, rowOf(world.runs, runId), job);
      return queued([runId]).filter((one) => job === undefined || one.jobId === job.id);
    },
  };
}

type Views =
  | 'hooks'
  | 'statuses'
  | 'job'
  | 'jobs'
  | 'untilJob'
  | 'untilIdle'
  | 'untilRequests'
  | 'untilRegistrations'
  | 'registrations'
  | 'fetches'
  | 'requests';

function createViews({ world, counts }: ControlParts): Pick<Control, Views> {
  return {
    job: async (id) => jobViewOf(world, id),
    jobs: async () => [...world.jobs.keys()].map((id) => jobViewOf(world, id)),
    untilJob: async ({ id, states }) => {
      await world.until(() => states.some((state) => world.jobs.get(id)?.status === state));
      return jobViewOf(world, id);
    },
    untilIdle: () =>
      world.until(() => world.runs.values().every((run) => !['waiting', 'running', 'blocked'].includes(statusOf(world, run)))),
    untilRequests: ({ route, count }) => world.until(() => (counts.get(route) ?? 0) >= count),
    untilRegistrations: (count) => world.until(() => world.registrations.size === count),
    statuses: async () => [...world.statuses],
    hooks: async () =>
      [...world.hooks.values()].map(({ id, active, url, secret, deliveries }) => ({
        id,
        active,
        url,
        secret,
        deliveries: [...deliveries],
      })),
    registrations: async () =>
      [...world.registrations.values()].map(({ id, uuid, name, description, ephemeral, ownerId, repositoryId, labels, ...row }) => {
        const { status } = registrationJsonOf(
          { id, uuid, name, description, ephemeral, ownerId, repositoryId, labels, ...row },
          world.now(),
        );
        return { id, uuid, name, description, ephemeral, ownerId, repositoryId, labels, status: String(status) };
      }),
    fetches: async () => Object.fromEntries(world.fetches),
    requests: async () => Object.fromEntries(counts),
  };
}

type Switches = 'advance' | 'clearRequests' | 'addFault' | 'clearFaults' | 'struck' | 'skipIds';

function createSwitches({ world, faults, counts, zombieTimeoutMs }: ControlParts): Pick<Control, Switches> {
  return {
    advance: async (ms) => {
      world.advance(ms);
      endZombies(world, zombieTimeoutMs);
      world.changed();
    },
    clearRequests: async () => counts.clear(),
    addFault: async (rule) => faults.add(rule),
    clearFaults: async () => faults.clear(),
    struck: async () => faults.struck(),
    skipIds: async ({ kind, id }) => world.skip(kind, id),
  };
}

function jobViewOf(world: World, id: number): JobView {
  const job = rowOf(world.jobs, id);
  const repository = rowOf(world.repositories, job.repositoryId);
  const task = world.tasks.get(job.tasks.at(-1) ?? 0);
  const { runId, name, labels, status, attempt, handle, taskId } = job;
  return {
    id,
    runId,
    name,
    labels,
    status,
    attempt,
    handle,
    taskId,
    repository: `${rowOf(world.users, repository.ownerId).name}/${repository.name}`,
    log: [...(task?.rows ?? [])],
    logClosed: task?.logClosed ?? false,
    steps: task?.steps ?? [],
    outputs: Object.fromEntries(task?.outputs ?? []),
    registrationId: task?.registrationId ?? 0,
  };
}

function singleJobOf({ labels, script = 'true', steps, name = 'job', group, timeoutMinutes }: JobWish): Readonly<Record<string, unknown>> {
  return {
    name,
    on: ['workflow_dispatch'],
    ...(group === undefined ? {} : { concurrency: { group } }),
    jobs: {
      job: {
        name,
        'runs-on': labels,
        ...(timeoutMinutes === undefined ? {} : { 'timeout-minutes': timeoutMinutes }),
        steps: steps ?? [{ run: script }],
      },
    },
  };
}

function actorOf(world: World) {
  const admin = world.users.values().find((user) => user.admin);
  if (admin === undefined) throw new Error('the stand-in has no admin');
  return admin;
}

function userOf(world: World, name: string) {
  const user = userByName(world, name);
  if (user === undefined) throw new Error(`no user or organization ${name}`);
  return user;
}

function repositoryOf(world: World, full: string) {
  const [owner = '', name = ''] = full.split('/');
  const repository = repositoryByName(world, owner, name);
  if (repository === undefined) throw new Error(`no repository ${full}`);
  return repository;
}
