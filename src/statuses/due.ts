// Promises which commits are to be told what, from the picture alone: that a job waits, why, and that it does so no longer. One word for each job
// and reason; what a forge did not say just now changes nothing (I2). Pure.

import type { Denial, ForgeName } from '../core/model.ts';
import { jobKeyOf } from '../core/naming.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { durationOf } from '../core/termination.ts';

/** What a commit was told last of one job. */
export type Posted = {
  /** jobKeyOf. */
  readonly key: string;
  readonly forge: ForgeName;
  readonly repositoryId: number;
  readonly runId: number;
  readonly context: string;
  readonly reason: string;
  /** When the job was first seen waiting. */
  readonly since: number;
};

export type Due = { readonly posted: Posted; readonly state: 'pending' | 'success'; readonly description: string };
/** `runless`: forges whose jobs do not say to which run they belong. */
export type Dues = { readonly due: readonly Due[]; readonly runless: ReadonlySet<ForgeName> };

type Picture = Pick<Snapshot, 'denials' | 'runners' | 'forges'>;
const longestName = 100;
const longestDescription = 200;

/** Since when each job waits: those that wait now. */
export function seenAfter(before: ReadonlyMap<string, number>, { denials }: Picture, now: number): ReadonlyMap<string, number> {
  return new Map(denials.map(({ job }) => [jobKeyOf(job), before.get(jobKeyOf(job)) ?? now]));
}

/** What is remembered of jobs, each by jobKeyOf. */
type Known = {
  /** Since when each that waits does. */
  readonly seen: ReadonlyMap<string, number>;
  readonly posted: ReadonlyMap<string, Posted>;
};

/** `afterMs`: how long a job waits before its commit is told, by forge; those without are told nothing. */
export function duesOf(picture: Picture, { seen, posted }: Known, afterMs: ReadonlyMap<ForgeName, number>, now: number): Dues {
  const runless = new Set<ForgeName>();
  const waits = picture.denials.flatMap((denial): Due[] => {
    const { job, reason } = denial;
    const since = posted.get(jobKeyOf(job))?.since ?? seen.get(jobKeyOf(job)) ?? now;
    const after = afterMs.get(job.forge);
    if (after === undefined || now - since < after || posted.get(jobKeyOf(job))?.reason === reason) return [];
    if (job.runId === undefined) {
      runless.add(job.forge);
      return [];
    }
    const { forge, repositoryId, runId } = job;
    const one = { key: jobKeyOf(job), forge, repositoryId, runId, context: contextOf(job.name), reason, since };
    return [{ posted: one, state: 'pending', description: `waits: ${publicSentenceOf(denial)}`.slice(0, longestDescription) }];
  });
  return { due: [...oversOf(picture, posted, now), ...waits.toSorted((a, b) => a.posted.since - b.posted.since)], runless };
}

/** Of jobs that are no longer waited for. One whose machine is there and has not got it yet may wait again. */
function oversOf({ denials, runners, forges }: Picture, posted: ReadonlyMap<string, Posted>, now: number): readonly Due[] {
  const waiting = new Set(denials.map(({ job }) => jobKeyOf(job)));
  const running = new Set<string>();
  for (const { forge, job, pickedAt } of runners) (pickedAt === undefined ? waiting : running).add(jobKeyOf({ forge, ...job }));
  const answering = new Set(
    forges.filter(({ error, lastGoodPollAt }) => error === undefined && lastGoodPollAt !== undefined).map(({ name }) => name),
  );
  return [...posted.values()]
    .filter(({ key, forge }) => !waiting.has(key) && answering.has(forge))
    .map((one) => {
      const waited = durationOf(Math.max(0, now - one.since));
      return { posted: one, state: 'success', description: running.has(one.key) ? `began after ${waited}` : 'does not wait any more' };
    });
}

/** One of its own for each job of a commit. It is in nobody's list of checks that must be there before a merge. */
function contextOf(name: string): string {
  return `forgejo-runner-controller/waiting / ${name.slice(0, longestName).toWellFormed()}`;
}

/** Anybody who may read the repository reads it: nothing of the host's paths, and no clock that would stand still there. */
function publicSentenceOf({ reason, sentence }: Denial): string {
  if (reason === 'host-full' || reason === 'host-unknown') return 'the host of the runners takes nothing new at the moment';
  return reason === 'back-off' ? (sentence.split(';')[0] ?? sentence) : sentence;
}
