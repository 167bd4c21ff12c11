// The packaged service on a real host makes sure of its own webhook, is woken by a push's delivery, and says on a commit why its job waits.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openScene } from '../support/service-scene.ts';

const workflow = `on: push
jobs:
  build: { runs-on: debian, steps: [{ run: "true" }] }
  never: { runs-on: windows, steps: [{ run: "true" }] }
`;

test('from a push to a job by a webhook that the service made itself, and the job that nobody serves says so on the commit', async ({
  onTestFinished,
}) => {
  const folder = await mkdtemp(join(tmpdir(), 'frc-hook-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const secretFile = join(folder, 'secret');
  await writeFile(secretFile, 'webhook-secret-0123456789', { mode: 0o600 });
  const scene = await openScene(onTestFinished);
  const more = {
    webhook: { secretFile, ensure: 'http://127.0.0.1:{PORT}/webhook/main', pollInterval: '30s' },
    waitingStatus: { after: '10s' },
  };
  const { url, token } = scene.forgejo;
  const service = await scene.start({}, { forge: { url, token, more } });
  await service.until('the webhook is made', async () => (await scene.control.hooks()).length === 1);
  const jobs = await scene.control.push({ repository: 'root1/demo', path: '.forgejo/workflows/ci.yml', content: workflow });
  await service.until('the delivery was taken', ({ forges }) => forges[0]?.last_webhook !== null);
  expect((await scene.control.hooks()).map(({ deliveries }) => deliveries)).toEqual([[204]]);
  const views = await scene.control.jobs();
  const build = views.find(({ name }) => name === 'build');
  if (build === undefined) throw new Error(`no job build among ${JSON.stringify(jobs)}`);
  await scene.done(service, { jobId: build.id });
  await service.until('the commit is told', async () => (await scene.control.statuses()).length === 1);
  expect(await scene.control.statuses()).toMatchObject([
    {
      repository: 'root1/demo',
      status: 'pending',
      context: 'forgejo-runner-controller/waiting / never',
      description: 'waits: label `windows` is in no profile; nearest is `default`',
    },
  ]);
  await scene.control.cancel(build.runId);
  const never = views.find(({ name }) => name === 'never');
  await scene.control.cancel(never?.runId ?? 0);
  await service.until('the commit is told that it is over', async () => (await scene.control.statuses()).length === 2);
  expect((await scene.control.statuses()).at(-1)).toMatchObject({ status: 'success', description: 'does not wait any more' });
  await scene.clean(service);
});

test('a job of a forge that is not polled is found by its webhook, and runs', async ({ onTestFinished }) => {
  const folder = await mkdtemp(join(tmpdir(), 'frc-hook-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const secretFile = join(folder, 'secret');
  await writeFile(secretFile, 'webhook-secret-0123456789', { mode: 0o600 });
  const scene = await openScene(onTestFinished);
  const more = { webhook: { secretFile, ensure: 'http://127.0.0.1:{PORT}/webhook/main' }, pollInterval: 'none' };
  const { url, token } = scene.forgejo;
  const service = await scene.start({}, { forge: { url, token, more } });
  await service.until('the webhook is made', async ({ forges }) => {
    return (await scene.control.hooks()).length === 1 && forges[0]?.last_good_poll !== null;
  });
  expect((await service.status()).forges[0]).toMatchObject({ polled: false, poll_interval_seconds: 600, last_webhook: null });
  const content = workflow.replace(/ {2}never.*\n/, '');
  const [job] = await scene.control.push({ repository: 'root1/demo', path: '.forgejo/workflows/ci.yml', content });
  if (job === undefined) throw new Error('the push started no job');
  expect((await scene.done(service, job)).status).toBe('success');
  await scene.clean(service);
});
