// Promises the stand-in's whole memory: users, repositories, tokens, registrations, runs, jobs and tasks, with the counters and the clock
// that they share. Plain mutable rows, as a database has them; the rules are in the other files.

import { randomBytes, randomUUID } from 'node:crypto';

export type Status = 'success' | 'failure' | 'cancelled' | 'skipped' | 'waiting' | 'running' | 'blocked';
export type Permission = 'read' | 'write' | 'admin';

export type User = {
  readonly id: number;
  readonly name: string;
  readonly kind: 'user' | 'organization';
  readonly admin: boolean;
  /** Of an organization: the ids of its owners. */
  readonly owners: Set<number>;
  readonly createdAt: number;
};

export type StoredFile = { readonly sha: string; readonly content: string };

export type Repository = {
  readonly id: number;
  readonly ownerId: number;
  readonly name: string;
  readonly private: boolean;
  readonly branch: string;
  readonly collaborators: Map<number, Permission>;
  readonly files: Map<string, StoredFile>;
  readonly createdAt: number;
  actions: boolean;
  head: string | undefined;
  updatedAt: number;
  runs: number;
};

export type Token = { readonly text: string; readonly userId: number; readonly scopes: ReadonlySet<string> };

export type Registration = {
  readonly id: number;
  readonly uuid: string;
  readonly token: string;
  readonly ownerId: number;
  readonly repositoryId: number;
  readonly name: string;
  readonly description: string;
  readonly ephemeral: boolean;
  version: string;
  labels: readonly string[] | null;
  onlineAt: number;
  activeAt: number;
};

export type Run = {
  readonly id: number;
  readonly repositoryId: number;
  readonly index: number;
  readonly title: string;
  readonly workflow: string;
  event: 'push' | 'workflow_dispatch' | 'pull_request' | 'schedule';
  readonly payload: Readonly<Record<string, unknown>>;
  readonly userId: number;
  readonly ref: string;
  readonly sha: string;
  readonly group: string | undefined;
  /** Of a pull request of a fork. */
  fork: boolean;
  readonly createdAt: number;
  readonly jobs: number[];
  updatedAt: number;
  startedAt: number;
  stoppedAt: number;
};

export type Job = {
  readonly id: number;
  readonly runId: number;
  readonly repositoryId: number;
  readonly ownerId: number;
  /** The job's key in its workflow; `needs` are such keys. */
  readonly key: string;
  readonly name: string;
  readonly needs: readonly string[];
  readonly labels: readonly string[];
  readonly payload: string;
  /** The `if:` of the workflow, as it is written there. */
  readonly condition: string;
  readonly tasks: number[];
  attempt: number;
  handle: string;
  taskId: number;
  status: Status;
  /** Grows with every change of state: the server picks in this order. */
  order: number;
};

export type Step = { readonly id: number; readonly result: string };

export type Task = {
  readonly id: number;
  readonly jobId: number;
  readonly attempt: number;
  readonly registrationId: number;
  readonly requestKey: string;
  readonly rows: string[];
  readonly outputs: Map<string, string>;
  token: string;
  status: Status;
  logClosed: boolean;
  steps: readonly Step[];
  updatedAt: number;
  startedAt: number;
  stoppedAt: number;
};

export type Hook = Scoped & {
  readonly id: number;
  readonly type: string;
  readonly url: string;
  readonly contentType: string;
  readonly secret: string;
  readonly events: readonly string[];
  readonly active: boolean;
  readonly system: boolean;
  readonly header: string;
  readonly createdAt: number;
  /** The status of each delivery's answer; 0 = none. */
  readonly deliveries: number[];
};

export type CommitStatus = {
  readonly id: number;
  readonly repository: string;
  readonly sha: string;
  readonly status: string;
  readonly context: string;
  readonly description: string;
  readonly target: string;
};

type Kind = 'status' | 'hook' | 'user' | 'repository' | 'registration' | 'run' | 'job' | 'task' | 'order';

