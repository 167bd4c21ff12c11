// Measures a hundred waiting jobs at once: until a hundred runner processes run, beside a bare parallel loop of the same round, and from the
// end of the last runner to nothing left.

import type { Service } from '../support/service.ts';
import { atMost, median, ms, told, type Line } from './line.ts';
import { processorTime, timesOf } from './processor.ts';
import { allGone, dropRaw, queueBetweenPolls, startRaw, type Stage } from './stage.ts';

const size = 100;

type Round = {
  readonly ours: number;
  readonly raw: number;
  readonly gone: number;
  readonly each: readonly number[];
  /** Processor time of the whole host until all runners run, ours and bare; of the service itself, and of what it started. */
  readonly busy: { readonly ours: number; readonly raw: number; readonly own: number; readonly children: number; readonly gone: number };
};

async function round(stage: Stage, service: Service): Promise<Round> {
  const { reports, forgejo } = stage;
  const pid = await service.pid();
  reports.clear();
  await reports.hold();
  const [busyFrom, ownFrom] = [processorTime(), timesOf(pid)];
  const { jobs, listedAt } = await queueBetweenPolls(stage, 'tiny', size);
  const starts = await reports.until('start', size);
  const [busyTo, ownTo] = [processorTime(), timesOf(pid)];
  for (const { runId } of jobs) await forgejo.control.cancel(runId);
  const each = starts.map(({ at }) => at - listedAt);
  await reports.release();
  const ends = await reports.until('end', size);
  const lastEnd = Math.max(...ends.map(({ at }) => at));
  const names = starts.map(({ machine }) => machine);
  const goneAt = await allGone(stage, service, names);
  const busyGone = processorTime() - busyTo;
  await reports.hold();
  const rawFrom = processorTime();
  const bare = await startRaw(stage, 1, size);
  const busyRaw = processorTime() - rawFrom;
  await reports.release();
  await reports.until('end', size);
  await dropRaw(1, size);
  const raw = Math.max(...bare.starts.map(({ at }) => at)) - bare.calledAt;
  const busy = {
    ours: busyTo - busyFrom,
    raw: busyRaw,
    own: ownTo.own - ownFrom.own,
    children: ownTo.children - ownFrom.children,
    gone: busyGone,
  };
  return { ours: Math.max(...each), raw, gone: goneAt - lastEnd, each, busy };
}

export async function measureBurst(stage: Stage, service: Service, rounds: number): Promise<readonly Line[]> {
  const done: Round[] = [];
  for (let count = 0; count < rounds; count += 1) done.push(await round(stage, service));
  const of = (pick: (round: Round) => number): number => median(done.map(pick));
  const [ours, raw, gone] = [of((one) => one.ours), of((one) => one.raw), of((one) => one.gone)];
  const typical = of(({ each }) => median(each));
  return [
    atMost(
      '100 waiting jobs to 100 runner processes, against a bare loop',
      0.6,
      ours / raw,
      (value) => `${value.toFixed(2)} x`,
      `ours ${ms(ours)}, bare ${ms(raw)}; medians of ${rounds} rounds`,
      { ours, raw },
    ),
    told('  where it goes', '', `the first runner after ${ms(of(({ each }) => Math.min(...each)))}, half of them after ${ms(typical)}`, {
      half: typical,
    }),
    told(
      '  processor time of one start',
      ms(of(({ busy }) => busy.ours) / size),
      `bare ${ms(of(({ busy }) => busy.raw) / size)}; of ours the service itself ${ms(of(({ busy }) => busy.own) / size)}, the programs it runs ${ms(of(({ busy }) => busy.children) / size)}, the rest is systemd, nspawn and the machine; one removal takes ${ms(of(({ busy }) => busy.gone) / size)}`,
    ),
    atMost(
      "runner's exit to nothing left, 100 at once",
      300,
      gone,
      ms,
      'from the end of the last runner to the last trace of the last machine',
      {},
    ),
  ];
}
