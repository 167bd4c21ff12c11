// Promises one handler for every route of the table, typed by the table: what it reads from the request, what it answers.

import type { Clock } from '../clock.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { jobExplained, labelsExplained } from './explain.ts';
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
  readonly clock: Clock;
  readonly mask: (text: string) => string;
};

type Answer<N extends RouteName> = { readonly value: Answers[(typeof routes)[N]['answer']]; readonly status?: number };

export type Handlers = { readonly [N in RouteName]: (url: string) => Answer<N> | Promise<Answer<N>> };

const limitUnsaid = 100;

export function handlersOf({ reconciler, settings, clock, mask }: Sources): Handlers {
  const picture = (): Snapshot => maskedOf(reconciler.snapshot(), mask);
  const iso = (at: number): string => new Date(clock.wallOf(at)).toISOString();
  return {
    health() {
      const value = healthOf(picture(), settings(), clock.now());
      return { value, status: value.status === 'ok' ? 200 : 503 };
    },
    status: () => ({ value: statusOf(picture(), settings(), clock.now(), clock.wallOf) }),
    runners(url) {
      readQuery(url, routes.runners.query);
      return { value: runnersOf(picture(), iso, (path) => path) };
    },
    jobs(url) {
      const { state, limit = limitUnsaid } = readQuery(url, routes.jobs.query);
      return { value: jobsOf(picture(), state, limit, iso) };
    },
    async plan(url) {
      readQuery(url, routes.plan.query);
      return { value: planOf(await reconciler.preview(false), clock.now(), iso, mask) };
    },
    explain(url) {
      const { labels, job } = readQuery(url, routes.explain.query);
      if (labels !== undefined && job !== undefined) throw refused('job', 'stands beside labels: write one of the two');
      if (labels !== undefined) return { value: labelsExplained(picture(), labels) };
      if (job === undefined) throw refused('job', 'is missing: write job=NUMBER, or labels=A,B');
      return { value: jobExplained(picture(), job, iso) };
    },
  };
}
