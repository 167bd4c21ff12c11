// Measures from the death of a container under its job to the failed job in Forgejo: nspawn is killed with SIGKILL, the controller sees the
// exit record, says why in the job's log and ends the job. Left to itself Forgejo takes ten to fifteen minutes.

import { sh, type Service } from '../support/service.ts';
import { atMost, median, ms, quantile, type Line } from './line.ts';
import { repository, type Stage } from './stage.ts';
import { wall } from './wall.ts';

const limitMs = 5_000;

export async function measureDied(stage: Stage, service: Service, runs: number): Promise<readonly Line[]> {
  const { control } = stage.forgejo;
  const samples: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const { jobId } = await control.queueJob({ repository, labels: ['debian'], script: 'sleep 600' });
    const { runners } = await service.until('the job is busy', (status) =>
      status.runners.some((runner) => runner.job_id === jobId && runner.phase === 'busy'),
    );
    const machine = runners.find((runner) => runner.job_id === jobId)?.machine ?? '';
    const unit = `forgejo-runner-${service.controllerId}-${machine}.service`;
    const pid = Number(await sh('systemctl', 'show', '--property=MainPID', '--value', unit));
    const killedAt = wall();
    process.kill(pid, 'SIGKILL');
    await control.untilJob({ id: jobId, states: ['failure'] });
    samples.push(wall() - killedAt);
  }
  const note = `p50 ${ms(median(samples))}, p95 ${ms(quantile(samples, 0.95))}, n ${samples.length}; with the reason in its log`;
  return [atMost('container killed to job failed in Forgejo', limitMs, Math.max(...samples), ms, note, { p50: median(samples) })];
}
