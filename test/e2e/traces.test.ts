// The packaged service on a real host, with nothing of node_modules beside it, sends the trace of a real job to a real collector.

import { expect, test } from 'vitest';
import { startCollector } from '../support/collector.ts';
import { openScene } from '../support/service-scene.ts';

test('one job on a real host is one tree of spans at the collector, true to the second, and the end of the service sends what is left', async ({
  onTestFinished,
}) => {
  const collector = await startCollector();
  onTestFinished(() => collector.close());
  const scene = await openScene(onTestFinished);
  const service = await scene.start({ telemetry: { endpoint: collector.endpoint } });
  const before = Date.now();
  const job = await scene.queue('sleep 0.2');
  await scene.done(service, job);
  await scene.clean(service);
  // Spans are gathered for seconds; who ends waits for none of them.
  await service.stop();
  const root = collector.spans.find(({ parent }) => parent === '');
  expect(root?.attributes).toMatchObject({ 'forgejo.job.id': job.jobId, 'runner.profile': 'default', 'runner.end.reason': 'finished' });
  const parts = collector.spans.filter(({ parent }) => parent === root?.id);
  expect(parts.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['wait', 'record', 'start', 'register', 'assign', 'run', 'clean-up']),
  );
  for (const { name, from, to } of parts) {
    expect([name, from >= before - 1_000, to <= Date.now() + 1_000, from <= to]).toEqual([name, true, true, true]);
    expect([name, from >= (root?.from ?? 0), to <= (root?.to ?? 0)]).toEqual([name, true, true]);
  }
  const ran = parts.find(({ name }) => name === 'run');
  expect((ran?.to ?? 0) - (ran?.from ?? 0)).toBeGreaterThanOrEqual(100);
  expect(collector.requests.map(({ body }) => body).join('')).not.toContain(scene.forgejo.token);
});
