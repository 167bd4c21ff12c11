// The numbers of a real service on a real host: what one job did is in them.

import { expect, test } from 'vitest';
import { openScene } from '../support/service-scene.ts';
import { linesOf } from '../support/metrics.ts';

test('one job is counted from its wait to its clean-up, with what it used, once it is gone', async ({ onTestFinished }) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start({ metrics: { perRepository: true } });
  await scene.done(service, await scene.queue('i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done'));
  await scene.clean(service);
  const text = await (await fetch(`${service.url}/metrics`, { signal: AbortSignal.timeout(5_000) })).text();
  const counted = (name: string, labels = ''): number => {
    const line = linesOf(text, name).find((each) => each.startsWith(`${name}${labels} `) || each.startsWith(`${name}_count${labels} `));
    return Number(line?.split(' ').at(-1));
  };
  expect(counted('runners_ended_total', '{reason="finished"}')).toBe(1);
  for (const phase of ['record', 'start', 'register', 'assign']) expect(counted('start_phase_seconds', `{phase="${phase}"}`)).toBe(1);
  for (const name of ['queue_wait_seconds', 'job_duration_seconds', 'cleanup_seconds']) expect([name, counted(name)]).toEqual([name, 1]);
  expect(
    linesOf(text, 'forge_requests_total')
      .filter((line) => / [1-9]\d*$/.test(line))
      .join('\n'),
  ).toMatch(/operation="register",code="201"/);
  expect(counted('slots', '{state="free"}')).toBe(counted('slots', '{state="total"}'));
  expect(linesOf(text, 'host_free_bytes')).toHaveLength(1);
  expect(Number(linesOf(text, 'repository_job_seconds_total')[0]?.split(' ').at(-1))).toBeGreaterThan(0);
  expect(text).not.toContain('root1/demo');
});
