// Promises one handler for every route of the table, typed by the table: what it reads from the request, what it answers.

import type { Clock } from '../clock.ts';
import type { DispatchAnswer, DispatchMistake, DispatchWish } from '../core/dispatched.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Log } from '../log.ts';
import { dispatchedOf, wishOf } from './dispatch.ts';
import { jobExplained, labelsExplained } from './explain.ts';
import type { Following } from './follow.ts';
import { healthOf } from './health.ts';
import { jobsOf, planOf, runnersOf, sweepOf, type Preview } from './jobs.ts';
import { readQuery, refused } from './parameters.ts';
import type { RunnerLogs } from './runner-log.ts';
import { routes, type Answers, type RouteName } from './routes.ts';
import { maskedOf, statusOf, type ApiSettings } from './status.ts';
import type { Order } from './wire-v1.ts';

/** What the API asks of the loop. */
export type Reconciling = {
  /** The picture of the last tick; called once per answer. */
  snapshot(): Snapshot;
  /** What it would do now; does nothing, and is shared by all who ask meanwhile. */
  preview(registrations: boolean): Promise<Preview>;
  /** Says in the log who asked. Returns whether it changed anything, as stop does. */
  drain(on: boolean, by: string): boolean;
  stop(id: string): boolean;
  /** Starts runners that take whatever job comes, and says so in the log; resolves when their records are safe. */
  dispatch(wish: DispatchWish, by: string): Promise<DispatchAnswer | DispatchMistake>;
  /** Looks again soon; `poll`: and asks the forges. */
  wake(poll?: boolean): void;
  /** A webhook of that forge came: it is asked soon. */
  kick(forge: string): void;
  /** At the next look: sweeps and audits. */
  maintain(): void;
};

export type Sources = {
  readonly reconciler: Reconciling;
  /** Of the configuration in force; called once per answer. */
  readonly settings: () => ApiSettings;
  readonly following: Following;
  readonly logs: RunnerLogs;
  readonly clock: Clock;
  readonly log: Log;
  readonly mask: (text: string) => string;
  /** What every path begins with. */
  readonly basePath: string;
};

export type Ask = {
  readonly url: string;
  readonly header: (name: string) => string | undefined;
  /** Only the head of the answer will be sent. */
  readonly headOnly: boolean;
  /** Of the path. */
  readonly id: string;
  /** What was sent, where the route takes something. */
  readonly body: string;
  /** Who asks, for the audit. */
  readonly by: string;
};

