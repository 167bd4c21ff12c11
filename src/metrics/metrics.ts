// Promises the text of /metrics: what the snapshot shows now, and what the facts add up to since the start, so that log, API and metrics
// cannot disagree. No label has a value that a job, a workflow or a forge can choose: the number of series is bounded by the configuration.

import { Registry } from 'prom-client';
import type { Clock } from '../clock.ts';
import type { ForgeName } from '../core/model.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Fact } from '../events.ts';
import { createCounts } from './counts.ts';
import { createFactCounts } from './fact-counts.ts';
import { createGauges } from './gauges.ts';
import { createRepositoryCounts } from './repository-counts.ts';

export type Metrics = {
  configure(settings: MetricsSettings): void;
  /** To follow the facts with. */
  take(fact: Fact): void;
  /** A forge was asked; without a status it gave no answer. */
  forgeAnswered(forge: ForgeName, operation: string, status: number | undefined): void;
  /** A request of the API was answered; `route` is its pattern, never its path. */
  requestAnswered(route: string, status: number): void;
  render(snapshot: Snapshot, clock: Clock): Promise<{ readonly type: string; readonly text: string }>;
};

/** Whether to count for each repository, too. */
export type MetricsSettings = { readonly perRepository: boolean };

export type MetricsOptions = MetricsSettings & {
  /** Milliseconds that only ever grow. */
  readonly now: () => number;
};

export function createMetrics({ now, ...settings }: MetricsOptions): Metrics {
  let { perRepository } = settings;
  const registry = new Registry();
  const counts = createCounts(registry);
  const facts = createFactCounts(registry, now);
  const repositories = createRepositoryCounts(registry);
  const show = createGauges(registry, (job) => facts.waitedMs(job));
  return {
    configure: (wanted) => void ({ perRepository } = wanted),
    take(fact) {
      facts.take(fact);
      if (perRepository) repositories.take(fact);
    },
    forgeAnswered: (forge, operation, status) => counts.forgeAnswered(forge, operation, status),
    requestAnswered: (route, status) => counts.requestAnswered(route, status),
    async render(snapshot, clock) {
      show(snapshot, clock);
      return { type: registry.contentType, text: await registry.metrics() };
    },
  };
}
