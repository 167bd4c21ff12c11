// What kind of machine a job gets: its profile's template, limits, environment and binds; and the simplest start of all, by environment
// variables alone, at each of the four scopes.

import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { findingsOf, hold, openScene, runnerOf } from '../support/service-scene.ts';
import { installRunner, serviceAddress, sh } from '../support/service.ts';

describe('profiles', () => {
  test('each job gets the limits and the environment of the profile that serves its labels', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({
      profiles: [
        { name: 'small', labels: ['small'], limits: { memory: '200MiB', tasks: 100, cpus: 0.5 }, environment: { SITE: 'north $HOME "1"' } },
        { name: 'large', labels: ['large'], limits: { memory: '400MiB', tasks: 200, cpus: 1.5 } },
      ],
    });
    const script = `echo "@site $SITE"; echo @running; ${hold}`;
    const jobs = { small: await scene.queue(script, { labels: ['small'] }), large: await scene.queue(script, { labels: ['large'] }) };
    const limits: Record<string, string> = {};
    const sites: Record<string, string | undefined> = {};
    for (const [name, job] of Object.entries(jobs)) {
      sites[name] = findingsOf(await scene.says(service, job, '@running'))['site'];
      const unit = `forgejo-runner-${service.controllerId}-${runnerOf(await service.status(), job)?.machine}.service`;
      limits[name] = (await sh('systemctl', 'show', unit, '-p', 'MemoryMax,TasksMax,CPUQuotaPerSecUSec'))
        .replace(/\.50*s/, '.5s')
        .split('\n')
        .toSorted()
        .join(' ');
    }
    expect(limits).toEqual({
      small: `CPUQuotaPerSecUSec=500ms MemoryMax=${200 * 1024 ** 2} TasksMax=100`,
      large: `CPUQuotaPerSecUSec=1.5s MemoryMax=${400 * 1024 ** 2} TasksMax=200`,
    });
    expect(sites).toEqual({ small: 'north $HOME "1"', large: '' });
    await scene.open();
    for (const job of Object.values(jobs)) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    await scene.clean(service);
  });

  test('a job that no list of its profile takes waits and says why, and the one beside it runs', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const lists = { repositories: { allow: ['root1/*'] }, events: { deny: ['schedule'] } };
    const service = await scene.start({ profiles: [{ name: 'choosy', labels: ['debian'], ...lists }] });
    const refused = await scene.queue('echo never', { event: 'schedule' });
    const done = await scene.done(service, await scene.queue('echo once'));
    expect(done.status).toBe('success');
    const sentence = 'it was started by schedule, which is not taken by: `choosy` (events.deny)';
    expect((await service.status()).waiting_jobs).toMatchObject([{ job_id: refused.jobId, reason: 'event', sentence }]);
    await scene.control.cancel(refused.runId);
    await scene.clean(service);
  });

  test('a directory template gives its own root to a job, whose changes never reach it', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const template = { kind: 'directory', path: '/var/lib/machines/debian' };
    const service = await scene.start({ profiles: [{ name: 'debian', labels: ['debian'], template }] });
    const script = `[ -e /usr/bin/env ] && . /etc/os-release && echo "@os $ID"
      echo changed >/etc/frc-mine; [ -s /etc/frc-mine ] && echo "@own $(cat /etc/frc-mine)"; rm /usr/bin/env; true`;
    const job = await scene.done(service, await scene.queue(script));
    expect(findingsOf(job)).toEqual({ os: 'debian', own: 'changed' });
    expect(job.status).toBe('success');
    await scene.clean(service);
    expect(await sh('sh', '-c', 'ls /var/lib/machines/debian/usr/bin/env /var/lib/machines/debian/etc/frc-mine 2>/dev/null || true')).toBe(
      '/var/lib/machines/debian/usr/bin/env',
    );
  });

  test('a read-only bind can be read and not written, a writable one can be written', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const { bind } = await installRunner();
    const folder = '/var/tmp/frc-bound';
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await sh('sh', '-c', `mkdir -p ${folder}/cache ${folder}/scratch; echo mine >${folder}/cache/file; chmod -R 755 ${folder}`);
    const binds = [bind, `${folder}/cache:/cache:ro`, { source: `${folder}/scratch`, target: '/scratch', writable: true }];
    const service = await scene.start({ profiles: [{ name: 'default', labels: ['debian'], binds }] });
    const script = `echo "@read $(cat /cache/file) of $(stat -c %u /cache/file)"; (echo x >/cache/file) 2>/dev/null || echo "@refused yes"
      (mount -o remount,rw /cache) 2>/dev/null || echo "@fixed yes"; echo made >/scratch/file`;
    const job = await scene.done(service, await scene.queue(script));
    expect(findingsOf(job)).toEqual({ read: 'mine of 0', refused: 'yes', fixed: 'yes' });
    expect(await sh('sh', '-c', `cat ${folder}/cache/file ${folder}/scratch/file; stat -c %u ${folder}/scratch/file`)).toBe(
      'mine\nmade\n0',
    );
    await scene.clean(service);
  });
});

