// How many at once and who is next: never more machines than allowed, turns between repositories, and a job that cannot run yet does not
// hold the place of one that can.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openScene, runnerOf, timesGiven } from '../support/service-scene.ts';

describe('capacity', () => {
  test('I4 twenty jobs of two repositories never have more than three machines at once, take turns, and all succeed', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.prepare({ maxConcurrent: 3 });
    await scene.control.addRepository({ repository: 'root1/other' });
    const wish = { labels: ['debian'], script: 'true', count: 10 };
    const demo = await scene.control.queueJobs({ ...wish, repository: 'root1/demo' });
    const other = await scene.control.queueJobs({ ...wish, repository: 'root1/other' });
    await service.start();
    const counts = new Set<number>();
    await service.until(
      'all are done',
      async () => {
        counts.add((await readdir(join(service.stateDir, 'machines'))).length);
        return (await scene.control.jobs()).every(({ status }) => status === 'success');
      },
      60_000,
    );
    await scene.clean(service);
    expect(Math.max(...counts)).toBe(3);
    expect(await timesGiven(scene, [...demo, ...other])).toEqual(Array.from({ length: 20 }, () => 1));
    const order = (await scene.control.jobs()).toSorted((a, b) => a.taskId - b.taskId).map(({ repository }) => repository);
    // The ten of one were there first: in turn means half and half, give or take the three that run side by side.
    const early = order.slice(0, 10).filter((repository) => repository === 'root1/other').length;
    expect(early).toBeGreaterThanOrEqual(3);
    expect(early).toBeLessThanOrEqual(7);
    const denied = (await service.log()).filter(({ event, reason }) => event === 'deny' && reason === 'capacity');
    expect(denied.length).toBeGreaterThan(0);
  });

  test('a job that its group holds back gives its place to another, and runs when the group is free', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({
      maxConcurrent: 2,
      profiles: [{ name: 'default', labels: ['debian'], timeouts: { pick: '1s' } }],
    });
    await scene.control.addRepository({ repository: 'root1/other' });
    const holder = await scene.running(service, { group: 'deploy' });
    const blocked = await scene.queue('true', { group: 'deploy' });
    await service.until('the blocked one has a machine', (status) => runnerOf(status, blocked) !== undefined);
    const free = await scene.queue('true', { repository: 'root1/other' });
    expect(await scene.done(service, free)).toMatchObject({ status: 'success' });
    const status = await service.until('the blocked one rests', ({ waiting_jobs: waiting }) => waiting.length > 0);
    expect(status.recent.find(({ job_id: job }) => job === blocked.jobId)).toMatchObject({ reason: 'unpicked' });
    expect(status.waiting_jobs).toMatchObject([{ job_id: blocked.jobId, reason: 'back-off', sentence: expect.stringContaining('group') }]);
    await scene.open();
    expect(await scene.done(service, holder)).toMatchObject({ status: 'success' });
    expect(await scene.done(service, blocked)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect(await timesGiven(scene, [holder, blocked, free])).toEqual([1, 1, 1]);
  });
});
