// Promises many seeds on all processors: worker threads that are handed seeds in small lots until enough were run, the time is over or too
// many failed. Which thread runs a seed changes nothing about it.

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { noFigures, sumOf, type Figures } from './figures.ts';

export type Search = {
  readonly from: number;
  /** How many seeds; Infinity = until the time is over. */
  readonly seeds: number;
  /** Milliseconds after which no more seeds are begun, once `floor` of them were. */
  readonly budgetMs: number;
  readonly floor: number;
};

export type Lot = { readonly from: number; readonly count: number };

const lotSize = 25;
const failuresShown = 10;

export async function searchSeeds({ from, seeds, budgetMs, floor }: Search): Promise<Figures> {
  const startedAt = performance.now();
  let figures = noFigures;
  let begun = 0;

  function nextLot(): Lot | undefined {
    const enough = begun >= seeds || (begun >= floor && performance.now() - startedAt > budgetMs);
    if (enough || figures.failures.length >= failuresShown) return undefined;
    const lot = { from: from + begun, count: Math.min(lotSize, seeds - begun) };
    begun += lot.count;
    return lot;
  }

  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./crew-worker.ts', import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: 64 } });
      const hand = (): void => {
        const lot = nextLot();
        if (lot === undefined) void worker.terminate();
        else worker.postMessage(lot, []);
      };
      worker.on('message', (run: Figures) => {
        figures = sumOf(figures, run);
        hand();
      });
      worker.on('error', reject);
      worker.on('exit', () => resolve());
      hand();
    });

  await Promise.all(Array.from({ length: availableParallelism() }, work));
  return { ...figures, failures: figures.failures.toSorted((a, b) => a.seed - b.seed) };
}