export type World = {
  /** Root of the server, without a slash at its end, as it names itself in its answers. */
  rootUrl: string;
  readonly version: string;
  readonly users: Map<number, User>;
  readonly repositories: Map<number, Repository>;
  readonly tokens: Map<string, Token>;
  readonly registrations: Map<number, Registration>;
  readonly registrationTokens: Map<string, Scoped>;
  readonly runs: Map<number, Run>;
  readonly jobs: Map<number, Job>;
  readonly tasks: Map<number, Task>;
  readonly hooks: Map<number, Hook>;
  /** Oldest first. */
  readonly statuses: CommitStatus[];
  /** Version of the tasks by scope; bumped whenever there may be something new to fetch. */
  readonly versions: Map<string, number>;
  /** How often a handle was asked for, and how often it was given. */
  readonly fetches: Map<string, { asked: number; given: number }>;
  /** Milliseconds since the epoch, moved on by `advance`. */
  now(): number;
  advance(ms: number): void;
  /** The next id of that kind; ids start at 1. */
  next(kind: Kind): number;
  /** Lets the ids of that kind go on after `id`. */
  skip(kind: Kind, id: number): void;
  /** Tells everybody who waits that something may be different now. */
  changed(): void;
  /** Resolves as soon as the condition holds. */
  until(holds: () => boolean): Promise<void>;
};

/** 0/0 is the instance. */
export type Scoped = { readonly ownerId: number; readonly repositoryId: number };

export function createWorld(version: string): World {
  const counters = new Map<Kind, number>();
  const waiters = new Set<() => void>();
  let offset = 0;
  return {
    rootUrl: '',
    version,
    users: new Map(),
    repositories: new Map(),
    tokens: new Map(),
    registrations: new Map(),
    registrationTokens: new Map(),
    runs: new Map(),
    jobs: new Map(),
    tasks: new Map(),
    hooks: new Map(),
    statuses: [],
    versions: new Map(),
    fetches: new Map(),
    now: () => Date.now() + offset,
    advance: (ms) => {
      offset += ms;
    },
    next: (kind) => {
      const id = (counters.get(kind) ?? 0) + 1;
      counters.set(kind, id);
      return id;
    },
    skip: (kind, id) => {
      counters.set(kind, Math.max(id, counters.get(kind) ?? 0));
    },
    changed: () => {
      for (const wake of waiters) wake();
    },
    until: (holds) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (!holds()) return;
          waiters.delete(look);
          resolve();
        };
        waiters.add(look);
        look();
      }),
  };
}

export function bumpVersion(world: World, { ownerId, repositoryId }: Scoped): void {
  const keys = new Set(['0/0']);
  if (ownerId !== 0) keys.add(`${ownerId}/0`);
  if (repositoryId !== 0) keys.add(`0/${repositoryId}`);
  for (const key of keys) world.versions.set(key, (world.versions.get(key) ?? 0) + 1);
}

/** Never 0: a runner takes that for an old server. */
export function versionOf(world: World, { ownerId, repositoryId }: Scoped): number {
  const key = `${repositoryId === 0 ? ownerId : 0}/${repositoryId}`;
  if (!world.versions.has(key)) world.versions.set(key, 1);
  return world.versions.get(key) ?? 1;
}

export function newUuid(): string {
  return randomUUID();
}

/** 40 hexadecimal digits: the form of access tokens, runner tokens and commits. */
export function newHex(): string {
  return randomBytes(20).toString('hex');
}

export function rowOf<T>(rows: ReadonlyMap<number, T>, id: number): T {
  const row = rows.get(id);
  if (row === undefined) throw new Error(`the stand-in has lost row ${id}`);
  return row;
}

export function userByName(world: World, name: string): User | undefined {
  return world.users.values().find((user) => user.name.toLowerCase() === name.toLowerCase());
}

export function repositoryByName(world: World, owner: string, name: string): Repository | undefined {
  const { id } = userByName(world, owner) ?? { id: 0 };
  return world.repositories.values().find((row) => row.ownerId === id && row.name.toLowerCase() === name.toLowerCase());
}
