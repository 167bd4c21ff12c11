// Promises JSON lines on stdout for journald, one stable event name per fact, and that no secret passes: redaction by path and by value.

/** One fact, one name: the same words as in code, /status and the docs. */
export type Event =
  | 'start'
  | 'ready'
  | 'detach' // the service itself
  | 'launch'
  | 'assign'
  | 'picked'
  | 'stop'
  | 'finalize'
  | 'sweep'
  | 'deny' // one runner's life
  | 'poll'
  | 'forge-error'
  | 'host-error'
  | 'retry'
  | 'leftover'
  | 'maintenance'
  | 'quarantine'
  | 'warning'
  | 'http';

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
