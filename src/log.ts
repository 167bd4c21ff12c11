// Promises JSON lines on stdout for journald, one stable event name per fact, and that no secret passes: redaction by path and by value.

import { pino, stdTimeFunctions } from 'pino';
import { isControllerError } from './errors.ts';
import { createRedactor, type Redactor } from './log-redact.ts';
import { visible } from './log-visible.ts';

export { createRedactor, type Redactor } from './log-redact.ts';

/** One fact, one name: the same words as in code, /status and the docs. */
export type Event =
  | 'start'
  | 'ready'
  | 'ending'
  | 'detach'
  | 'drain'
  | 'resume'
  | 'order'
  | 'reload'
  | 'end-all' // the service itself
  | 'launch'
  | 'assign'
  | 'picked'
  | 'stop'
  | 'finalize'
  | 'report'
  | 'sweep'
  | 'warm'
  | 'cool'
  | 'deny' // one runner's life
  | 'poll'
  | 'forge-error'
  | 'host-error'
  | 'retry'
  | 'leftover'
  | 'maintenance'
  | 'quarantine'
  | 'clock'
  | 'archive'
  | 'cache'
  | 'telemetry'
  | 'warning'
  | 'http'
  | 'webhook'
  | 'commit-status';

/** Facts of an event. Runner id, forge, repository id, job id and handle always go under these names. */
export type Facts = {
  readonly runner?: string;
  readonly forge?: string;
  readonly repository?: number;
  readonly job?: number;
  readonly handle?: string;
  readonly error?: unknown;
  readonly [name: string]: unknown;
};

export type Log = {
  debug(event: Event, facts?: Facts, message?: string): void;
  info(event: Event, facts?: Facts, message?: string): void;
  warn(event: Event, facts?: Facts, message?: string): void;
  error(event: Event, facts?: Facts, message?: string): void;
  /** From now on this value is written as [secret] wherever it appears in a line. */
  conceal(secret: string): void;
};

/** The log of the whole process, which alone may change how much is said. */
export type RootLog = Log & { setLevel(level: Level): void };

export type Level = 'debug' | 'info' | 'warn' | 'error';

/** What a line says, redacted. */
export type Said = {
  readonly level: Exclude<Level, 'debug'>;
  readonly event: Event;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly message?: string;
};

export type LogOptions = {
  readonly level: Level;
  /** Gets each line with its line feed; stdout when left out. */
  readonly destination?: { write(line: string): void };
  /** The destination is systemd's journal: each line begins with its syslog priority, which the journal takes off and keeps as PRIORITY. */
  readonly prioritised?: boolean;
  /** To be shared with the API, so that what is concealed in the log is concealed there too. */
  readonly redactor?: Redactor;
  /** Hears every line from level info on, whatever the level of the log is. Must not throw. */
  readonly tap?: (said: Said) => void;
};

/** As sd-daemon(3) has them. */
const priorities: Readonly<Record<Level, number>> = { debug: 7, info: 6, warn: 4, error: 3 };

/** Names that the line itself uses; a fact of that name gets an underscore. */
const reserved = new Set(['level', 'time', 'event', 'msg']);

/**
 * One JSON object per line: level (a word), time (ISO 8601, UTC), event, facts, msg. Errors become {code, message, details, cause}; their
 * stack only at level debug, or when an error that is not ours (a bug) is logged as error. Writes are synchronous: what was logged before
 * a crash is in the journal.
 */
export function createLog({ level, destination, prioritised = false, redactor = createRedactor(), tap }: LogOptions): RootLog {
  // Writes are synchronous, so this is the severity of the line that is being written.
  let writing: Level = level;
  const options = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    hooks: { streamWrite: (line: string) => (prioritised ? `<${priorities[writing]}>${visible(line)}` : visible(line)) },
  };
  const logger = destination === undefined ? pino(options) : pino(options, destination);

  const at =
    (severity: Level) =>
    (event: Event, facts: Facts = {}, message?: string): void => {
      const written = logger.isLevelEnabled(severity);
      if (!written && (tap === undefined || severity === 'debug')) return;
      const stack =
        logger.isLevelEnabled('debug') || (severity === 'error' && facts.error !== undefined && !isControllerError(facts.error));
      const named = Object.fromEntries(Object.entries(facts).map(([name, fact]) => [reserved.has(name) ? `${name}_` : name, fact]));
      const redacted: Readonly<Record<string, unknown>> = { ...(redactor.data(named, stack) as object) };
      const text = message === undefined ? undefined : redactor.text(message);
      if (severity !== 'debug') tap?.({ level: severity, event, facts: redacted, ...(text === undefined ? {} : { message: text }) });
      if (!written) return;
      writing = severity;
      if (text === undefined) logger[severity]({ event, ...redacted });
      else logger[severity]({ event, ...redacted }, '%s', text);
    };

  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    conceal: redactor.conceal,
    setLevel: (chosen) => void (logger.level = chosen),
  };
}