/** Why a request that can be understood is not answered. */
export type Refusal = {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Reply<T> =
  | { readonly value: T; readonly status?: number }
  | { readonly stream: ReadableStream<Uint8Array> | null }
  /** Plain text. */
  | { readonly text: string | ReadableStream<Uint8Array> | null }
  | { readonly refusal: Refusal };

export type Handlers = {
  readonly [N in RouteName]: (
    ask: Ask,
  ) => Reply<Answers[(typeof routes)[N]['answer']]> | Promise<Reply<Answers[(typeof routes)[N]['answer']]>>;
};

const noRunner: Refusal = {
  status: 404,
  code: 'NOT_FOUND',
  title: 'Not found',
  detail: 'There is no runner of that id; /api/v1/runners lists them.',
};
const tooMany: Refusal = {
  status: 503,
  code: 'TOO_MANY_FOLLOWERS',
  title: 'Too many follow',
  detail: 'As many follow the events as may, or the service ends; come again later.',
  headers: { 'retry-after': '5' },
};
const tooManyLogs: Refusal = {
  ...tooMany,
  title: 'Too many read',
  detail: 'As many read or follow what machines wrote as may; come again later.',
};
const noLog: Refusal = {
  status: 404,
  code: 'NOT_FOUND',
  title: 'Not found',
  detail: 'There is no runner of that id, and none is kept: it never was, or it ended too long ago (archive in the configuration).',
};
const noDispatch = { status: 403, code: 'DISPATCH_OFF', title: 'Not here' };
type Write = 'drain' | 'resume' | 'poll' | 'stop' | 'dispatch' | 'sweep';

const limitUnsaid = 100;

export function handlersOf(sources: Sources): Handlers {
  return { ...readersOf(sources), ...writersOf(sources) };
}

function readersOf({ reconciler, settings, following, logs, clock, mask, basePath }: Sources): Omit<Handlers, Write> {
  const picture = (): Snapshot => maskedOf(reconciler.snapshot(), mask);
  const iso = (at: number): string => new Date(clock.wallOf(at)).toISOString();
  return {
    async openApi({ url }) {
      readQuery(url, routes.openApi.query);
      // The schemas take memory that the service does not need until somebody asks.
      const { openApiOf } = await import('./wire-openapi.ts');
      return { value: openApiOf(reconciler.snapshot().version, basePath) };
    },
    health() {
      const value = healthOf(picture(), settings(), clock.now());
      return { value, status: value.status === 'ok' ? 200 : 503 };
    },
    status: () => ({ value: statusOf(picture(), settings(), clock.now(), clock.wallOf) }),
    runners({ url }) {
      readQuery(url, routes.runners.query);
      return { value: runnersOf(picture(), iso, (path) => basePath + path) };
    },
    jobs({ url }) {
      const { state, limit = limitUnsaid } = readQuery(url, routes.jobs.query);
      return { value: jobsOf(picture(), { state, limit }, clock.now(), iso) };
    },
    async plan({ url }) {
      readQuery(url, routes.plan.query);
      return { value: planOf(await reconciler.preview(false), reconciler.snapshot(), clock.now(), iso, mask) };
    },
    explain({ url }) {
      const { labels, job } = readQuery(url, routes.explain.query);
      if (labels !== undefined && job !== undefined) throw refused('job', 'stands beside labels: write one of the two');
      if (labels !== undefined) return { value: labelsExplained(picture(), labels) };
      if (job === undefined) throw refused('job', 'is missing: write job=NUMBER, or labels=A,B');
      return { value: jobExplained(picture(), job, clock.now(), iso) };
    },
    events({ url, header, headOnly }) {
      const { after } = readQuery(url, routes.events.query);
      // As EventSource sends it when it comes again, and then it knows better than the address.
      const seen = header('last-event-id');
      if (headOnly) return { stream: null };
      const stream = following.open(seen === undefined ? (after ?? following.last()) : following.placeOf(seen));
      return stream === undefined ? { refusal: tooMany } : { stream };
    },
    async log({ url, id, headOnly }) {
      const { follow } = readQuery(url, routes.log.query);
      const found = await logs.open(id, follow === 'true' && !headOnly);
      if (found === 'unknown') return { refusal: noLog };
      if (found === 'too-many') return { refusal: tooManyLogs };
      return { text: 'stream' in found ? found.stream : found.text };
    },
  };
}

/** Each order that changes anything is one line of the log, with who gave it. */
function writersOf({ reconciler, log, mask, clock }: Sources): Pick<Handlers, Write> {
  const told = (changed: boolean, sentence: string): Reply<Order> => ({
    value: { changed, draining: reconciler.snapshot().draining, sentence },
  });
  return {
    drain({ url, by }) {
      readQuery(url, routes.drain.query);
      const changed = reconciler.drain(true, by);
      return told(changed, changed ? 'nothing more is started; the service ends when nothing of ours is left' : 'it drains already');
    },
    resume({ url, by }) {
      readQuery(url, routes.resume.query);
      const changed = reconciler.drain(false, by);
      return told(changed, changed ? 'waiting jobs are started again' : 'it does not drain');
    },
    poll({ url, by }) {
      readQuery(url, routes.poll.query);
      log.info('order', { by, order: 'poll' }, 'the forges are asked at once');
      reconciler.wake(true);
      return told(true, 'every forge that answers is asked at once');
    },
    stop({ url, id, by }) {
      readQuery(url, routes.stop.query);
      const runner = reconciler.snapshot().runners.find((each) => each.id === id);
      if (runner === undefined) return { refusal: noRunner };
      if (!reconciler.stop(id)) return told(false, `runner ${id} is asked to end already`);
      log.info('order', { by, order: 'stop', runner: id, forge: runner.forge, job: runner.job.id }, 'the runner is ended');
      const { job } = runner;
      return told(
        true,
        job.id === 0 ? `runner ${id} is asked to end` : `runner ${id} is asked to end, and job ${job.id} with it if it has begun`,
      );
    },
    async dispatch({ url, body, by }) {
      readQuery(url, routes.dispatch.query);
      const answer = await reconciler.dispatch(wishOf(body), by);
      if (!('mistake' in answer)) return { value: dispatchedOf(answer, (at) => new Date(clock.wallOf(at)).toISOString()) };
      if (answer.mistake === 'off') return { refusal: { ...noDispatch, detail: answer.sentence } };
      throw refused(answer.mistake, answer.sentence);
    },
    async sweep({ url, by }) {
      const dryRun = readQuery(url, routes.sweep.query).dry_run !== 'false';
      const value = sweepOf(await reconciler.preview(true), reconciler.snapshot(), dryRun, mask);
      if (!dryRun) {
        log.info('order', { by, order: 'sweep', seen: value.sweep.length }, 'maintenance is done now');
        reconciler.maintain();
      }
      return { value };
    },
  };
}
