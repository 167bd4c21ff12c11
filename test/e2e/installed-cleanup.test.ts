// The command line on a host where the service is installed as README.md says, its token in the hands of systemd alone: doctor and emergency
// stop find configuration and token by themselves, beside the service that runs and without it.

import { expect, test } from 'vitest';
import { install } from '../support/installed-service.ts';
import { openScene, runClient } from '../support/service-scene.ts';
import { nothing, sh } from '../support/service.ts';

test('doctor and cleanup-all-containers need no word but their own, whether the service runs or not', async ({ onTestFinished }) => {
  const scene = await openScene(onTestFinished);
  const { service } = await install(scene, {}, onTestFinished);
  await service.start();
  const job = await scene.running(service);
  expect(await runClient(['doctor'])).toMatchObject({ code: 0, stdout: expect.stringContaining('It runs and is well'), stderr: '' });
  const beside = await runClient(['cleanup-all-containers']);
  expect(beside).toMatchObject({ code: 0, stdout: expect.stringContaining('1 runner, 0 machines and 0 registrations') });
  expect((await scene.control.job(job.jobId)).status).toBe('running');

  await sh('systemctl', 'stop', service.unit);
  expect(await runClient(['doctor'])).toMatchObject({ code: 0, stdout: expect.stringContaining('does not run'), stderr: '' });
  expect(await runClient(['check-config', '--json'])).toMatchObject({ code: 2, stdout: '' });
  expect(await runClient(['cleanup-forgejo-runners'])).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('0 registrations would be'),
  });
  const told = await runClient(['cleanup-all-containers']);
  expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining('1 runner, 0 machines and 0 registrations') });
  const ended = await runClient(['cleanup-all-containers', '--yes']);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing of this controller is left.') });
  expect(await service.remains()).toEqual(nothing);
  expect((await scene.control.job(job.jobId)).status).toBe('failure');
  expect(await sh('sh', '-c', 'systemctl list-units --all --plain --no-legend "run-*.service"')).toBe('');
});
