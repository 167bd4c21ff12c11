// Promises a plausible hour of a busy service, always the same but for the time it ends at: the picture in README, and a place for tests to begin.

import type { EndedView, RunnerView, Snapshot } from '../../src/core/snapshot.ts';
import type { Denial } from '../../src/core/model.ts';
import { quiet } from './snapshot-fixture.ts';

const minute = 60_000;
const handle = '6a9c7f3e-0000-4000-8000-000000000001';
const labels = ['debian'];

/** Name, repository, profile, minutes it takes. */
const kinds: readonly (readonly [name: string, repository: number, profile: string, minutes: number])[] = [
  ['test', 4, 'default', 4.2],
  ['lint', 4, 'default', 1.1],
  ['build (amd64)', 7, 'large', 9.5],
  ['docs', 12, 'default', 2.3],
  ['e2e', 7, 'large', 12.4],
  ['test (postgres)', 9, 'default', 6.1],
];

const bad: Readonly<Record<number, readonly [reason: string, cause: string]>> = {
  9: ['machine-failed', 'killed: memory limit 4 GiB'],
  21: ['cancelled', 'was cancelled in Forgejo'],
};

/** Five machines and more at a time, until `now`. */
export function busyHour(now: number): Snapshot {
  const ended: EndedView[] = [];
  const runners: RunnerView[] = [];
  const free = [-61, -58.5, -60.2, -52, -44].map((at) => now + at * minute);
  for (let number = 0; runners.length < 5; number += 1) {
    const [name, repositoryId, profile, minutes] = kinds[(number * 5 + Math.floor(number / 4)) % kinds.length] ?? ['test', 4, 'default', 4];
    const lane = free.indexOf(Math.min(...free));
    const createdAt = (free[lane] ?? now) + ((number * 7) % 11) * 9_000;
    const assignedAt = createdAt + 900 + ((number * 13) % 5) * 300 + (number % 7 === 3 ? 40_000 : 0);
    const pickedAt = assignedAt + (number % 6 === 2 ? 55_000 : 400);
    const cleaningAt = pickedAt + minutes * minute * (0.7 + ((number * 3) % 7) / 10);
    const endedAt = cleaningAt + 700 + (number % 5 === 1 ? 25_000 : 0);
    const id = `j${String(1200 + number).padStart(7, '0')}${((number * 7919) % 46_656).toString(36).padStart(3, 'x')}`;
    const job = { id: 1200 + number, name, repositoryId, attempt: number === 11 ? 2 : 1, handle: `${handle}${number}` };
    const times = { createdAt, assignedAt, pickedAt };
    const [reason, cause] = bad[number] ?? ['finished', 'ended by itself'];
    if (endedAt > now) {
      const machine = { machine: id, slot: number, machineState: 'running' as const, registrationId: 300 + number };
      const view = {
        id,
        forge: 'main',
        profile,
        attempts: 0,
        retryAt: 0,
        ...machine,
        job: { ...job, labels: profile === 'large' ? ['large'] : labels },
      };
      const young = createdAt > now - 20_000;
      const stale = young ? { createdAt: now - 1_200, phase: 'launching' as const } : { ...times, phase: 'busy' as const };
      runners.push({ ...view, ...stale });
      free[lane] = Infinity;
      continue;
    }
    const exit = {
      result: 'success',
      code: 'exited',
      status: '0',
      memoryPeakBytes: reason === 'machine-failed' ? 2 ** 32 : (number % 9) * 2 ** 27 + 2 ** 28,
      cpuMs: (endedAt - createdAt) * 0.8,
    };
    ended.unshift({ id, forge: 'main', job, profile, ...times, cleaningAt, endedAt, reason, cause, exit });
    free[lane] = endedAt + 2_000;
  }
  return {
    ...quiet,
    startedAt: now - 27 * 60 * minute,
    tickAt: now - 300,
    ended: ended.toSorted((a, b) => b.endedAt - a.endedAt),
    runners,
    host: { machines: runners.length },
    forges: [forgeOf(now, runners.length)],
    denials: [
      waiting(
        1261,
        'deploy',
        labels,
        'back-off',
        'Forgejo did not hand it to the machine that waited for it (a concurrency group, most likely); tried again in 20 s',
        1,
      ),
      waiting(1263, 'build (arm64)', ['debian', 'arm64'], 'unmatched', 'label `arm64` is in no profile; nearest is `default`'),
      waiting(1262, 'nightly', ['large'], 'profile-capacity', 'all 2 machines of profile `large` are in use', 2),
    ],
    capacity: {
      max: 8,
      used: runners.length,
      profiles: [
        { name: 'default', labels, used: 3 },
        { name: 'large', labels: ['large'], used: 2, max: 2 },
      ],
    },
  };
}

function forgeOf(now: number, running: number): Snapshot['forges'][number] {
  const scope = { kind: 'organization', name: 'builders' } as const;
  const polled = { lastGoodPollAt: now - 400, lastPollMs: 6 };
  return { name: 'main', url: 'https://forge.example.org', scope, version: '16.0.1', ...polled, waiting: 3, running };
}

export function waiting(
  id: number,
  name: string,
  wanted: readonly string[],
  reason: Denial['reason'],
  sentence: string,
  position?: number,
): Denial {
  const job = {
    forge: 'main',
    id,
    name,
    handle: `${handle}${id}`,
    attempt: 1,
    repositoryId: 4,
    ownerId: 1,
    taskId: 0,
    state: 'waiting' as const,
  };
  return { job: { ...job, labels: wanted }, reason, sentence, ...(position === undefined ? {} : { position }) };
}
