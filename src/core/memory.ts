// Promises the nouns of what is remembered between ticks and can be lost without losing a job. Pure types and nothing else.

import type { Action, EndReason, ForgeName } from './model.ts';

/** A handle that is not tried again before `until`, because the machine made for it was not picked or could not be made. */
export type BackOff = {
  readonly until: number;
  readonly count: number;
  readonly reason: EndReason;
  readonly forge: ForgeName;
  readonly repositoryId: number;
};

/** How long a runner's job has been missing from good polls, in polls and since when. */
export type Absence = { readonly polls: number; readonly since: number };

/** A step that failed: how often, when it may be tried again, and what was said. */
export type Retry = {
  readonly action: Action['kind'];
  readonly attempts: number;
  readonly at: number;
  readonly error: { readonly code: string; readonly message: string };
};
