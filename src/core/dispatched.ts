// Promises the nouns of runners that a person asked for, beside those that waiting jobs get. Pure types and nothing else.

import type { ForgeName, Runner, RunnerId } from './model.ts';

/** On the record of a runner that was asked for, whose job is noJobOf(labels) until it is known. So long it lives at most, its job included. */
export type Dispatch = { readonly ttlMs: number };

/** What may be asked for; absent in a policy = nothing. */
export type Dispatchable = { readonly labels: readonly string[] };

export type DispatchEnd =
  | 'no-job' // no job came to it in its time, or before a drain or a configuration that forbids it
  | 'ttl'; // the time for which it was asked is over

/** What was asked for. `ttlMs` absent: as long as the profile allows a job. */
export type DispatchOrder = {
  readonly forge: ForgeName;
  readonly labels: readonly string[];
  readonly count: number;
  readonly ttlMs?: number;
};

/** The same as a person says it: with one forge there is no need to name it. */
export type DispatchWish = Omit<DispatchOrder, 'forge'> & { readonly forge?: ForgeName };

/** What can never be dispatched under this configuration, and what of the wish says so; `off`: nothing can. */
export type DispatchMistake = { readonly mistake: 'off' | 'forge' | 'labels'; readonly sentence: string };

/** Why fewer than asked for are started. */
export type DispatchRefusal = {
  readonly reason:
    | 'unmatched'
    | 'draining'
    | 'capacity'
    | 'profile-capacity'
    | 'no-slot'
    | 'host-unknown'
    | 'host-full'
    | 'store-failed'
    | 'late';
  readonly sentence: string;
};

/** What becomes of an order: those that are started, with what stands on their records, and why not the others. */
export type DispatchAnswer = {
  readonly order: DispatchOrder;
  readonly runners: readonly (Runner & { readonly dispatch: Dispatch })[];
  readonly refused?: DispatchRefusal;
};

export type Dispatches = { readonly dispatches: readonly DispatchAnswer[] };

/** What plan knows of them beside their records. */
export type Dispatching = {
  /** To be answered by this plan. */
  readonly orders: readonly DispatchOrder[];
  /** By jobKeyOf: waiting jobs that are left to a runner that was asked for, and since when. */
  readonly offers: ReadonlyMap<string, number>;
  /** By runner: how its forge was last asked whether it has a job. */
  readonly asked: ReadonlyMap<RunnerId, Asked>;
};

/** Upon which poll and when, for which task as the newest that may be its own, and when for that one first. */
export type Asked = { readonly poll: number; readonly at: number; readonly taskId: number; readonly since: number };
