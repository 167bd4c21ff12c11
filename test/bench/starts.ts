// Measures one machine at a time: from the reply that lists a job to its runner's process, beside the raw baseline; at the driver's port,
// cold and warm; and from the runner's exit to nothing left.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Profile } from '../../src/core/model.ts';
import { systemClock } from '../../src/clock.ts';
import { createNspawnDriver } from '../../src/driver/nspawn.ts';
import { createMemoryLog } from '../support/reconciler-rig.ts';
import type { Service } from '../support/service.ts';
import { atMost, median, ms, quantile, told, type Line } from './line.ts';
import { allGone, dropRaw, queueBetweenPolls, startRaw, type Stage } from './stage.ts';
import { anchor, wall } from './wall.ts';
import { aNetwork } from '../support/build.ts';

/** Median, 95th percentile and how many. */
export const spread = (samples: readonly number[]): string =>
  `p50 ${ms(median(samples))}, p95 ${ms(quantile(samples, 0.95))}, n ${samples.length}`;

export async function measureCold(stage: Stage, service: Service, runs: number): Promise<readonly Line[]> {
  const ours: number[] = [];
  const raw: number[] = [];
  const gone: number[] = [];
  const listed = new Map<string, number>();
  for (let run = 0; run < runs + 2; run += 1) {
    stage.reports.clear();
    const { jobs, listedAt } = await queueBetweenPolls(stage, 'tiny');
    const [start] = await stage.reports.until('start', 1);
    for (const { runId } of jobs) await stage.forgejo.control.cancel(runId);
    const [end] = await stage.reports.until('end', 1);
    if (start === undefined || end === undefined) throw new Error('the runner said nothing');
    const goneAt = await allGone(stage, service, [start.machine]);
    const bare = await startRaw(stage, 1 + run, 1);
    await dropRaw(1 + run, 1);
    if (run < 2) continue; // the first ones fill caches
    listed.set(start.machine, listedAt);
    ours.push(start.at - listedAt);
    gone.push(goneAt - end.at);
    raw.push((bare.starts[0]?.at ?? Number.NaN) - bare.calledAt);
  }
  return [
    atMost(
      'cold start against bare nspawn',
      0.7,
      median(ours) / median(raw),
      (value) => `${value.toFixed(2)} x`,
      `ours ${spread(ours)}; bare ${spread(raw)}`,
      {
        ours: median(ours),
        raw: median(raw),
      },
    ),
    atMost('cold start: reply that lists the job to runner process', 40, median(ours), ms, spread(ours), { p95: quantile(ours, 0.95) }),
    ...(await partsOf(service, listed, ours)),
    atMost("runner's exit to nothing left, one", 300, median(gone), ms, spread(gone), { p95: quantile(gone, 0.95) }),
  ];
}

/** Where the time of a cold start goes, by the service's own log. */
async function partsOf(service: Service, listed: ReadonlyMap<string, number>, ours: readonly number[]): Promise<readonly Line[]> {
  const launch: number[] = [];
  const assign: number[] = [];
  for (const line of await service.log()) {
    const at = Date.parse(String(line['time'])) || Number(line['time']);
    const listedAt = listed.get(String(line['runner']));
    if (listedAt === undefined) continue;
    if (line['event'] === 'launch') launch.push(at - listedAt);
    if (line['event'] === 'assign') assign.push(at - listedAt);
  }
  if (launch.length === 0 || assign.length === 0) return [];
  const [planned, assigned] = [median(launch), median(assign)];
  const note = `record written after ${ms(planned)}, credentials handed over after ${ms(assigned)}, runner's process after ${ms(median(ours))}`;
  return [told('  where it goes', '', note, { planned, assigned })];
}

/** At the port: start to runner's process, and assignment of a machine that waits to runner's process. */
export async function measurePort(stage: Stage, runs: number): Promise<readonly Line[]> {
  const profile: Profile = {
    name: 'tiny',
    labels: ['tiny'],
    template: { kind: 'host' },
    limits: { cpus: 2, memoryBytes: 500 * 1024 ** 2, tasks: 500 },
    timeouts: { startMs: 20_000, pickMs: 10_000, jobMs: 60_000, stopMs: 2_000 },
    runnerPath: stage.reports.runner,
    binds: [{ source: stage.reports.io, target: '/io', writable: true }],
    environment: {},
  };
  const driver = createNspawnDriver({
    controllerId: 'bench-port',
    stateDir: '/srv/bench/port',
    network: aNetwork({ pool: { first: '10.88.0.0', last: '10.88.255.255' } }),
    profiles: [profile],
    forgeUrls: [],
    log: createMemoryLog(),
    clock: systemClock,
  });
  await driver.check();
  const assignment = { url: 'http://10.99.0.1:1', uuid: 'uuid', token: 'token', handle: 'handle', labels: ['tiny'] };
  const cold: number[] = [];
  const warm: number[] = [];
  for (let run = 0; run < 2 * runs; run += 1) {
    const id = `j${String(run).padStart(7, '0')}abc`;
    stage.reports.clear();
    anchor();
    let from = wall();
    await driver.start({ id, slot: run % 200, profile, runtimeMaxMs: 60_000 });
    if (run % 2 === 1) {
      while (!(await driver.list()).some((machine) => machine.id === id && machine.state === 'idle')) await sleep(5);
      await sleep(50);
      from = wall();
    }
    await driver.assign(id, assignment, AbortSignal.timeout(10_000));
    const [start] = await stage.reports.until('start', 1);
    (run % 2 === 1 ? warm : cold).push((start?.at ?? Number.NaN) - from);
    await stage.reports.until('end', 1);
    await driver.remove(id);
  }
  return [
    told('cold start at the driver port', ms(median(cold)), 'start() called to runner process, this process calls the driver', {
      value: median(cold),
    }),
    atMost('warm start at the driver port', 15, median(warm), ms, `assign() called to runner process; p95 ${ms(quantile(warm, 0.95))}`, {
      p95: quantile(warm, 0.95),
    }),
  ];
}
