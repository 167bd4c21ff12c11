// Promises the estimated start of a waiting job as the API says it: a time that is called a guess and tells what it rests on, or that nothing
// tells. Pure.

import { estimatesOf, type Estimate } from '../core/estimate.ts';
import type { Denial } from '../core/model.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { durationOf } from '../core/termination.ts';
import type { Status } from './wire.ts';

type Shown = Status['waiting_jobs'][number]['estimate'];
export type Guess = (denial: Denial) => Shown;

/** For the denials of this very picture. `iso` shows a moment of it. */
export function guessesOf(
  snapshot: Pick<Snapshot, 'denials' | 'runners' | 'ended' | 'capacity'>,
  now: number,
  iso: (at: number) => string,
): Guess {
  const estimates = estimatesOf(snapshot, now);
  return (denial) => {
    const estimate = estimates.get(denial) ?? { unknown: 'no-clock' };
    if (estimate.at === undefined) return { start_at: null, ended_jobs: 0, sentence: unknowns[estimate.unknown] };
    return { start_at: iso(estimate.at), ended_jobs: estimate.endings, sentence: sentenceOf(estimate, now, iso) };
  };
}

const unknowns: Readonly<Record<Extract<Estimate, { unknown: string }>['unknown'], string>> = {
  'no-clock': 'its start cannot be estimated: no clock tells when what it waits for is over',
  'no-history': 'its start cannot be estimated: too few jobs like those before it have ended here, or these have outlived all of them',
  'too-far': 'its start cannot be estimated: too many jobs are before it',
};

function sentenceOf({ at, endings }: Extract<Estimate, { at: number }>, now: number, iso: (at: number) => string): string {
  if (endings === 0) return 'it can start at the next look: a place is free';
  const basis = endings === 1 ? 'one job' : `${endings} jobs`;
  return `it starts in about ${durationOf(at - now)}, at ${iso(at)}: a guess, for those before it may take longer or less long than ${basis} like them did`;
}
