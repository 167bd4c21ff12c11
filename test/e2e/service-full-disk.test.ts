// A state directory whose file system fills up while jobs run: nothing is started, nothing that runs is hurt, and when there is room again
// everything goes on by itself.

import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openScene, timesGiven } from '../support/service-scene.ts';
import { sh } from '../support/service.ts';

test('below the floor jobs wait with the reason, on a full disk the running one still ends well, and with room again the others run', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const stateDir = `/var/lib/frc-small-${process.pid}`;
  await mkdir(stateDir);
  await sh('mount', '-t', 'tmpfs', '-o', 'size=192m', 'none', stateDir);
  onTestFinished(async () => void (await sh('umount', '-l', stateDir)));
  const service = await scene.start({ minFreeDisk: '64MiB' }, { stateDir });
  const running = await scene.running(service);

  const ballast = join(stateDir, 'ballast');
  await sh('fallocate', '-l', '140M', ballast);
  // A look that began before knows of more room, and may start what it finds waiting.
  await service.until('the service has seen it', ({ host }) => host.full !== null);
  const second = await scene.queue('true');
  const low = await service.until('the second is told', ({ waiting_jobs: jobs }) => jobs[0]?.reason === 'host-full');
  expect(low.waiting_jobs[0]?.sentence).toMatch(/^\d+ MiB are free on the file system of .*, and nothing is started below 64 MiB/);
  expect(low).toMatchObject({ active_containers: [{}], host: { error: null, full: expect.any(String) } });

  // To the last byte: not even a record can be written.
  await sh('sh', '-c', `dd if=/dev/zero of=${join(stateDir, 'more')} bs=64k 2>/dev/null || true`);
  await scene.open();
  expect(await scene.done(service, running)).toMatchObject({ status: 'success' });
  expect((await scene.control.job(second.jobId)).status).toBe('waiting');

  await rm(join(stateDir, 'more'));
  await rm(ballast);
  expect(await scene.done(service, second, 90_000)).toMatchObject({ status: 'success' });
  await scene.clean(service, 90_000);
  expect(await timesGiven(scene, [running, second])).toEqual([1, 1]);
  expect((await service.status()).host.full).toBeNull();
});
