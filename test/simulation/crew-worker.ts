// Promises one thread of the crew: runs each lot of seeds it is sent and answers with the sums.

import { parentPort } from 'node:worker_threads';
import type { Lot } from './crew.ts';
import { figuresOf, noFigures, sumOf, type Figures } from './figures.ts';
import { simulate } from './simulate.ts';

// Thousands of errors are the world's doing here, and where each was made is of no use; a replay shows it.
Error.stackTraceLimit = 0;

async function runLot({ from, count }: Lot): Promise<Figures> {
  let figures = noFigures;
  for (let seed = from; seed < from + count; seed += 1) figures = sumOf(figures, figuresOf(await simulate(seed)));
  return figures;
}

parentPort?.on('message', (lot: Lot) => {
  void runLot(lot).then((figures) => parentPort?.postMessage(figures, []));
});
