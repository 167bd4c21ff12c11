// Promises `npm run simulate`: --seed N [--trace] replays one run; --seeds N (default 2000) [--from N], with --budget S no longer than S
// seconds once --floor N seeds were run, or --minutes M searches on all processors. Exit 1 when a run breaks a promise.

import { parseArgs } from 'node:util';
import { searchSeeds } from './crew.ts';
import { figuresOf, linesOf, type Figures } from './figures.ts';
import { simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    trace: { type: 'boolean' },
    seeds: { type: 'string' },
    from: { type: 'string' },
    minutes: { type: 'string' },
    budget: { type: 'string' },
    floor: { type: 'string' },
  },
});

function search(): Promise<Figures> {
  const from = Number(values.from ?? 1);
  if (values.minutes !== undefined) {
    return searchSeeds({ from, seeds: Number.POSITIVE_INFINITY, budgetMs: Number(values.minutes) * 60_000, floor: 0 });
  }
  const budgetMs = Number(values.budget ?? Number.POSITIVE_INFINITY) * 1_000;
  return searchSeeds({ from, seeds: Number(values.seeds ?? 2_000), budgetMs, floor: Number(values.floor ?? 0) });
}

async function replay(seed: number): Promise<Figures> {
  return figuresOf(await simulate(seed, values.trace === true ? (line) => console.log(line) : undefined));
}

const startedAt = performance.now();
const figures = await (values.seed === undefined ? search() : replay(Number(values.seed)));
for (const line of linesOf(figures, Math.round((performance.now() - startedAt) / 1_000))) console.log(line);
process.exitCode = figures.failures.length > 0 ? 1 : 0;
