// Promises `npm run chaos`: --jobs N (200), --seed N, --minutes M; or --soak [--cycles N]. Prints what was done to the service, and
// `0 / 0 / 0 / 0 (lost, doubled, wrongly stopped, left over)`; exits 1 otherwise, naming each. Run by scripts/chaos on a throw-away host.

import { createWriteStream } from 'node:fs';
import { parseArgs } from 'node:util';
import { runChaos, type ChaosReport } from './chaos.ts';
import { runSoak, tableOf } from './soak.ts';

const { values } = parseArgs({
  options: {
    jobs: { type: 'string', default: '200' },
    seed: { type: 'string' },
    minutes: { type: 'string' },
    log: { type: 'string', default: '/var/tmp/chaos.log' },
    soak: { type: 'boolean', default: false },
    cycles: { type: 'string', default: '1000' },
  },
});

const counted = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([kind, count]) => `${kind} ${count}`)
    .join(', ');

function printed(report: ChaosReport, seed: number): string {
  const { lost, doubled, wronglyStopped, leftOver } = report;
  const wrongs = Object.entries({ lost, doubled, 'wrongly stopped': wronglyStopped, 'left over': leftOver });
  const total = [...report.faults.values()].reduce((sum, count) => sum + count, 0);
  return [
    `${report.jobs} jobs, ${report.attempts} attempts: ${Object.entries(report.results)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')}`,
    `${total} faults: ${counted(report.faults)}`,
    `requests struck: ${counted(report.requests)}`,
    `controller killed ${report.faults.get('kill-controller') ?? 0} times; ${report.seconds.toFixed(0)} s; seed ${seed}`,
    ...wrongs.flatMap(([what, each]) => each.map((one) => `${what}: ${one}`)),
    `${wrongs.map(([, each]) => each.length).join(' / ')} (lost, doubled, wrongly stopped, left over)`,
    ...(wrongs.some(([, each]) => each.length > 0) ? [`again: npm run chaos -- --jobs ${values.jobs} --seed ${seed}`] : []),
  ].join('\n');
}

async function chaos(): Promise<boolean> {
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const minutes = values.minutes === undefined ? {} : { minutes: Number(values.minutes) };
  const report = await runChaos({ jobs: Number(values.jobs), seed, ...minutes, say });
  process.stdout.write(`${printed(report, seed)}\n`);
  return [report.lost, report.doubled, report.wronglyStopped, report.leftOver].every(({ length }) => length === 0);
}

async function soak(): Promise<boolean> {
  const report = await runSoak(Number(values.cycles), say);
  const wrongs = Object.entries({
    lost: report.lost,
    doubled: report.doubled,
    'wrongly stopped': report.wronglyStopped,
    'left over': report.leftOver,
  });
  const told = [...wrongs, ['grown', report.grown] as const].flatMap(([what, each]) => each.map((one) => `${what}: ${one}\n`));
  const zeros = wrongs.map(([, each]) => each.length).join(' / ');
  process.stdout.write(
    `${tableOf(report.samples)}\n${report.atWork}\n${report.seconds.toFixed(0)} s\n${told.join('')}${zeros} (lost, doubled, wrongly stopped, left over)\n`,
  );
  return told.length === 0;
}

const log = createWriteStream(values.log);
const say = (line: string): void => void log.write(`${line}\n`);
process.exitCode = (await (values.soak ? soak() : chaos())) ? 0 : 1;
