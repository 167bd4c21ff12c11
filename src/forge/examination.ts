// Promises what a doctor learns of one forge: version, clock, and what the token may do. Every question is asked whatever came of the others,
// unless nothing answers at all. Changes nothing: what it deletes is number 0, which no registration has.

import type { Clock } from '../clock.ts';
import { ControllerError } from '../errors.ts';
import type { Forge } from './forge.ts';

/** What came of one question: undefined = it was not asked, because of what came of another. */
type Outcome = 'ok' | ControllerError | undefined;

/** `aheadMs`: how far the server's clock is ahead of ours, by its Date header (whole seconds). */
export type Examination = {
  readonly version: string | ControllerError;
  readonly aheadMs?: number;
  readonly reading: Outcome;
  readonly writing: Outcome;
};

/** `said` rejects when it is no version, or too old. */
type VersionAnswer = { readonly date: string | undefined; readonly said: () => Promise<string> };

export async function examine(forge: Forge, askVersion: () => Promise<VersionAnswer>, clock: Clock): Promise<Examination> {
  const now = (): number => clock.wallOf(clock.now());
  const before = now();
  const answer = await askVersion().catch(refusal);
  if (answer instanceof ControllerError) return { version: answer, reading: undefined, writing: undefined };
  const ahead = Date.parse(answer.date ?? '') - (before + now()) / 2;
  const reading = await outcomeOf(forge.registrations().then(() => forge.jobs()));
  return {
    version: await answer.said().catch(refusal),
    ...(Number.isNaN(ahead) ? {} : { aheadMs: ahead }),
    reading,
    // The forge looks at the token's rights before it looks for what is to be deleted.
    writing: reading === 'ok' ? await outcomeOf(forge.unregister(0)) : undefined,
  };
}

function outcomeOf(question: Promise<unknown>): Promise<Outcome> {
  return question.then(() => 'ok' as const, refusal);
}

function refusal(error: unknown): ControllerError {
  if (error instanceof ControllerError) return error;
  throw error;
}
