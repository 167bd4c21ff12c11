// Promises to tell apart what several machines wrote, from the text of one look at the journal, the newest line first, and to make a line fit
// for a log. Pure. A machine can write what it likes and still cannot speak in another one's name: journald splits at line breaks, and each
// line begins with its writer.

import { stripVTControlCharacters } from 'node:util';
import type { MachineId } from '../core/model.ts';

/** Of one machine. */
export const mostLines = 5_000;

const lineLength = 400;
/** Escape sequences of a line of 48 KB can be such that looking for them takes a second, in which this process does nothing else. */
const lookedAt = 4 * lineLength;

/** Fit for a log that others read: escape sequences and control characters out, cut to a length. */
export function plainLine(line: string): string {
  const clean = stripVTControlCharacters(line.slice(0, lookedAt).toWellFormed()).replaceAll(/\p{C}/gu, ' ').trim();
  return clean.length > lineLength || line.length > lookedAt ? `${clean.slice(0, lineLength)}...` : clean;
}

/** `afterMs`: what was written until then, on the wall clock, is an earlier machine's of that name. */
export type ConsoleWanted = { readonly id: MachineId; readonly afterMs?: number };

/** `full`: there was more than it may hold. */
export type Share = { readonly newestFirst: string[]; bytes: number; full: boolean };

/** `SECONDS.MICROS IDENTIFIER[PID]: TEXT`, newest first. A line of another form is nobody's. */
export function sharesOf(
  text: string,
  wanted: readonly ConsoleWanted[],
  maxBytes: number,
): { readonly shares: ReadonlyMap<MachineId, Share>; readonly count: number } {
  const shares = new Map<MachineId, Share>(wanted.map(({ id }) => [id, { newestFirst: [], bytes: 0, full: false }]));
  const after = new Map(wanted.map(({ id, afterMs }) => [id, afterMs ?? 0]));
  let count = 0;
  for (const line of text.split('\n')) {
    const [, seconds = '', id = '', own = ''] = /^(\d+\.\d+) (\w{11})(?:\[\d+\])?: (.*)$/s.exec(line) ?? [];
    const share = shares.get(id);
    if (seconds !== '') count += 1;
    if (share === undefined || share.full || Number(seconds) * 1000 <= (after.get(id) ?? 0)) continue;
    share.bytes += Buffer.byteLength(own) + 1;
    share.full = share.bytes > maxBytes || share.newestFirst.length >= mostLines;
    if (!share.full) share.newestFirst.push(own);
  }
  return { shares, count };
}
