// Promises text for a terminal out of plain values: tables whose columns fit the width, durations, colours only where they are wanted, and
// nothing of what others wrote that a terminal would obey. Pure.

import { visibleLine } from '../log-visible.ts';

export type Tone = 'good' | 'bad' | 'warn' | 'dim' | 'bold';
export type Painted = { readonly text: string; readonly tone: Tone };
/** What others wrote is made harmless here, by the one place that every cell passes. null = nothing to say. */
export type Cell = string | number | null | Painted;

/** `columns`: how wide a line may be; undefined = as wide as it gets, as for a pipe. */
export type Look = { readonly color: boolean; readonly columns?: number | undefined };

const codes: Readonly<Record<Tone, number>> = { good: 32, bad: 31, warn: 33, dim: 2, bold: 1 };
const gap = '  ';
/** No column but the last is wider: a job's name may have 255 characters. */
const widest = 40;
/** The last column is wrapped into what is left of the line, but not into less than this. */
const narrowest = 24;

export function paint(text: string, tone: Tone): Painted {
  return { text, tone };
}

/** One line: what is painted in colour, everything harmless. */
export function line(look: Look, ...parts: readonly Cell[]): string {
  return parts.map((part) => dress(plain(part), toneOf(part), look)).join('');
}

/** A heading and one line for each row, the last column wrapped between words. A table without rows is no lines at all. */
export function table(look: Look, head: readonly string[], rows: readonly (readonly Cell[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const texts = [head, ...rows.map((row) => row.map(plain))];
  const last = head.length - 1;
  const widths = head.map((_, column) => Math.min(widest, Math.max(...texts.map((row) => widthOf(row[column] ?? '')))));
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + gap.length, 0);
  const room = look.columns === undefined ? Infinity : Math.max(narrowest, look.columns - before);
  return texts.flatMap((row, index) => {
    const tones = index === 0 ? head.map((): Tone => 'dim') : (rows[index - 1] ?? []).map(toneOf);
    const start = row.slice(0, last).map((text, column) => {
      const cut = clip(text, widths[column] ?? widest);
      return `${dress(cut, tones[column], look)}${' '.repeat((widths[column] ?? 0) - widthOf(cut))}${gap}`;
    });
    return wrap(row[last] ?? '', room).map((text, at) =>
      `${at === 0 ? start.join('') : ' '.repeat(before)}${dress(text, tones[last], look)}`.trimEnd(),
    );
  });
}

/** A sentence cut between words into lines of at most `room`; a word that is longer is cut where it must be. */
export function wrap(text: string, room: number): readonly string[] {
  const lines = [''];
  for (const word of text.split(' ').flatMap((one) => pieces(one, room))) {
    const joined = lines.at(-1) === '' ? word : `${lines.at(-1)} ${word}`;
    if (widthOf(joined) <= room) lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  return lines;
}

/** `text` in at most `room` places, with an ellipsis where something is missing. */
export function clip(text: string, room: number): string {
  if (widthOf(text) <= room) return text;
  let cut = '';
  for (const char of text) {
    if (widthOf(cut + char) >= room) break;
    cut += char;
  }
  return `${cut}…`;
}

/** `7 s`, `12 min`, `3 h 5 min`, `2 d 4 h`: the two largest units. */
export function durationOf(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes} min${seconds % 60 === 0 ? '' : ` ${seconds % 60} s`}`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h${minutes % 60 === 0 ? '' : ` ${minutes % 60} min`}`;
  return `${Math.floor(hours / 24)} d${hours % 24 === 0 ? '' : ` ${hours % 24} h`}`;
}

/** How long from one ISO time to another; null when one of them is not there yet. */
export function between(from: string | null, to: string | null): string | null {
  return from === null || to === null ? null : durationOf(Date.parse(to) - Date.parse(from));
}

/** The time of day of a guess, `~12:00:05 UTC`; `?` for what nobody can guess. */
export function guessed({ start_at: at }: { readonly start_at: string | null }): string {
  return at === null ? '?' : `~${at.slice(11, 19)} UTC`;
}

/** `512 MiB`, `1.5 GiB`. */
export function bytesOf(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** step;
  return `${value < 10 && step > 0 ? Math.round(value * 10) / 10 : Math.round(value)} ${units[step]}`;
}

function plain(cell: Cell): string {
  if (cell === null) return '-';
  if (typeof cell === 'number') return String(cell);
  return visibleLine(typeof cell === 'string' ? cell : cell.text);
}

function toneOf(cell: Cell): Tone | undefined {
  return typeof cell === 'object' && cell !== null ? cell.tone : undefined;
}

function dress(text: string, tone: Tone | undefined, { color }: Look): string {
  return color && tone !== undefined && text !== '' ? `\u001b[${codes[tone]}m${text}\u001b[0m` : text;
}

/** Places on a terminal: marks take none, East Asian characters and emoji two. */
function widthOf(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += mark.test(char) ? 0 : wide.test(char) ? 2 : 1;
  return width;
}

const ascii = new RegExp(String.raw`^[\u0020-\u007e]*$`);
const mark = /^\p{M}$/u;
const wide =
  /^(?:[\u{1100}-\u{115f}\u{2e80}-\u{a4cf}\u{ac00}-\u{d7a3}\u{f900}-\u{faff}\u{fe30}-\u{fe6f}\u{ff00}-\u{ff60}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation})$/u;

function pieces(word: string, room: number): readonly string[] {
  if (widthOf(word) <= room) return [word];
  const found = [''];
  for (const char of word) {
    const joined = `${found.at(-1)}${char}`;
    if (widthOf(joined) <= room) found[found.length - 1] = joined;
    else found.push(char);
  }
  return found;
}
