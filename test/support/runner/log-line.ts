// Writes the runner's own messages to stderr as the real one does without a terminal: time, level and msg in logfmt, seconds precision.
// Synchronous on purpose: the last line must be out before the process ends.

import { writeSync } from 'node:fs';

export type Level = 'debug' | 'info' | 'warning' | 'error';

export type RunnerLog = {
  info(message: string): void;
  warning(message: string): void;
  error(message: string, error?: string): void;
};

const plainValue = /^[A-Za-z0-9\-._/@^+]+$/;
const rank: Readonly<Record<Level, number>> = { debug: 0, info: 1, warning: 2, error: 3 };

function quoted(value: string): string {
  return plainValue.test(value) ? value : JSON.stringify(value);
}

/** One logfmt line without its newline; a value is quoted unless it is made of plain characters, as logrus does it. */
export function logLine(at: Date, level: Level, message: string, error?: string): string {
  const time = `${at.toISOString().slice(0, 19)}Z`;
  const base = `time="${time}" level=${level} msg=${quoted(message)}`;
  return error === undefined ? base : `${base} error=${quoted(error)}`;
}

/** Logs to stderr everything at `least` or above; an unknown level means info. */
export function createRunnerLog(least: string): RunnerLog {
  const floor = least === 'warn' ? rank.warning : least in rank ? rank[least as Level] : rank.info;
  const emit = (level: Level, message: string, error?: string): void => {
    if (rank[level] >= floor) writeAll(2, `${logLine(new Date(), level, message, error)}\n`);
  };
  return {
    info: (message) => emit('info', message),
    warning: (message) => emit('warning', message),
    error: (message, error) => emit('error', message, error),
  };
}

/** Writes the whole text to a descriptor, also when that is a full non-blocking pipe. */
export function writeAll(descriptor: 1 | 2, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}
