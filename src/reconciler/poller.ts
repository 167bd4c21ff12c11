// Promises when a forge is asked next and what it answered last. The cadence follows activity and cost: quick after something happened,
// never more than a twentieth of the server's time, slower and slower while it does not answer. Pure but for what it remembers.

import type { JobList, Reading } from '../core/model.ts';
import { isControllerError, type ControllerError } from '../errors.ts';

/** After anything happened, this interval for this long. */
const busyIntervalMs = 500;
const busyForMs = 60_000;
/** A webhook comes before its jobs are listed as often as after: for this long they are looked for. */
const kickedForMs = 15_000;
/** So long after the last webhook more of them are reckoned with. */
const trustedForMs = 24 * 3_600_000;
/**
 * A reply may cost at most one twentieth of the interval, up to a cap: what makes a list slow may be one person's jobs, and all wait. Its cost is
 * the least of three in a row: one slow answer is a busy moment, ours as likely as the server's, and must not make us blind to what runs.
 */
const costFactor = 20;
const costsKept = 3;
const costCapMs = 60_000;
const errorCapMs = 30_000;
/** A runner at work reports every second. */
const freshForMs = 5_000;
/** The stock runner's own rule for codeberg.org: a shared server. */
const sharedServers = new Map([['codeberg.org', 30_000]]);

export type Poller = {
  /** True when the forge should be asked now. */
  due(now: number): boolean;
  /** Epoch ms of the next poll. */
  nextAt(): number;
  /** The poll under way, or one whose answer nobody has taken yet. */
  underWay: Promise<Reading<JobList>> | undefined;
  /** Numbers a poll that begins now. */
  begin(): number;
  /** The number of the last poll that began. */
  count(): number;
  succeeded(list: JobList, startedAt: number, now: number): Reading<JobList>;
  failed(error: ControllerError, now: number): Reading<JobList>;
  /** The last answer; unknown before the first and after a failure. */
  last(): Reading<JobList>;
  /** Something happened: poll quickly for a while. */
  stir(now: number): void;
  /** Ask at the next tick. */
  hurry(): void;
  /** A webhook came: ask soon, and for a while; later as rarely as webhooks allow. However many come, no quicker than when busy. */
  kick(now: number): void;
  status(): PollStatus;
  /** True until the forge has answered every poll for a while: it calls runners idle that have not reported to it since it came back. */
  fresh(now: number): boolean;
  /** A call of another kind went wrong: fresh until polls have been answered for a while again. */
  doubt(): void;
};

export type PollStatus = {
  readonly lastGoodPollAt?: number;
  readonly lastPollMs?: number;
  readonly lastWebhookAt?: number;
  readonly error?: { readonly code: string; readonly message: string; readonly since: number };
};

/** Numbers polls, from 1. One counter may serve many pollers: what a replaced one numbered stays older than what follows. */
export function createNumbering(): () => number {
  let last = 0;
  return () => (last += 1);
}

export type Cadence = {
  readonly quietMs: number;
  /** The quiet interval once webhooks come; the other one unless said otherwise. */
  readonly hookedMs?: number | undefined;
};

/** `random` gives 0..1 and spreads retries of many controllers. */
export function createPoller(
  url: string,
  { quietMs, hookedMs = quietMs }: Cadence,
  random: () => number,
  number = createNumbering(),
): Poller {
  const floorMs = sharedServers.get(new URL(url).hostname) ?? 0;
  let nextAt = 0;
  let polls = 0;
  let stirredAt = Number.NEGATIVE_INFINITY;
  let kickedAt = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let costs: readonly number[] = Array.from({ length: costsKept }, () => 0);
  let answersSince = Number.POSITIVE_INFINITY;
  let last: Reading<JobList> = { state: 'unknown', reason: 'not asked yet' };
  let status: PollStatus = {};

  const intervalAt = (now: number): number => {
    const busy = now - stirredAt < busyForMs || now - kickedAt < kickedForMs;
    const restMs = now - kickedAt < trustedForMs ? Math.max(quietMs, hookedMs) : quietMs;
    const wanted = busy ? Math.min(busyIntervalMs, quietMs) : restMs;
    return Math.max(wanted, Math.min(costCapMs, costFactor * Math.min(...costs)), floorMs);
  };

  return {
    underWay: undefined,
    due: (now) => now >= nextAt,
    nextAt: () => nextAt,
    begin: () => (polls = number()),
    count: () => polls,
    last: () => last,
    status: () => (Number.isFinite(kickedAt) ? { ...status, lastWebhookAt: kickedAt } : status),
    fresh: (now) => now - answersSince < freshForMs,
    doubt: () => void (answersSince = Number.POSITIVE_INFINITY),
    hurry() {
      if (failures === 0) nextAt = 0;
    },
    stir(now) {
      stirredAt = now;
      if (failures === 0 && last.state === 'known') nextAt = Math.min(nextAt, last.at + intervalAt(now));
    },
    kick(now) {
      kickedAt = now;
      if (failures === 0 && last.state === 'known') nextAt = Math.min(nextAt, last.at + intervalAt(now));
    },
    succeeded(list, startedAt, now) {
      answersSince = Math.min(answersSince, now);
      failures = 0;
      status = { lastGoodPollAt: now, lastPollMs: now - startedAt };
      costs = [...costs, now - startedAt].slice(-costsKept);
      last = { state: 'known', value: list, at: startedAt };
      nextAt = startedAt + intervalAt(now);
      return last;
    },
    failed(error, now) {
      answersSince = Number.POSITIVE_INFINITY;
      failures += 1;
      const since = status.error?.since ?? now;
      status = { ...status, error: { code: error.code, message: error.message, since } };
      last = { state: 'unknown', reason: `${error.code}: ${error.message}` };
      const asked = isControllerError(error, 'FORGE_THROTTLED') ? Number(error.details['retryAfterMs'] ?? 0) : 0;
      const backOffMs = Math.min(errorCapMs, Math.max(intervalAt(now), 500 * 2 ** Math.min(failures, 10))) * (0.75 + random() / 2);
      nextAt = now + Math.max(asked, backOffMs);
      return last;
    },
  };
}
