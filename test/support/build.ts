// Promises small builders for the nouns, so that a test says only what matters to it.

import type { Network } from '../../src/core/addresses.ts';
import type { Job, JobList, Machine, Policy, Profile, Reading, Registration, Runner, World } from '../../src/core/model.ts';
import { runnerIdOf } from '../../src/core/naming.ts';

export function aProfile(over: Partial<Profile> = {}): Profile {
  return {
    name: 'default',
    labels: ['debian'],
    template: { kind: 'host' },
    limits: {},
    timeouts: { startMs: 60_000, pickMs: 30_000, jobMs: 7_200_000, stopMs: 10_000 },
    runnerPath: '/usr/local/bin/forgejo-runner',
    binds: [],
    environment: {},
    ...over,
  };
}

/** The network as it is unless a configuration says otherwise. */
export function aNetwork(over: Partial<Network> = {}): Network {
  return {
    pool: { first: '192.168.100.0', last: '192.168.199.255' },
    prefix: 24,
    nameservers: [],
    allow: [],
    deny: [],
    openPorts: [],
    externalInterface: [],
    masquerade: true,
    ...over,
  };
}

export function aPolicy(over: Partial<Policy> = {}): Policy {
  return {
    controllerId: 'test',
    description: 'forgejo-runner-controller test@host',
    maxConcurrent: 7,
    profiles: [aProfile()],
    slots: 100,
    mode: 'serving',
    goneGraceMs: 5_000,
    ...over,
  };
}

export function aJob(id: number, over: Partial<Job> = {}): Job {
  return {
    forge: 'main',
    id,
    handle: `handle-${id}`,
    attempt: 1,
    repositoryId: 1,
    ownerId: 1,
    name: `job ${id}`,
    labels: ['debian'],
    taskId: 0,
    state: 'waiting',
    ...over,
  };
}

export function aRunner(job: Job, over: Partial<Runner> = {}): Runner {
  const id = runnerIdOf('test', job);
  const { handle, attempt, repositoryId, name, labels } = job;
  return {
    id,
    forge: job.forge,
    job: { id: job.id, handle, attempt, repositoryId, name, labels },
    profile: 'default',
    machine: id,
    slot: 0,
    createdAt: 0,
    ...over,
  };
}

export function aMachine(id: string, over: Partial<Machine> = {}): Machine {
  return { id, slot: 0, startedAt: 0, state: 'running', ...over };
}

export function aRegistration(over: Partial<Registration> = {}): Registration {
  return {
    id: 1,
    uuid: 'uuid-1',
    name: 'j0000001abc',
    description: 'forgejo-runner-controller test@host',
    ephemeral: true,
    status: 'offline',
    ...over,
  };
}

export function known<T>(value: T, at = 0): Reading<T> {
  return { state: 'known', value, at };
}

export function listed(jobs: readonly Job[], poll = 1, at = 0): Reading<JobList> {
  return known({ jobs, poll }, at);
}

export const unknown: Reading<never> = { state: 'unknown', reason: 'FORGE_UNREACHABLE: no answer' };

export function aWorld(over: Partial<World> = {}): World {
  return {
    jobs: new Map(),
    registrations: new Map(),
    machines: known([]),
    room: known({ path: '/state', bytes: 1024 ** 4 }),
    runners: [],
    inFlight: new Set(),
    beginning: [],
    warmth: { builds: known(new Map()), usedAt: new Map(), rests: new Map() },
    dispatching: { orders: [], offers: new Map(), asked: new Map() },
    fresh: new Set(),
    backOffs: new Map(),
    absences: new Map(),
    condemned: new Set(),
    settled: new Map(),
    endings: new Map(),
    retries: new Map(),
    lastSlot: -1,
    ...over,
  };
}
