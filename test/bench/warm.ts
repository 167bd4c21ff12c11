// Measures a start for a job end to end, from the reply that lists it to its runner's process: on a machine that waited for it, and in turn on
// one that is made then, by the same service.

import { atMost, median, ms, told, type Line } from './line.ts';
import { spread } from './starts.ts';
import { allGone, limits, queueBetweenPolls, type Stage } from './stage.ts';

export async function measureWarm(stage: Stage, runs: number): Promise<readonly Line[]> {
  const { runner, bind } = stage.reports;
  const profileOf = (name: string): Readonly<Record<string, unknown>> => ({ name, labels: [name], runner, binds: [bind], limits });
  const service = await stage.service('bench-warm', { profiles: [profileOf('cold'), { ...profileOf('warm'), warm: 2 }] });
  const took: Record<'cold' | 'warm', number[]> = { cold: [], warm: [] };
  try {
    await service.start();
    for (let run = 0; run < runs + 2; run += 1) {
      for (const label of ['cold', 'warm'] as const) {
        await service.until('two machines wait', (status) => status.warm_containers.filter(({ state }) => state === 'idle').length === 2);
        stage.reports.clear();
        const { jobs, listedAt } = await queueBetweenPolls(stage, label);
        const [start] = await stage.reports.until('start', 1);
        for (const { runId } of jobs) await stage.forgejo.control.cancel(runId);
        await stage.reports.until('end', 1);
        if (start?.machine.startsWith(label === 'warm' ? 'w' : 'j') !== true) throw new Error(`${start?.machine} had the job for ${label}`);
        await allGone(stage, service, [start.machine]);
        if (run >= 2) took[label].push(start.at - listedAt); // the first ones fill caches
      }
    }
  } finally {
    await service.dispose();
  }
  const [cold, warm] = [median(took.cold), median(took.warm)];
  return [
    atMost(
      'warm start against a cold one, end to end',
      0.7,
      warm / cold,
      (value) => `${value.toFixed(2)} x`,
      `reply that lists the job to runner process: warm ${spread(took.warm)}; cold ${spread(took.cold)}`,
      { warm, cold },
    ),
    told('  saved by each', ms(cold - warm), 'what is left of it is the record, the registration and the hand-over', {
      saved: cold - warm,
    }),
  ];
}
