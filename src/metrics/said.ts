// Promises to read a fact without believing it: a name that is not one of the known ones is `other`, a time that is none is left out.

import type { Action, EndReason } from '../core/model.ts';
import type { CoolReason } from '../core/warmth.ts';
import type { Fact } from '../events.ts';

/** Written as a record so that the compiler misses none. */
const ends: Readonly<Record<EndReason, true>> = {
  finished: true,
  'start-timeout': true,
  unpicked: true,
  'job-timeout': true,
  cancelled: true,
  'job-gone': true,
  'start-failed': true,
  'no-job': true,
  ttl: true,
  operator: true,
  'machine-failed': true,
  'machine-lost': true,
};
const actions: Readonly<Record<Action['kind'], true>> = {
  launch: true,
  confirm: true,
  stop: true,
  finalize: true,
  warm: true,
  cool: true,
  'sweep-machine': true,
  'sweep-registration': true,
};

const cools: Readonly<Record<CoolReason, true>> = {
  died: true,
  'start-timeout': true,
  outdated: true,
  aged: true,
  unused: true,
  surplus: true,
  room: true,
  draining: true,
};

export const coolReasons = Object.keys(cools);
export const endReasons = Object.keys(ends);
export const actionKinds = Object.keys(actions);

/** Seconds of a duration in milliseconds. */
export function secondsOf(fact: Fact, name: string): number | undefined {
  const ms = fact.facts[name];
  return typeof ms === 'number' && Number.isFinite(ms) && ms >= 0 ? ms / 1000 : undefined;
}

export function oneOf(known: readonly string[], value: unknown): string {
  return known.find((each) => each === value) ?? 'other';
}

export function wordOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
