// The emergency stop of the packaged program beside a running service: told first, and when it is confirmed nothing of this controller is left,
// the service ended with it, while everybody else's jobs and runners go on.

import { expect, test } from 'vitest';
import { hold, openScene, runProgram } from '../support/service-scene.ts';
import { nothing, sh } from '../support/service.ts';

test('three running jobs are told, then ended with everything of theirs; Forgejo shows them failed, and a neighbour works on', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const neighbour = await scene.start({ profiles: [{ name: 'default', labels: ['blue'] }] });
  const jobs = [];
  for (const name of ['one', 'two', 'three']) jobs.push(await scene.queue(`echo @running; ${hold}`, { name }));
  const other = await scene.queue(`echo @running; ${hold}`, { labels: ['blue'] });
  for (const job of jobs) await scene.says(service, job, '@running');
  await scene.says(neighbour, other, '@running');

  const told = await runProgram(['end-all', ...service.arguments]);
  expect(told).toMatchObject({ code: 0, stdout: expect.stringContaining('3 runners, 0 machines and 0 registrations without a record') });
  for (const { jobId } of jobs) expect(told.stdout).toContain(`: job ${jobId} `);
  expect(await sh('systemctl', 'is-active', service.unit)).toBe('active');
  expect(await service.remains()).toMatchObject({ units: 3, records: 3 });

  const ended = await runProgram(['end-all', '--yes', ...service.arguments]);
  expect(ended.stdout).toContain('Nothing of this controller is left.');
  expect(ended.code).toBe(0);
  expect(await service.remains()).toEqual(nothing);
  expect(await sh('systemctl', 'show', '--property=ActiveState,Result', service.unit)).toMatch(
    /Result=success[^]*ActiveState=inactive|ActiveState=inactive[^]*Result=success/,
  );
  for (const { jobId } of jobs) expect((await scene.control.job(jobId)).status).toBe('failure');
  expect((await runProgram(['end-all', ...service.arguments])).stdout).toContain('0 runners, 0 machines and 0 registrations');

  expect((await scene.control.job(other.jobId)).status).toBe('running');
  await scene.open();
  expect(await scene.done(neighbour, other)).toMatchObject({ status: 'success' });
  await scene.clean(neighbour);
});
