// The main job on a real host: a waiting Forgejo job becomes one container, runs, and vanishes; and what else may become of a job that
// waits: failed, cancelled, too long, blocked by its group, needed by another, run again, wanted by nobody.

import { describe, expect, test } from 'vitest';
import { hold, openScene, runnerOf, timesGiven } from '../support/service-scene.ts';

describe('the main job', () => {
  test('a waiting job is run by a container of its own, its log and result reach Forgejo, and nothing is left', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const queued = await scene.queue('echo "uid $(id -u) in $(cat /proc/sys/kernel/hostname)"; exit 0');
    const job = await scene.done(service, queued);
    expect(job).toMatchObject({ status: 'success', attempt: 1 });
    expect(job.log.join('\n')).toMatch(/uid 0 in j\d{7}[0-9a-z]{3}/);
    await scene.clean(service);
  });

  test('a job that fails is a failure in Forgejo, and nothing is left', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    expect(await scene.done(service, await scene.queue('echo before; exit 3'))).toMatchObject({ status: 'failure' });
    await scene.clean(service);
    expect((await service.status()).recent[0]).toMatchObject({ reason: expect.stringMatching(/^(?:finished|machine-failed)$/) });
  });

  test('a job that is too long is stopped, is a failure in Forgejo, and /status says job-timeout', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const timeouts = { job: '1s', stop: '5s' };
    const service = await scene.start({ profiles: [{ name: 'short', labels: ['debian'], timeouts }] });
    const queued = await scene.queue('sleep 600');
    expect(await scene.done(service, queued)).toMatchObject({ status: 'failure' });
    await scene.clean(service);
    expect((await service.status()).recent).toMatchObject([{ job_id: queued.jobId, reason: 'job-timeout' }]);
    expect(await timesGiven(scene, [queued])).toEqual([1]);
  });

  test('a job that is run again gets a new machine under its new handle, each attempt once', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const first = await scene.queue('echo here');
    await scene.done(service, first);
    await scene.clean(service);
    const [again] = await scene.control.rerun({ runId: first.runId });
    expect(again).toMatchObject({ jobId: first.jobId });
    expect(again?.handle).not.toBe(first.handle);
    expect(await scene.done(service, first)).toMatchObject({ status: 'success', attempt: 2 });
    await scene.clean(service);
    expect(await timesGiven(scene, again === undefined ? [] : [first, again])).toEqual([1, 1]);
    const [second, earlier] = (await service.status()).recent;
    expect(second?.id).not.toBe(earlier?.id);
  });

  test('jobs that need others run after them, with their outputs', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const workflow = `on: [workflow_dispatch]
jobs:
  build:
    runs-on: debian
    outputs: { made: '\${{ steps.make.outputs.made }}' }
    steps: [{ id: make, run: 'echo made=cake >>"$GITHUB_OUTPUT"' }]
  check: { runs-on: debian, needs: build, steps: [{ run: 'test "\${{ needs.build.outputs.made }}" = cake' }] }
  ship: { runs-on: debian, needs: [build, check], steps: [{ run: 'true' }] }
`;
    const jobs = await scene.control.queueWorkflow({ repository: 'root1/demo', workflow });
    const ended = [];
    for (const job of jobs) ended.push(await scene.done(service, job));
    expect(ended.map(({ status }) => status)).toEqual(['success', 'success', 'success']);
    expect(ended.map(({ taskId }) => taskId)).toEqual(ended.map(({ taskId }) => taskId).toSorted((a, b) => a - b));
    expect(await timesGiven(scene, jobs)).toEqual([1, 1, 1]);
    await scene.clean(service);
  });

  test('a job whose label nobody has waits with a sentence, and keeps nobody else waiting', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const lonely = await scene.queue('true', { labels: ['debian', 'gpu'] });
    expect(await scene.done(service, await scene.queue('true'))).toMatchObject({ status: 'success' });
    const { waiting_jobs: waiting } = await service.until('it is denied', (status) => status.waiting_jobs.length === 1);
    expect(waiting).toMatchObject([{ job_id: lonely.jobId, reason: 'unmatched', sentence: expect.stringContaining('gpu') }]);
    await scene.clean(service);
    expect((await scene.control.job(lonely.jobId)).status).toBe('waiting');
    expect((await service.log()).filter(({ event }) => event === 'deny')).toHaveLength(1);
  });
});

describe('cancelling', () => {
  test('a job that runs ends its machine within seconds, whatever the grace of its profile, even if its step ignores every signal', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({ profiles: [{ name: 'default', labels: ['debian'], timeouts: { stop: '10m' } }] });
    const queued = await scene.queue(`trap '' TERM INT HUP; echo @running; ${hold}`);
    await scene.says(service, queued, '@running');
    await scene.control.cancel(queued.runId);
    // The step never ends by itself, and Forgejo tells a runner of this kind nothing: only the controller can end it. What the runner says of the
    // end afterwards nobody takes, and it would say it for more than a minute.
    await scene.clean(service);
    expect(await scene.control.job(queued.jobId)).toMatchObject({ status: 'cancelled' });
    const [ended] = (await service.status()).recent;
    expect(ended).toMatchObject({ job_id: queued.jobId, reason: 'cancelled', exit: { code: 'killed' } });
    const stop = (await service.log()).find(({ event }) => event === 'stop');
    expect(stop).toMatchObject({ job: queued.jobId, reason: 'cancelled', graceMs: 600_000 });
  });

  test('a job that no runner took yet is never run, and its machine goes', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.prepare();
    // No runner gets any job, as while Forgejo is busy.
    await scene.control.addFault({ route: '* *RunnerService/Fetch*', fault: { kind: 'status', status: 503 } });
    await service.start();
    const queued = await scene.queue('true');
    await service.until('its machine waits', (status) => runnerOf(status, queued)?.phase === 'waiting-for-job');
    await scene.control.cancel(queued.runId);
    await scene.control.clearFaults();
    await scene.clean(service);
    expect(await scene.control.job(queued.jobId)).toMatchObject({ status: 'cancelled' });
    expect((await service.status()).recent).toMatchObject([{ job_id: queued.jobId, picked_at: null }]);
    expect(await timesGiven(scene, [queued])).toEqual([0]);
  });
});
