// Promises times, durations and sizes in words, and text of strangers in a form that hides nothing. Pure.

import { visibleLine } from '../../log-visible.ts';

/** One line in which whatever moves, hides or turns text is an escape that can be read. */
export function shown(text: string): string {
  return visibleLine(text);
}

const escapeSequence = new RegExp(String.raw`\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\^_])`, 'g');

/** The same for a line of a console, whose colours are left out. */
export function consoleLine(text: string): string {
  return visibleLine(text.replaceAll(escapeSequence, '').replaceAll('\r', '').replaceAll('\t', '    '));
}

/** `4 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`. */
export function durationOf(ms: number): string {
  if (ms > 0 && ms < 100) return `${Math.round(ms)} ms`;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return pair(whole, 60, 'min', 1, 's');
  return whole < 86_400 ? pair(whole, 3_600, 'h', 60, 'min') : pair(whole, 86_400, 'd', 3_600, 'h');
}

function pair(seconds: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeName}${rest === 0 ? '' : ` ${rest} ${smallName}`}`;
}

/** Whole seconds, for what is counted up before somebody's eyes. */
export function ageOf(ms: number): string {
  return durationOf(ms < 10_000 ? Math.floor(Math.max(0, ms) / 1000) * 1000 : ms);
}

/** `18:04:05` where the reader is; with the day when that is another one than `today`'s. */
export function timeOf(at: number, today: number): string {
  const [moment, other] = [new Date(at), new Date(today)];
  const clock = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(twoDigits).join(':');
  if (moment.toDateString() === other.toDateString()) return clock;
  return `${moment.getFullYear()}-${twoDigits(moment.getMonth() + 1)}-${twoDigits(moment.getDate())} ${clock}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

export function sizeOf(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** step;
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${units[step] ?? 'B'}`;
}

/** `1 job`, `2 jobs`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
