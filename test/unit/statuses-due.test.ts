// Which commits are told what of jobs that wait: after how long, once for each reason, and that it is over; nothing that a forge did not say.

import { describe, expect, test } from 'vitest';
import type { Denial } from '../../src/core/model.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { duesOf, seenAfter, type Posted } from '../../src/statuses/due.ts';
import { aJob, aRunner } from '../support/build.ts';

const now = 1_000_000;
const forge: Snapshot['forges'][number] = { name: 'main', url: 'u', scope: { kind: 'user' }, lastGoodPollAt: now, waiting: 0, running: 0 };
const waits = (id: number, over: Partial<Denial> = {}): Denial => ({
  job: aJob(id, { runId: id + 100, name: 'build' }),
  reason: 'capacity',
  sentence: 'all 7 machines are in use',
  ...over,
});
const after = new Map([['main', 120_000]]);
const told = (id: number, over: Partial<Posted> = {}): Posted => ({
  key: `handle-${id}`,
  forge: 'main',
  repositoryId: 1,
  runId: id + 100,
  context: 'forgejo-runner-controller/waiting / build',
  reason: 'capacity',
  since: now - 200_000,
  ...over,
});
const postedOf = (...all: readonly Posted[]): ReadonlyMap<string, Posted> => new Map(all.map((one) => [one.key, one]));

type Given = {
  readonly denials?: readonly Denial[];
  readonly runners?: Snapshot['runners'];
  readonly forges?: Snapshot['forges'];
  readonly posted?: ReadonlyMap<string, Posted>;
  readonly waitedMs?: number;
};
function dues({ denials = [], runners = [], forges = [forge], posted = new Map(), waitedMs = 120_000 }: Given) {
  const seen = new Map(denials.map(({ job }) => [job.handle, now - waitedMs]));
  return duesOf({ denials, runners, forges }, { seen, posted }, after, now);
}

describe('a job that waits', () => {
  test('is told on its commit when it has waited for long enough, with the reason, once', () => {
    expect(dues({ denials: [waits(1)], waitedMs: 119_999 }).due).toEqual([]);
    const [due] = dues({ denials: [waits(1)] }).due;
    expect(due).toEqual({
      posted: { ...told(1), since: now - 120_000 },
      state: 'pending',
      description: 'waits: all 7 machines are in use',
    });
    expect(dues({ denials: [waits(1)], posted: postedOf(told(1)) }).due).toEqual([]);
  });
  test('is told anew when the reason changes, at once', () => {
    const denial = waits(1, { reason: 'draining', sentence: 'the controller is draining' });
    expect(dues({ denials: [denial], posted: postedOf(told(1)), waitedMs: 0 }).due).toMatchObject([
      { description: 'waits: the controller is draining' },
    ]);
  });
  test('says nothing of the paths of the host, and names no time that would stand still', () => {
    const full = waits(1, { reason: 'host-full', sentence: '5 MiB are free on the file system of /var/lib/secret' });
    const rests = waits(2, { reason: 'back-off', sentence: 'Forgejo did not hand it out; next try in 25 s (try 2)' });
    expect(dues({ denials: [full, rests] }).due.map(({ description }) => description)).toEqual([
      'waits: the host of the runners takes nothing new at the moment',
      'waits: Forgejo did not hand it out',
    ]);
  });
  test('of a forge that does not tell its run cannot be told, and the forge is named', () => {
    const { runId: _, ...job } = aJob(1, { runId: 7 });
    expect(dues({ denials: [waits(1, { job })] })).toEqual({ due: [], runless: new Set(['main']) });
  });
  test('of a forge that does not want it is told nothing', () => {
    expect(dues({ denials: [waits(1, { job: aJob(1, { forge: 'other', runId: 7 }) })] }).due).toEqual([]);
  });
  test('has waited since it was first seen, also when its reason changed; one that came back waits anew', () => {
    const first = seenAfter(new Map(), { denials: [waits(1)], runners: [], forges: [] }, now);
    const later = seenAfter(first, { denials: [waits(1, { reason: 'draining' })], runners: [], forges: [] }, now + 5);
    expect(later.get('handle-1')).toBe(now);
    expect(seenAfter(later, { denials: [], runners: [], forges: [] }, now + 6).size).toBe(0);
  });
});

describe('a job that waited', () => {
  const runner = { ...aRunner(aJob(1)), phase: 'busy', attempts: 0, retryAt: 0 } as const;
  test('is told to have begun when its machine has it, and not before', () => {
    expect(dues({ runners: [runner], posted: postedOf(told(1)) }).due).toEqual([]);
    expect(dues({ runners: [{ ...runner, pickedAt: now }], posted: postedOf(told(1)) }).due).toEqual([
      { posted: told(1), state: 'success', description: 'began after 3 min' },
    ]);
  });
  test('is told not to wait any more when it has left the list', () => {
    expect(dues({ posted: postedOf(told(1)) }).due).toMatchObject([{ state: 'success', description: 'does not wait any more' }]);
  });
  test('I2 is told nothing while its forge does not answer, or has not answered yet', () => {
    const { lastGoodPollAt: _, ...unasked } = forge;
    const away = { ...forge, error: { code: 'FORGE_UNREACHABLE', message: 'm', since: 0 } };
    for (const forges of [[away], [unasked], []]) expect(dues({ forges, posted: postedOf(told(1)) }).due).toEqual([]);
  });
});
