// Promises the answer to "why": who serves a set of labels, or what is missing; and of one job every fact that is known, or what it may mean
// that none is. Pure.

import { nearestOf, unmatchedSentenceOf } from '../core/match.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { guessesOf } from './guess.ts';
import { doneJobOf, endSentenceOf, runningJobOf, waitingJobOf, warmlyOf } from './jobs.ts';
import type { Show } from './status.ts';
import type { Explain } from './wire-v1.ts';

export function labelsExplained({ capacity: { profiles }, warm }: Snapshot, labels: readonly string[]): Explain {
  const served = profiles.filter((profile) => labels.every((label) => profile.labels.includes(label))).map(({ name }) => name);
  const nearest = served.length > 0 ? undefined : nearestOf(labels, profiles);
  return {
    about: 'labels',
    labels: [...labels],
    served_by: served,
    nearest: nearest?.profile.name ?? null,
    missing: [...(nearest?.missing ?? (served.length > 0 ? [] : labels))],
    sentence:
      served.length > 0
        ? `served by ${served.map((name) => `\`${name}\``).join(', ')}${warmlyServed(warm, served)}`
        : unmatchedSentenceOf({ labels }, profiles),
  };
}

/** Whether a job would find a machine that waits for it. */
function warmlyServed(warm: Snapshot['warm'], served: readonly string[]): string {
  const count = warm.filter(({ profile, state }) => state === 'idle' && served.includes(profile)).length;
  if (count === 0) return '';
  return `; it starts on a warm machine, of which ${count === 1 ? 'one waits' : `${count} wait`}`;
}

const phases: Readonly<Record<Snapshot['runners'][number]['phase'], string>> = {
  launching: 'is being started for it',
  'waiting-for-job': 'is ready and waits for Forgejo to hand it over',
  busy: 'works on it',
  stopping: 'is asked to end',
  finalizing: 'has ended and is being removed',
};

/** `iso` shows a moment of the snapshot. */
export function jobExplained(snapshot: Snapshot, id: number, now: number, iso: Show): Explain {
  const guess = guessesOf(snapshot, now, iso);
  const waiting = snapshot.denials.filter(({ job }) => job.id === id);
  const running = snapshot.runners.filter(({ job }) => job.id === id);
  const done = snapshot.ended.filter(({ job }) => job.id === id);
  const sentences = [
    ...running.map(({ id: runner, profile, forge, phase, ...rest }) => {
      const since = rest.stop?.at ?? rest.pickedAt ?? rest.assignedAt ?? rest.createdAt;
      const trouble = rest.lastError === undefined ? '' : `; its last step failed: ${rest.lastError.message} (${rest.lastError.code})`;
      const why = rest.stop === undefined ? '' : ` because ${endSentenceOf(rest.stop.reason)}`;
      const how = phase === 'launching' ? warmlyOf(runner) : '';
      return `runner ${runner} of profile ${profile} ${phases[phase]}${how}${why} (forge ${forge}) since ${iso(since)}${trouble}`;
    }),
    ...waiting.flatMap((denial) => {
      const { job, sentence, position } = denial;
      const place = position === undefined ? '' : `; it is number ${position} of those that could be started`;
      return [`it waits at forge ${job.forge}: ${sentence}${place}`, guess(denial).sentence];
    }),
    ...done.map(
      ({ id: runner, forge, endedAt, reason }) => `runner ${runner} (forge ${forge}) ended at ${iso(endedAt)}: ${endSentenceOf(reason)}`,
    ),
  ];
  return {
    about: 'job',
    job_id: id,
    state: running.length > 0 ? 'running' : waiting.length > 0 ? 'waiting' : done.length > 0 ? 'done' : 'unknown',
    sentences: sentences.length > 0 ? sentences : meaningsOf(snapshot, iso),
    jobs: [
      ...running.map((runner) => runningJobOf(runner, iso)),
      ...waiting.map((denial) => waitingJobOf(denial, guess(denial))),
      ...done.map((ended) => doneJobOf(ended, iso)),
    ],
  };
}

/** What it may mean that nothing is known of a job, the likely first. */
function meaningsOf({ forges, ended, tickAt, startedAt }: Snapshot, iso: Show): string[] {
  const deaf = forges.flatMap(({ name, error, lastGoodPollAt }) =>
    error === undefined && lastGoodPollAt !== undefined
      ? []
      : [
          `forge ${name} could not be asked${error === undefined ? ' yet' : ` since ${iso(error.since)}: ${error.message} (${error.code})`}`,
        ],
  );
  const oldest = ended.at(-1)?.endedAt ?? startedAt;
  return [
    ...(tickAt === undefined ? ['the first look at the world has not ended yet'] : []),
    ...deaf,
    'no forge lists a waiting job of this number, and no runner here is for it',
    'it may wait for jobs that it needs, or for an approval: Forgejo lists it only afterwards',
    'another runner may have it, or had it',
    'it may be out of reach: Actions are off in its repository, or no forge entry covers it (scope)',
    `it may have ended here before ${iso(oldest)}: what is older is not kept`,
  ];
}
