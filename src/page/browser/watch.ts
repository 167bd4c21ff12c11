// Promises a picture of the service that stays fresh: events say when to look again, and while there are none it is looked at every few seconds.
// A service that goes away is asked until it is back, and then followed from the last event that was seen. One look at a time, never so
// many that the service is kept busy by them; a page that nobody sees asks nothing.

import type { Health, Status } from '../../http/wire.ts';
import { follow, read, Trouble } from './api.ts';
import { after, now, sleep } from './clock.ts';
import { hourMs, keyOf, type Done } from './spans.ts';

export type Picture = {
  readonly status: Status;
  readonly health: Health;
  /** What ended within the last hour. */
  readonly done: readonly Done[];
  /** Runners that go on, by keyOf: since when they have been seen to be cleaned up. */
  readonly cleaningFrom: ReadonlyMap<string, number>;
  /** By this page's clock. */
  readonly takenAt: number;
  readonly skewMs: number;
};

export type Connection =
  | { readonly kind: 'live' }
  /** It answers, but says nothing by itself. */
  | { readonly kind: 'asking'; readonly why: string }
  | { readonly kind: 'away'; readonly why: string };

export type Watcher = {
  readonly took: (picture: Picture) => void;
  readonly connected: (connection: Connection) => void;
};

export type Watch = {
  /** Looks again soon. */
  refresh(): void;
};

const againMs = 2_000;
/** Events come together. */
const gatherMs = 100;
const leastGapMs = 500;
/** A heart beats every five seconds. */
const silenceMs = 20_000;

export function createWatch({ took, connected }: Watcher): Watch {
  const done = new Map<string, Done>();
  const cleaningFrom = new Map<string, number>();
  let whole = true;
  let underWay: Promise<Trouble | undefined> | undefined;
  let planned = false;
  let notBefore = 0;
  let lastEventId: string | undefined;
  let shut: (() => void) | undefined;

  async function lookOnce(): Promise<Trouble | undefined> {
    const begunAt = now();
    try {
      const earlier = whole ? read('api/v1/jobs?state=done&limit=1000') : undefined;
      const [status, health, jobs] = await Promise.all([read('status'), read('health'), earlier]);
      whole = false;
      const takenAt = now();
      notBefore = takenAt + Math.max(leastGapMs, 5 * (takenAt - begunAt));
      const { skewMs } = status;
      for (const job of jobs?.value.jobs ?? []) if (job.state === 'done') keep({ ...job, id: job.runner });
      for (const each of status.value.recent) keep(each);
      forget(status.value, takenAt + skewMs);
      took({ status: status.value, health: health.value, done: [...done.values()], cleaningFrom, takenAt, skewMs });
      return undefined;
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      whole = true;
      connected({ kind: 'away', why: error.message });
      return error;
    }
  }

  function keep(each: Done): void {
    done.set(keyOf(each), each);
  }

  function forget({ runners }: Status, at: number): void {
    for (const [key, each] of done) if (Date.parse(each.ended_at) <= at - hourMs) done.delete(key);
    const cleaned = new Set(runners.filter(({ phase }) => phase === 'finalizing').map(keyOf));
    for (const key of cleaningFrom.keys()) if (!cleaned.has(key)) cleaningFrom.delete(key);
    for (const key of cleaned) if (!cleaningFrom.has(key)) cleaningFrom.set(key, at);
  }

  function look(): Promise<Trouble | undefined> {
    underWay ??= lookOnce().finally(() => {
      underWay = undefined;
    });
    return underWay;
  }

  function refresh(): void {
    if (planned || document.hidden) return;
    planned = true;
    after(Math.max(gatherMs, notBefore - now()), () => {
      planned = false;
      // The one under way may have asked before what is to be seen had happened.
      if (underWay === undefined) void look();
      else void underWay.then(refresh);
    });
  }

  function line(text: string): void {
    if (text.startsWith('id: ')) lastEventId = text.slice(4);
    if (text === 'event: missed') whole = true;
    if (text.startsWith('data: ')) refresh();
  }

  /** Until the stream ends or breaks; then why. */
  async function listen(): Promise<string> {
    const stop = new AbortController();
    const silent = (): void => stop.abort();
    shut = silent;
    let calm = after(silenceMs, silent);
    const heard = (opened: boolean): void => {
      calm();
      calm = after(silenceMs, silent);
      if (!opened) return;
      connected({ kind: 'live' });
      refresh();
    };
    try {
      const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      await follow({ path: 'api/v1/events', headers, signal: stop.signal, heard, line });
      return 'The service ended its stream of events';
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      return error.message;
    } finally {
      calm();
    }
  }

  async function run(): Promise<never> {
    for (;;) {
      if (document.hidden) await seen();
      if ((await look()) === undefined) {
        const why = await listen();
        if (!document.hidden && (await look()) === undefined) connected({ kind: 'asking', why });
      }
      if (!document.hidden) await sleep(againMs);
    }
  }

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) shut?.();
  });
  void run();
  return { refresh };
}

function seen(): Promise<void> {
  return new Promise((resolve) => {
    document.addEventListener('visibilitychange', () => resolve(), { once: true });
  });
}
