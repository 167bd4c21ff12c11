// Promises `npm run simulate`: --seed N [--trace] replays one run; --seeds N (default 2000) [--from N] or --minutes M searches. Exit 1 when a
// run breaks a promise, with the seed that shows it.

import { parseArgs } from 'node:util';
import { simulate, type Verdict } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    trace: { type: 'boolean' },
    seeds: { type: 'string' },
    from: { type: 'string' },
    minutes: { type: 'string' },
  },
});

function wrongsOf(verdict: Verdict): string[] {
  return [
    ...verdict.lost.map((each) => `lost: ${each}`),
    ...verdict.wronglyStopped.map((each) => `wrongly stopped: ${each}`),
    ...verdict.leftOver.map((each) => `left over: ${each}`),
    ...verdict.broken,
  ];
}

let failed = 0;
if (values.seed !== undefined) {
  const verdict = await simulate(Number(values.seed), values.trace === true ? (line) => console.log(line) : undefined);
  console.log(JSON.stringify({ ...verdict, faults: Object.fromEntries(verdict.faults) }, null, 1));
  failed = wrongsOf(verdict).length;
} else {
  const from = Number(values.from ?? 1);
  const until = values.minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + Number(values.minutes) * 60_000;
  const seeds = values.minutes === undefined ? Number(values.seeds ?? 2_000) : Number.POSITIVE_INFINITY;
  let runs = 0;
  for (let seed = from; seed < from + seeds && performance.now() < until && failed < 10; seed += 1) {
    const verdict = await simulate(seed);
    runs += 1;
    const wrongs = wrongsOf(verdict);
    if (wrongs.length === 0) continue;
    failed += 1;
    console.log(`seed ${seed}: ${wrongs.join('; ')}`);
  }
  console.log(`${runs} seeds, ${failed} broke a promise`);
}
process.exitCode = failed > 0 ? 1 : 0;
