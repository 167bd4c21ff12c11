// Promises pictures for the tests of the API: a fresh quiet one, a busy one in which every field is filled, and a log that remembers.

import type { Clock } from '../../src/clock.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import type { ApiSettings } from '../../src/http/app.ts';
import type { Facts, Log } from '../../src/log.ts';

export const startedAt = Date.UTC(2030, 0, 1);
/** Ten minutes after the start: every grace is over. */
export const now = startedAt + 600_000;

export const settings: ApiSettings = {
  maxConcurrent: 7,
  pollIntervalMs: 1_000,
  jobTimeoutMs: 7_200_000,
  configHash: '0123456789ab',
  forges: [
    { name: 'forge', pollIntervalMs: 1_000 },
    { name: 'slow', pollIntervalMs: 30_000 },
  ],
};

export const quiet: Snapshot = {
  controllerId: 'ci-1',
  version: '0.1.0',
  startedAt,
  tickAt: now - 500,
  ticks: 600,
  tickMs: 3,
  draining: false,
  host: { machines: 0 },
  forges: [
    {
      name: 'forge',
      url: 'https://forge.example.org',
      scope: { kind: 'repository', owner: 'o', name: 'n' },
      version: '16.0.0',
      lastGoodPollAt: now - 700,
      lastPollMs: 4,
      waiting: 0,
      running: 0,
    },
  ],
  runners: [],
  warm: [],
  denials: [],
  backOffs: [],
  ended: [],
  capacity: { max: 7, used: 0, profiles: [{ name: 'default', labels: ['ci'], used: 0 }] },
  leftovers: [],
  quarantined: [],
};

const handle = '6a9c7f3e-0000-4000-8000-000000000001';
const job = { id: 41, handle, attempt: 1, repositoryId: 9, name: 'build', labels: ['ci'] };

export const busy: Snapshot = {
  ...quiet,
  draining: true,
  drain: { by: 'signal SIGUSR1', since: now - 5_000, left: 2 },
  host: { machines: 1, room: { path: '/state', bytes: 5, inodes: 7 }, full: '0 MiB are free' },
  runners: [
    {
      id: 'j0000041abc',
      forge: 'forge',
      job,
      profile: 'default',
      machine: 'j0000041abc',
      slot: 3,
      createdAt: now - 95_000,
      assignedAt: now - 90_500,
      pickedAt: now - 90_000,
      stop: { reason: 'job-timeout', at: now - 10 },
      phase: 'busy',
      machineState: 'running',
      registrationId: 77,
      attempts: 2,
      retryAt: now + 1_000,
      lastError: { code: 'DRIVER_FAILED', message: 'The machine did not stop.' },
    },
    {
      id: 'j0000042abc',
      forge: 'forge',
      job: { ...job, id: 42 },
      profile: 'default',
      machine: 'j0000042abc',
      slot: 4,
      createdAt: now - 5,
      phase: 'launching',
      attempts: 0,
      retryAt: 0,
    },
  ],
  denials: [
    {
      job: { ...job, forge: 'forge', id: 43, ownerId: 1, taskId: 0, state: 'waiting', labels: ['windows'] },
      reason: 'unmatched',
      sentence: 'label `windows` is in no profile; nearest is `default`',
    },
    {
      job: { ...job, forge: 'forge', id: 44, ownerId: 1, taskId: 0, state: 'waiting' },
      reason: 'capacity',
      sentence: 'all 7 machines are in use',
      position: 1,
    },
  ],
  backOffs: [{ key: handle, until: now + 60_000, count: 1, reason: 'unpicked', forge: 'forge', repositoryId: 9 }],
  ended: [
    {
      id: 'j0000040abc',
      forge: 'forge',
      job: { id: 40, handle, attempt: 1, repositoryId: 9, name: 'test' },
      profile: 'default',
      createdAt: now - 300_000,
      assignedAt: now - 299_000,
      pickedAt: now - 298_000,
      cleaningAt: now - 200_100,
      endedAt: now - 200_000,
      reason: 'finished',
      exit: { result: 'success', code: 'exited', status: '0' },
    },
  ],
  capacity: { max: 7, used: 2, profiles: [{ name: 'default', labels: ['ci'], used: 2, max: 5 }] },
  leftovers: [{ kind: 'interface', name: 'fr-j0000039abc' }],
  quarantined: ['j0000038abc.json'],
};

export const fixedClock: Clock = { now: () => now, wallOf: (at) => at, sleep: () => Promise.resolve() };

export function rememberingLog(): Log & { readonly lines: readonly (readonly [level: string, event: string, facts: Facts | undefined])[] } {
  const lines: [string, string, Facts | undefined][] = [];
  const at = (level: string) => (event: string, facts?: Facts) => {
    lines.push([level, event, facts]);
  };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), conceal: () => undefined };
}
