// Promises that records whose times were taken on another time line (before a reboot, beside a lost anchor, by a hand) misfire no deadline
// and never live for ever: seen from now, the newest thing they speak of has just happened. Pure.

import type { Runner } from './model.ts';

/** Where the time line of a boot lies: how far it is ahead of that boot's monotonic clock. */
export type Anchor = { readonly bootId: string; readonly offsetMs: number };

export type Moment = { readonly wall: number; readonly monotonic: number };

/** A line that nothing depends on is moved to the wall when it is this far away. */
const worthMovingMs = 1_000;

/**
 * The anchor to go on with. The last one while its boot lasts and anything may depend on it (`bound`); else a new one, on the wall clock.
 * `fresh`: what is stored was timed by another line.
 */
export function anchorAfter(
  last: Anchor | undefined,
  bootId: string | undefined,
  bound: boolean,
  { wall, monotonic }: Moment,
): { readonly anchor: Anchor; readonly fresh: boolean } {
  const same = last !== undefined && last.bootId === bootId && isPlausible(monotonic + last.offsetMs);
  if (same && (bound || Math.abs(wall - monotonic - last.offsetMs) < worthMovingMs)) return { anchor: last, fresh: false };
  return { anchor: { bootId: bootId ?? '', offsetMs: wall - monotonic }, fresh: true };
}

/** Times that can be shown and counted with: from 1970 to the end of 9999. */
export function isPlausible(time: number): boolean {
  return time >= 0 && time < 253_402_300_800_000;
}

/** Every time on a record. */
export function timesOf(runner: Runner): number[] {
  const { createdAt, assignedAt, pickedAt, missedAt, stop, ending } = runner;
  return [createdAt, assignedAt, pickedAt, missedAt, stop?.at, ending?.at].filter((time) => time !== undefined);
}

/**
 * The record as if the newest thing it speaks of had happened at `now`. Its clocks may end later than they should, by no more than what the
 * unit's own RuntimeMaxSec leaves them, and never too early.
 */
export function movedTo(runner: Runner, now: number): Runner {
  const byMs = now - Math.max(...timesOf(runner));
  const { createdAt, assignedAt, pickedAt, missedAt, stop, ending } = runner;
  return {
    ...runner,
    createdAt: createdAt + byMs,
    ...(assignedAt === undefined ? {} : { assignedAt: assignedAt + byMs }),
    ...(pickedAt === undefined ? {} : { pickedAt: pickedAt + byMs }),
    ...(missedAt === undefined ? {} : { missedAt: missedAt + byMs }),
    ...(stop === undefined ? {} : { stop: { ...stop, at: stop.at + byMs } }),
    ...(ending === undefined ? {} : { ending: { ...ending, at: ending.at + byMs } }),
  };
}
