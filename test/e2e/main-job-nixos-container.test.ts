// The main job with the driver nixos-container: the same service, the same waiting job, a container of the CLI's in place of a transient unit.
// What is promised of the driver nspawn when its controller is killed, restarted or told to end a job holds here as well.

import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installNixosContainer, standInSystem, standInTools } from '../support/nixos-container.ts';
import { hold, openScene, timesGiven, type Scene } from '../support/service-scene.ts';
import { sh, type Service } from '../support/service.ts';

const template = { kind: 'nixos', path: standInSystem };
const config = {
  driver: 'nixos-container',
  nixosContainer: { ...standInTools },
  profiles: [{ name: 'default', labels: ['debian'], template, timeouts: { stop: '5s' } }],
};

let dispose: () => Promise<void>;
beforeAll(async () => {
  ({ dispose } = await installNixosContainer());
});
afterAll(async () => dispose());

/** Nothing on the host and in the forge, and nothing of what containers have beside. */
async function clean(scene: Scene, service: Service): Promise<void> {
  await scene.clean(service);
  for (const folder of [standInTools.configurationDirectory, standInTools.stateDirectory, '/nix/var/nix/profiles/per-container'])
    expect([folder, await readdir(folder)]).toEqual([folder, []]);
  expect((await readdir('/run/systemd/system')).filter((name) => name.startsWith('container@'))).toEqual([]);
  expect(await sh('systemctl', 'list-units', '--all', '--no-legend', 'container@*')).toBe('');
}

describe('the main job, with the driver nixos-container', () => {
  test('a waiting job is run by a container of its own, its log and result reach Forgejo, and nothing is left', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start(config);
    const queued = await scene.queue('echo "uid $(id -u) in $(cat /proc/sys/kernel/hostname) of $(cat /proc/1/comm)"; exit 0');
    const job = await scene.done(service, queued);
    expect(job).toMatchObject({ status: 'success', attempt: 1 });
    expect(job.log.join('\n')).toMatch(/uid 0 in j\d{7}[0-9a-z]{3} of systemd/);
    await clean(scene, service);
    const failed = await scene.queue('systemctl is-active multi-user.target; exit 3');
    expect(await scene.done(service, failed)).toMatchObject({
      status: 'failure',
      log: expect.arrayContaining([expect.stringContaining('active')]),
    });
    await clean(scene, service);
    expect((await service.status()).recent[0]).toMatchObject({ reason: expect.stringMatching(/^(?:finished|machine-failed)$/) });
  });

  test('a job that ignores every signal is ended by its clock, one whose container dies is failed at once, with the reason', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({
      ...config,
      profiles: [
        { name: 'short', labels: ['debian'], template, timeouts: { job: '1s', stop: '1s' } },
        { name: 'long', labels: ['long'], template },
      ],
    });
    const stubborn = await scene.queue(`trap '' TERM INT HUP; ${hold}`);
    const dying = await scene.running(service, { labels: ['long'] });
    const { runners } = await service.status();
    const id = runners.find(({ job_id: job }) => job === dying.jobId)?.id ?? '';
    await sh('systemctl', 'kill', '--signal=KILL', `container@${id}.service`);
    expect(await scene.done(service, dying)).toMatchObject({ status: 'failure' });
    expect(await scene.done(service, stubborn)).toMatchObject({ status: 'failure' });
    await clean(scene, service);
    const reasons = new Map((await service.status()).recent.map(({ job_id: job, reason }) => [job, reason]));
    expect([reasons.get(stubborn.jobId), reasons.get(dying.jobId)]).toEqual(['job-timeout', 'machine-failed']);
  });

  test('I8 I9 kill -9 of the controller, while jobs run and at any moment of launches, loses none, doubles none and leaves nothing', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start(config);
    const jobs = [await scene.queue(`echo @running; ${hold}`, { name: 'held' })];
    for (const job of jobs) await scene.says(service, job, '@running');
    let seed = 20_261;
    for (let round = 0; round < 2; round += 1) {
      seed = (seed * 48_271) % 2_147_483_647;
      jobs.push(await scene.queue('true', { name: `r${round}` }));
      // The moment is the point here: it is drawn, and the seed says which.
      await sleep(5 + (seed % 500));
      await service.kill();
      await service.start();
    }
    await scene.open();
    for (const job of jobs) expect(await scene.done(service, job, 60_000)).toMatchObject({ status: 'success', attempt: 1 });
    await clean(scene, service);
    expect(await timesGiven(scene, jobs)).toEqual(jobs.map(() => 1));
    expect((await service.status()).quarantined).toEqual([]);
  });
});
