// What a forge in trouble does to running jobs: nothing. Outages, lost replies, throttling and changed tokens are waited out, said in
// /status and /health, and leave nothing behind. These tests mostly wait, so they run side by side.

import { rename, writeFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openScene, timesGiven } from '../support/service-scene.ts';

const api = '* /api/v1/*';
const outages = [
  { kind: 'status', status: 503 },
  { kind: 'cut', when: 'before' },
  { kind: 'truncate' },
  { kind: 'latency', ms: 300 },
] as const;

describe.concurrent('a forge in trouble', () => {
  test.each(outages)('I2 I9 an outage of kind %j ends no running job, and the service recovers', async (fault) => {
    const closers: (() => Promise<void>)[] = [];
    const scene = await openScene((close) => closers.push(close));
    try {
      const service = await scene.start();
      const running = await scene.running(service);
      await scene.control.addFault({ route: fault.kind === 'latency' ? '* *' : api, fault });
      if (fault.kind !== 'latency') await service.until('it is said', ({ forges }) => forges[0]?.error !== null);
      await service.until('two requests were hit', async () => ((await scene.control.struck())[0] ?? 0) > 1, 60_000);
      expect((await service.status()).active_containers).toHaveLength(1);
      expect((await scene.control.job(running.jobId)).status).toBe('running');
      await scene.control.clearFaults();
      const next = await scene.queue('true');
      expect(await scene.done(service, next, 60_000)).toMatchObject({ status: 'success' });
      await scene.open();
      expect(await scene.done(service, running)).toMatchObject({ status: 'success' });
      await scene.clean(service);
      expect(await timesGiven(scene, [running, next])).toEqual([1, 1]);
      expect((await service.status()).forges[0]?.error).toBeNull();
    } finally {
      for (const close of closers) await close();
    }
  });

  test('/health is 200 while the picture is fresh, and 503 with the reason once the forge was away for longer than 30 s', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    await service.until('a poll was good', ({ forges }) => forges[0]?.last_good_poll !== null);
    const fresh = await fetch(`${service.url}/health`);
    expect([fresh.status, await fresh.json()]).toMatchObject([200, { status: 'ok', reasons: [] }]);
    const running = await scene.running(service);
    await scene.control.addFault({ route: api, fault: { kind: 'status', status: 502 } });
    let health = fresh;
    await service.until(
      'it is stale',
      async () => {
        health = await fetch(`${service.url}/health`);
        return health.status === 503;
      },
      45_000,
    );
    const { reasons } = (await health.json()) as { reasons: string[] };
    expect(reasons).toEqual([expect.stringMatching(/^forge main was last polled well 3\d s ago; at most 30 s are right: /)]);
    expect((await service.status()).active_containers).toHaveLength(1);
    expect((await scene.control.job(running.jobId)).status).toBe('running');
  });

  test('I1 a registration whose reply was lost is deleted, and its job runs once', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.prepare();
    await scene.control.addFault({ route: 'POST *actions/runners', fault: { kind: 'cut', when: 'after' }, times: 2 });
    await service.start();
    const queued = await scene.queue('true');
    expect(await scene.done(service, queued)).toMatchObject({ status: 'success', attempt: 1 });
    await scene.clean(service);
    expect(await scene.control.struck()).toEqual([2]);
    expect(await scene.control.registrations()).toEqual([]);
    expect(await timesGiven(scene, [queued])).toEqual([1]);
  });

  test('a forge that says 429 is left alone for as long as it asks', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    // Maintenance asks for jobs, too, when it starts; here the loop's own asking is meant.
    await service.until('the first maintenance is over', ({ forges }) => forges[0]?.version !== null);
    await scene.control.addFault({ route: 'GET *runners/jobs*', fault: { kind: 'throttle', retryAfter: '4' }, times: 1 });
    await service.until('it was throttled', async () => (await scene.control.struck())[0] === 1);
    const begun = Date.now();
    await scene.control.clearRequests();
    await service.until('it asks again', async () =>
      Object.keys(await scene.control.requests()).some((route) => route.includes('runners/jobs')),
    );
    expect(Date.now() - begun).toBeGreaterThan(3_500);
    expect(await scene.done(service, await scene.queue('true'))).toMatchObject({ status: 'success' });
    await scene.clean(service);
  });

  test('a token file that changes is used by the next poll, without a restart', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const weak = await scene.control.addToken({ user: 'root1', scopes: ['read:user'] });
    const service = await scene.start({}, { forge: { url: scene.forgejo.url, token: weak } });
    const queued = await scene.queue('true');
    const { forges } = await service.until('the weak one is refused', (status) => status.forges[0]?.error !== null);
    expect(forges[0]?.error).toMatchObject({ code: 'FORGE_UNAUTHORIZED' });
    await writeFile(`${service.tokenFile}.new`, await scene.control.addToken({ user: 'root1', scopes: ['all'] }), { mode: 0o600 });
    await rename(`${service.tokenFile}.new`, service.tokenFile);
    expect(await scene.done(service, queued)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect((await service.log()).filter(({ event }) => event === 'ready')).toHaveLength(1);
  });
});

describe('what became of a job whose forge answers no more as it did', () => {
  const refusals = [
    ['the forge is away', 502, '', 'FORGE_UNREACHABLE'],
    ['the token has lost its rights', 403, '{"message":"token does not have at least one of required scope(s)"}', 'FORGE_UNAUTHORIZED'],
    ['the repository is gone', 404, '{"message":"The target couldn\'t be found."}', 'FORGE_INCOMPATIBLE'],
  ] as const;
  test.each(refusals)('I2 I9 %s: the running job goes on and ends well, and /status says why', async (_, status, body, code) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const queued = await scene.running(service);
    await service.until('it is busy', ({ runners }) => runners[0]?.phase === 'busy');
    await scene.control.addFault({ route: '* /api/v1/*', fault: { kind: 'status', status, body } });
    const told = await service.until('it says why', ({ forges }) => forges[0]?.error?.code === code);
    expect(told.runners).toMatchObject([{ job_id: queued.jobId, phase: 'busy', stop: null }]);
    await scene.open();
    expect(await scene.done(service, queued)).toMatchObject({ status: 'success' });
    await scene.control.clearFaults();
    await scene.clean(service);
    expect((await service.status()).recent).toMatchObject([{ job_id: queued.jobId, reason: 'finished' }]);
  });
});
