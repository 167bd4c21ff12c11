// Promises the wall clock in fractions of a millisecond, comparable with a shell's $EPOCHREALTIME, and waiting for a condition that is
// looked at every few milliseconds.

import { setTimeout as sleep } from 'node:timers/promises';

let offset = performance.timeOrigin;

/** Brings the fine clock in line with the wall clock again; takes up to a millisecond. */
export function anchor(): void {
  const before = Date.now();
  while (Date.now() === before);
  offset = Date.now() - performance.now();
}

/** Milliseconds since the epoch. */
export const wall = (): number => offset + performance.now();

/** Seconds with a fraction, as bash writes them. */
export const epochMs = (text: string): number => Number(text) * 1000;

/** The moment at which the condition was first seen to hold. Rejects after `limitMs`. */
export async function seen(what: string, holds: () => boolean, limitMs = 30_000, everyMs = 2): Promise<number> {
  const end = wall() + limitMs;
  while (!holds()) {
    if (wall() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await sleep(everyMs);
  }
  return wall();
}
