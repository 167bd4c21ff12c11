// Promises one form for every metric: its name begins with ours, its help is a sentence, and a histogram's buckets are seconds.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const prefix = 'forgejo_runner_controller_';

type Named<L extends string> = {
  readonly registry: Registry;
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
};

const formOf = <L extends string>({ registry, name, help, labels = [] }: Named<L>) => ({
  name: `${prefix}${name}`,
  help,
  labelNames: [...labels],
  registers: [registry],
});

export const counterOf = <L extends string = never>(named: Named<L>): Counter<L> => new Counter(formOf(named));

export const gaugeOf = <L extends string = never>(named: Named<L>): Gauge<L> => new Gauge(formOf(named));

export const histogramOf = <L extends string = never>(named: Named<L>, buckets: readonly number[]): Histogram<L> =>
  new Histogram({ ...formOf(named), buckets: [...buckets] });

/** From 5 ms to a minute: what a machine of ours takes to come up or to go. */
export const stepBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** From a tenth of a second to an hour: what a person is ready to wait. */
export const waitBuckets = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600];
/** From a second to six hours: what a job takes. */
export const jobBuckets = [1, 5, 15, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 21_600];
