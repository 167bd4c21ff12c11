// What a job cannot take: a fork bomb and a memory hog end in their own machine, while the host, the service and the job beside them go on,
// and nothing of them is left.

import { describe, expect, test } from 'vitest';
import { findingsOf, hold, openScene, type Scene } from '../support/service-scene.ts';
import type { Service } from '../support/service.ts';

const profiles = [
  { name: 'default', labels: ['debian'] },
  {
    name: 'tight',
    labels: ['tight'],
    limits: { memory: '150MiB', tasks: 64 },
    timeouts: { job: '4s', stop: '2s' },
  },
];

async function besideAQuietJob(scene: Scene, service: Service, script: string) {
  const quiet = await scene.queue(`echo @running; ${hold}; echo @through`);
  await scene.says(service, quiet, '@running');
  const wild = await scene.queue(script, { labels: ['tight'] });
  await service.until('the wild one is over', ({ recent }) => recent.some(({ job_id: job }) => job === wild.jobId), 40_000);
  await scene.open();
  expect(await scene.done(service, quiet)).toMatchObject({ status: 'success' });
  await scene.clean(service);
  return { job: await scene.control.job(wild.jobId), ended: (await service.status()).recent.find(({ job_id: job }) => job === wild.jobId) };
}

describe('limits', () => {
  test('a job that wants 300 MB under 150 MB fails, and the job beside it succeeds', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({ profiles });
    const { job } = await besideAQuietJob(
      scene,
      service,
      'head -c 300M /dev/zero | tail >/dev/null; echo "@code ${PIPESTATUS[1]}"; exit 1',
    );
    expect(job.status).toBe('failure');
    // Where it is not the runner itself that was killed, its log says so.
    expect(findingsOf(job)['code'] ?? '137').toBe('137');
  });

  test('a fork bomb stays in its machine, which is stopped when its time is over', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({ profiles });
    const { ended, job } = await besideAQuietJob(scene, service, 'bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 600');
    expect(['job-timeout', 'machine-failed', 'finished']).toContain(ended?.reason);
    expect(job.status).not.toBe('success');
  });
});
