// Promises one handler for every route of the table, typed by the table: what it reads from the request, what it answers.

import type { Clock } from '../clock.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { jobExplained, labelsExplained } from './explain.ts';
import type { Following } from './follow.ts';
import { healthOf } from './health.ts';
import { jobsOf, planOf, runnersOf, type Preview } from './jobs.ts';
import { readQuery, refused } from './parameters.ts';
import { routes, type Answers, type RouteName } from './routes.ts';
import { maskedOf, statusOf, type ApiSettings } from './status.ts';

/** What the API asks of the loop. */
export type Reconciling = {
  /** The picture of the last tick; called once per answer. */
  snapshot(): Snapshot;
  /** What it would do now; does nothing, and is shared by all who ask meanwhile. */
  preview(registrations: boolean): Promise<Preview>;
};

export type Sources = {
  readonly reconciler: Reconciling;
  /** Of the configuration in force; called once per answer. */
  readonly settings: () => ApiSettings;
  readonly following: Following;
  readonly clock: Clock;
  readonly mask: (text: string) => string;
};

export type Ask = {
  readonly url: string;
  readonly header: (name: string) => string | undefined;
  /** Only the head of the answer will be sent. */
  readonly headOnly: boolean;
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
  | { readonly refusal: Refusal };

export type Handlers = {
  readonly [N in RouteName]: (
    ask: Ask,
  ) => Reply<Answers[(typeof routes)[N]['answer']]> | Promise<Reply<Answers[(typeof routes)[N]['answer']]>>;
};

const tooMany: Refusal = {
  status: 503,
  code: 'TOO_MANY_FOLLOWERS',
  title: 'Too many follow',
  detail: 'As many follow the events as may, or the service ends; come again later.',
  headers: { 'retry-after': '5' },
};
const limitUnsaid = 100;

export function handlersOf({ reconciler, settings, following, clock, mask }: Sources): Handlers {
  const picture = (): Snapshot => maskedOf(reconciler.snapshot(), mask);
  const iso = (at: number): string => new Date(clock.wallOf(at)).toISOString();
  return {
    health() {
      const value = healthOf(picture(), settings(), clock.now());
      return { value, status: value.status === 'ok' ? 200 : 503 };
    },
    status: () => ({ value: statusOf(picture(), settings(), clock.now(), clock.wallOf) }),
    runners({ url }) {
      readQuery(url, routes.runners.query);
      return { value: runnersOf(picture(), iso, (path) => path) };
    },
    jobs({ url }) {
      const { state, limit = limitUnsaid } = readQuery(url, routes.jobs.query);
      return { value: jobsOf(picture(), state, limit, iso) };
    },
    async plan({ url }) {
      readQuery(url, routes.plan.query);
      return { value: planOf(await reconciler.preview(false), clock.now(), iso, mask) };
    },
    explain({ url }) {
      const { labels, job } = readQuery(url, routes.explain.query);
      if (labels !== undefined && job !== undefined) throw refused('job', 'stands beside labels: write one of the two');
      if (labels !== undefined) return { value: labelsExplained(picture(), labels) };
      if (job === undefined) throw refused('job', 'is missing: write job=NUMBER, or labels=A,B');
      return { value: jobExplained(picture(), job, iso) };
    },
    events({ url, header, headOnly }) {
      const { after } = readQuery(url, routes.events.query);
      // As EventSource sends it when it comes again, and then it knows better than the address.
      const seen = header('last-event-id');
      if (headOnly) return { stream: null };
      const stream = following.open(seen === undefined ? (after ?? following.last()) : following.placeOf(seen));
      return stream === undefined ? { refusal: tooMany } : { stream };
    },
  };
}
