// What the end of the controller does to jobs: nothing. Killed or stopped, with jobs running or in the middle of launches, the next start
// adopts what lives, and at the end every job ran once and nothing is left.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { hold, openScene, timesGiven, type Scene } from '../support/service-scene.ts';
import type { Service } from '../support/service.ts';

async function threeRunning(scene: Scene, service: Service) {
  const jobs = [];
  for (const name of ['one', 'two', 'three']) jobs.push(await scene.queue(`echo @running; ${hold}; echo @through`, { name }));
  for (const job of jobs) await scene.says(service, job, '@running');
  return jobs;
}

const statusesOf = async (scene: Scene, jobs: readonly { readonly jobId: number }[]) =>
  Promise.all(jobs.map(async ({ jobId }) => (await scene.control.job(jobId)).status));

describe('kill -9 of the controller', () => {
  test('I8 three jobs that run while it is killed finish once, and the next start leaves nothing', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const jobs = await threeRunning(scene, service);
    await service.kill();
    expect(await statusesOf(scene, jobs)).toEqual(['running', 'running', 'running']);
    await scene.open();
    for (const job of jobs) await scene.control.untilJob({ id: job.jobId, states: ['success', 'failure'] });
    expect(await statusesOf(scene, jobs)).toEqual(['success', 'success', 'success']);
    expect(await service.remains()).toMatchObject({ records: 3 });
    await service.start();
    await scene.clean(service);
    expect(await timesGiven(scene, jobs)).toEqual([1, 1, 1]);
    expect((await service.status()).recent.map(({ reason }) => reason)).toEqual(['finished', 'finished', 'finished']);
  });

  test('I9 jobs that still run at the next start are adopted and go on', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const jobs = await threeRunning(scene, service);
    const before = (await service.status()).runners.map(({ id }) => id);
    await service.kill();
    await service.start();
    const after = await service.until('all are seen', (status) => status.host.machines === 3 && status.ticks > 2);
    expect(after.runners.map(({ id }) => id).toSorted()).toEqual(before.toSorted());
    await scene.open();
    for (const job of jobs) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect(await timesGiven(scene, jobs)).toEqual([1, 1, 1]);
  });

  test('I1 I8 at any moment of a burst of launches every job still runs once and nothing is left', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({ maxConcurrent: 6 });
    const jobs = [];
    let seed = 20_261;
    for (let round = 0; round < 12; round += 1) {
      seed = (seed * 48_271) % 2_147_483_647;
      for (let count = 0; count < 3; count += 1) jobs.push(await scene.queue('true', { name: `r${round}-${count}` }));
      // The moment is the point here: it is drawn, and the seed says which.
      await sleep(5 + (seed % 396));
      await service.kill();
      await service.start();
    }
    for (const job of jobs) expect(await scene.done(service, job, 60_000)).toMatchObject({ status: 'success', attempt: 1 });
    await scene.clean(service);
    expect(await timesGiven(scene, jobs)).toEqual(jobs.map(() => 1));
    expect((await service.status()).quarantined).toEqual([]);
  });
});

describe('systemctl stop', () => {
  test('I9 ends with exit code 0 in less than ten seconds, and running jobs go on and are adopted by the next start', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const jobs = await threeRunning(scene, service);
    const { ms, result } = await service.stop();
    expect(result).toBe('success exited 0');
    expect(ms).toBeLessThan(10_000);
    expect(await statusesOf(scene, jobs)).toEqual(['running', 'running', 'running']);
    expect(await service.remains()).toMatchObject({ units: 3, records: 3 });
    await service.start();
    await service.until('all are adopted', (status) => status.active_containers.length === 3);
    await scene.open();
    for (const job of jobs) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect(await timesGiven(scene, jobs)).toEqual([1, 1, 1]);
  });

  test('I8 in the middle of launches ends them well or leaves them to the next start', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const jobs = [await scene.queue('true'), await scene.queue('true'), await scene.queue('true')];
    await service.until('a record is written', (status) => status.runners.length > 0);
    const { ms, result } = await service.stop();
    expect([result, ms < 10_000]).toEqual(['success exited 0', true]);
    await service.start();
    for (const job of jobs) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect(await timesGiven(scene, jobs)).toEqual([1, 1, 1]);
  });
});

describe('lost state', () => {
  test('I8 I9 machines at work whose records were lost end their jobs and are then swept', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const queued = await threeRunning(scene, service);
    const kept = queued[2]?.jobId;
    const { runners } = await service.status();
    await service.stop();
    const lost = runners.filter(({ job_id: job }) => job !== kept);
    for (const { id } of lost) await rm(join(service.stateDir, 'runners', `${id}.json`));
    await service.start();
    expect((await service.status()).runners.map(({ job_id: job }) => job)).toEqual([kept]);
    await scene.open();
    for (const job of queued) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect((await service.log()).filter(({ event }) => event === 'sweep').length).toBeGreaterThanOrEqual(2);
  });
});
