// The emergency tools of the packaged command line on a host that others use too: what is ours and unused goes, then what is ours; whatever
// belongs to a neighbour or to strangers stays as it is.

import { expect, test } from 'vitest';
import { hold, openScene, runClient, runnerOf } from '../support/service-scene.ts';
import { nothing, sh } from '../support/service.ts';

test('I6 cleanup-forgejo-runners, then cleanup-all-containers, take all of one stopped controller and nothing of anybody else', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const neighbour = await scene.start({ profiles: [{ name: 'default', labels: ['blue'] }] });
  const [job, other] = [await scene.queue(`echo @running; ${hold}`), await scene.queue(`echo @running; ${hold}`, { labels: ['blue'] })];
  await scene.says(service, job, '@running');
  await scene.says(neighbour, other, '@running');
  await service.stop();

  onTestFinished(
    async () => void (await sh('sh', '-c', 'systemctl stop frc-stranger; ip netns del forgejo-stranger; ip link del fr-stranger || :')),
  );
  await sh('systemd-run', '--quiet', '--collect', '--unit=frc-stranger', 'sleep', 'infinity');
  await sh('ip', 'netns', 'add', 'forgejo-stranger');
  await sh('ip', 'link', 'add', 'fr-stranger', 'type', 'veth', 'peer', 'name', 'fr-strange2');
  const listed = async () => (await scene.control.registrations()).map(({ name }) => name).toSorted();
  const markOf = async ({ controllerId }: { readonly controllerId: string }) =>
    (await scene.control.registrations()).find(({ description }) => description.includes(` ${controllerId}@`))?.description ?? '';
  const [working, theirs] = await listed();
  for (const [name, description] of [
    ['j0000007abc', await markOf(service)],
    ['j0000008abc', await markOf(neighbour)],
    ['office', ''],
    ['j0000009abc', `${await markOf(service)}0`],
  ] as const)
    await fetch(`${scene.forgejo.url}/api/v1/admin/actions/runners`, {
      method: 'POST',
      headers: { authorization: `token ${scene.forgejo.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, description, ephemeral: true }),
    });
  // The second is a namesake's on another host, which the count by prefix takes for ours.
  const strangers = ['j0000008abc', 'j0000009abc', 'office'];

  const told = await runClient(['cleanup-forgejo-runners', ...service.arguments]);
  expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining('1 registration would be deleted.') });
  const swept = await runClient(['cleanup-forgejo-runners', '--yes', ...service.arguments]);
  expect(swept).toMatchObject({ code: 0, stdout: expect.stringContaining('1 of 1 registration was deleted.') });
  expect(await listed()).toEqual([working, theirs, ...strangers].toSorted((a = '', b = '') => (a < b ? -1 : 1)));
  expect(await service.remains()).toMatchObject({ units: 1, records: 1, registrations: 2 });

  const listing = await runClient(['cleanup-all-containers', ...service.arguments]);
  expect(listing).toMatchObject({ code: 0, stdout: expect.stringContaining('1 runner, 0 machines and 0 registrations') });
  expect(await service.remains()).toMatchObject({ units: 1, records: 1, registrations: 2 });
  const ended = await runClient(['cleanup-all-containers', '--yes', ...service.arguments]);
  expect([ended.code, ended.stdout]).toEqual([0, expect.stringContaining('Nothing of this controller is left.')]);
  expect(await service.remains()).toEqual({ ...nothing, registrations: 1 });
  expect((await scene.control.job(job.jobId)).status).toBe('failure');

  expect(runnerOf(await neighbour.status(), other)?.phase).toBe('busy');
  expect(await listed()).toEqual(expect.arrayContaining(strangers));
  expect(await sh('systemctl', 'is-active', 'frc-stranger')).toBe('active');
  expect(await sh('ip', 'netns', 'list')).toContain('forgejo-stranger');
  await sh('ip', 'link', 'show', 'fr-stranger');
  await scene.open();
  expect(await scene.done(neighbour, other)).toMatchObject({ status: 'success' });
});
