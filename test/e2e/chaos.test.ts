// Every kind of fault at least once while forty jobs run, on this host: the bounded form of `npm run chaos`. What it costs is counted.

import { expect, test } from 'vitest';
import { runChaos } from '../chaos/chaos.ts';

test('I8 whatever is killed, cut off, filled up or taken away while jobs run, none is lost, doubled or wrongly stopped and nothing is left', async () => {
  const told: string[] = [];
  const { lost, doubled, wronglyStopped, leftOver, ...report } = await runChaos({
    jobs: 40,
    seed: 20_261,
    say: (line) => void told.push(line),
  });
  const wrongs = { lost, doubled, wronglyStopped, leftOver };
  const explanation = Object.values(wrongs).flat().length === 0 ? '' : told.join('\n');
  expect({ ...wrongs, explanation }).toEqual({ lost: [], doubled: [], wronglyStopped: [], leftOver: [], explanation: '' });
  expect(report.jobs).toBeGreaterThanOrEqual(40);
  process.stdout.write(
    `chaos: ${report.jobs} jobs, ${[...report.faults.values()].reduce((sum, count) => sum + count, 0)} faults of ${report.faults.size} kinds, ` +
      `${report.faults.get('kill-controller')} kills of the controller; 0 / 0 / 0 / 0 (lost, doubled, wrongly stopped, left over)\n`,
  );
});