/** A runner that carries its node with it, so that it runs in a machine that nothing is bound into. */
async function runnerWithNode(path: string): Promise<void> {
  const { runner } = await installRunner();
  const script = await readFile(runner);
  const stub = (offset: number) =>
    `#!/bin/sh\nset -e; d=/var/tmp/frc-node; mkdir -p $d; head -c ${script.length + offset} "$0" | tail -c ${script.length} >$d/runner\n` +
    `tail -c +${script.length + offset + 1} "$0" >$d/node; chmod 755 $d/node; exec $d/node $d/runner "$@"\n`;
  const head = stub(1_000).padEnd(1_000, '#');
  await writeFile(path, Buffer.concat([Buffer.from(head), script, await readFile(process.execPath)]));
  await chmod(path, 0o755);
}

describe('environment variables alone', () => {
  test.each([
    ['FORGEJO_REPO', 'root1/demo', 'root1/demo'],
    ['FORGEJO_ORG', 'builders', 'builders/web'],
    ['FORGEJO_USER', 'true', 'root1/demo'],
    ['FORGEJO_INSTANCE', 'true', 'builders/web'],
  ])('%s=%s runs a job of %s', async (variable, value, repository) => {
    const closers: (() => Promise<void>)[] = [];
    const scene = await openScene((close) => closers.push(close));
    const runner = '/var/tmp/frc-runner-with-node';
    closers.push(() => rm(runner, { force: true }));
    try {
      await runnerWithNode(runner);
      await scene.control.addOrganization({ name: 'builders', owners: ['root1'] });
      await scene.control.addRepository({ repository: 'builders/web' });
      const environment = {
        FORGEJO_URL: scene.forgejo.url,
        FORGEJO_INSTANCE_URL: scene.forgejo.url.replace('127.0.0.1', serviceAddress),
        FORGEJO_TOKEN_FILE: '{TOKEN_FILE}',
        [variable]: value,
        RUNNER_LABELS: 'debian,self-hosted',
        RUNNER_PATH: runner,
        MAX_CONCURRENT: '2',
        POLL_INTERVAL: '200ms',
        JOB_TIMEOUT: '60s',
        STATE_DIR: '{STATE_DIR}',
        HTTP_PORT: '{PORT}',
        CONTROLLER_ID: '{ID}',
      };
      const service = await scene.start({}, { environment });
      expect(await service.status()).toMatchObject({ max_concurrent: 2, poll_interval_seconds: 0.2, job_timeout_seconds: 60 });
      const job = await scene.done(service, await scene.queue('true', { repository }));
      expect(job.status).toBe('success');
      await scene.clean(service);
    } finally {
      for (const close of closers) await close();
    }
  });
});
