// A container that dies under its job is a failed job at once, with the reason in its log, whatever killed it and whether or not the
// controller was there to see; and the job beside it goes on.

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hold, openScene, runnerOf, timesGiven, type Scene } from '../support/service-scene.ts';
import { sh, type Service } from '../support/service.ts';

/** Forgejo's own zombie rule takes ten minutes; how quick it is in fact is the benchmark's to say. */
const failedWithinMs = 30_000;
const unitOf = (service: Service, machine: string): string => `forgejo-runner-${service.controllerId}-${machine}.service`;

type Busy = { readonly jobId: number; readonly handle: string; readonly machine: string };

/** A job in the middle of its step, seen to run by the service. */
async function aBusyJob(scene: Scene, service: Service, script = `echo @running; ${hold}; echo @through`): Promise<Busy> {
  const queued = await scene.queue(script);
  await scene.says(service, queued, '@running');
  const status = await service.until('it is busy', (seen) => runnerOf(seen, queued)?.phase === 'busy');
  return { ...queued, machine: runnerOf(status, queued)?.machine ?? '' };
}

/** The process that systemd started: nspawn itself. */
async function nspawnOf(service: Service, machine: string): Promise<string> {
  return sh('systemctl', 'show', '--property=MainPID', '--value', unitOf(service, machine));
}

describe('a container that is killed', () => {
  test('kill -9 of nspawn: the job is failed at once and its log says why, the job beside it goes on', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const [victim, neighbour] = [await aBusyJob(scene, service), await aBusyJob(scene, service)];
    await sh('kill', '-9', await nspawnOf(service, victim.machine));
    const job = await scene.done(service, victim, failedWithinMs);
    expect(job).toMatchObject({ status: 'failure', logClosed: true });
    const log = job.log.join('\n');
    expect(log).toContain('the container of this job was killed by signal KILL. The job is reported as failed.');
    expect(log).toContain(`container ${victim.machine} of profile default, controller ${service.controllerId}`);
    expect(log).toMatch(/memory: peak [\d.]+ MiB, limit 4 GiB$/m);
    expect(log).toMatch(/ {2}\| .*level=info msg=/);
    expect((await service.until('it is told', ({ recent }) => recent.length === 1)).recent).toMatchObject([
      { job_id: victim.jobId, reason: 'machine-failed', exit: { result: 'signal', code: 'killed', status: 'KILL', oom_kills: 0 } },
    ]);
    await scene.open();
    expect(await scene.done(service, neighbour)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect(await timesGiven(scene, [victim, neighbour])).toEqual([1, 1]);
  });

  test('a job that drives the runner itself out of memory: failed at once, with peak, limit and kills in its log', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({ profiles: [{ name: 'small', labels: ['debian'], limits: { memory: '300M' } }] });
    // The kernel takes whom it is pointed at: the runner, the parent of the step's shell.
    const queued = await scene.queue('echo 1000 >/proc/$PPID/oom_score_adj; echo @running; head -c 400M /dev/zero | tail');
    const job = await scene.done(service, queued, 20_000);
    expect(job.status).toBe('failure');
    expect(job.log.join('\n')).toMatch(
      /ended with exit code 137, signal 9, after processes in it were killed for want of memory \(memory limit 300 MiB\)\./,
    );
    expect(job.log.join('\n')).toMatch(/memory: peak 300 MiB, limit 300 MiB; killed for want of memory: [1-9]/);
    await scene.clean(service);
  });

  test('while the controller is down: failed by its first tick', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const victim = await aBusyJob(scene, service);
    await service.kill();
    await sh('kill', '-9', await nspawnOf(service, victim.machine));
    expect(await scene.control.job(victim.jobId)).toMatchObject({ status: 'running' });
    await service.start();
    const job = await scene.done(service, victim, failedWithinMs);
    expect(job.log.join('\n')).toContain('was killed by signal KILL');
    await scene.clean(service);
  });

  test('after a reboot of the host, which leaves records and nothing else: failed by the first tick', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const victim = await aBusyJob(scene, service);
    await service.kill();
    await sh('systemctl', 'kill', '--signal=KILL', unitOf(service, victim.machine));
    // What lived in memory is gone, and the exit record was never written.
    const exits = join(service.stateDir, 'exits');
    await expect.poll(async () => readdir(exits), { timeout: 10_000 }).toHaveLength(1);
    await rm(join(exits, victim.machine));
    await service.start();
    const job = await scene.done(service, victim, failedWithinMs);
    expect(job.log.join('\n')).toContain('vanished without a record of its end: the host was restarted, most likely');
    await scene.clean(service);
  });

  test('its network taken away: the job fails when its time is over, and not by the zombie rule of Forgejo', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const timeouts = { job: '3s', stop: '2s' };
    const service = await scene.start({ profiles: [{ name: 'short', labels: ['debian'], timeouts }] });
    const victim = await aBusyJob(scene, service);
    await sh('ip', 'link', 'del', `fr-${victim.machine}`);
    const job = await scene.done(service, victim, 20_000);
    expect(job.status).toBe('failure');
    expect(job.log.join('\n')).toContain('was stopped because the job ran longer than 3 s, the limit of profile short');
    await scene.clean(service);
  });

  test('while Forgejo is away: the container goes, and the job is failed when Forgejo is back', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const victim = await aBusyJob(scene, service);
    await scene.control.addFault({ route: '* *', fault: { kind: 'status', status: 502 } });
    await sh('kill', '-9', await nspawnOf(service, victim.machine));
    await service.until('the container is gone', async () => (await service.remains()).directories === 0);
    expect((await service.status()).runners).toMatchObject([{ job_id: victim.jobId }]);
    await scene.control.clearFaults();
    const job = await scene.done(service, victim, 60_000);
    expect(job.log.join('\n')).toContain('was killed by signal KILL');
    await scene.clean(service);
  });
});
