// What the NixOS module makes of a configuration, as a unit of a real systemd (Debian's): the service starts, finds its token, its settings and every
// program on its PATH, and runs jobs. No NixOS takes part; the real Nix evaluates the module.

import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { installModule, programs, secrets } from '../support/module-unit.ts';
import { findingsOf, openScene } from '../support/service-scene.ts';
import { sh } from '../support/service.ts';

describe.runIf(existsSync(programs))('the unit of the NixOS module', () => {
  test('runs a job by its typed options alone: token, limits, environment, further credentials and PATH are there, and nothing else is', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const options = `
      profiles.debian = { labels = [ "debian" ]; memory = "150MiB"; tasks = 200; timeouts.stop = "2s"; environment.SITE = "north"; max = 2; };
      extraEnv.NODE_EXTRA_CA_CERTS = "/etc/ssl/certs/internal-ca.pem"; extraPath = [ "/opt/extra" ]; credentials.further = "${secrets}/further";`;
    const { service, show } = await installModule(scene, { options }, onTestFinished);
    await writeFile(`${secrets}/further`, 'one more', { mode: 0o400 });
    await service.start();
    const job = await scene.queue('echo "@site $SITE"; echo "@root $(id -u)"');
    expect(findingsOf(await scene.done(service, job))).toEqual({ site: 'north', root: '0' });
    const eater = await scene.queue('echo 1000 >/proc/$PPID/oom_score_adj; head -c 300M /dev/zero | tail');
    expect(await scene.done(service, eater)).toMatchObject({ status: 'failure' });
    await scene.clean(service);
    const { recent } = await service.status();
    expect(recent.find(({ job_id: id }) => id === eater.jobId)?.cause).toBe('killed: memory limit 150 MiB');

    const pid = await service.pid();
    const environment = (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
    expect(environment).toContain('NODE_EXTRA_CA_CERTS=/etc/ssl/certs/internal-ca.pem');
    const path =
      environment
        .find((line) => line.startsWith('PATH='))
        ?.slice(5)
        .split(':') ?? [];
    expect(path).toContain('/opt/extra/bin');
    // Nothing of this host's own, which has every program, is on it.
    expect(path.filter((folder) => folder.startsWith('/usr') || folder === '/bin')).toEqual([]);
    const credentials = await sh('nsenter', '--mount', `--target=${pid}`, 'ls', '/run/credentials/forgejo-runner-controller.service');
    expect(credentials.split('\n')).toEqual(['forge-main', 'further']);
    expect(await show('ProtectSystem')).toBe('strict');
    await sh('systemctl', 'reload', 'forgejo-runner-controller.service');
    expect(await show('MainPID')).toBe(String(pid));
    await service.stop();
    expect(await readdir(service.stateDir)).not.toContain('token');
  });

  test('with polling.enable = false is up, starts nothing and says so; a token that is yet to come is waited for and named', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const later =
      'forges.later = { url = "http://127.0.0.1:1"; instanceUrl = "http://10.99.0.1:1"; scope.user = true; allowPending = true; tokenFile = "/run/frc-later"; };';
    const options = `polling.enable = false; profiles.debian.labels = [ "debian" ]; ${later}`;
    const { service } = await installModule(scene, { options }, onTestFinished);
    await service.start();
    const job = await scene.queue('true');
    const status = await service.until('the job is known', ({ waiting_jobs: jobs }) => jobs.some(({ job_id: id }) => id === job.jobId));
    expect(JSON.stringify(status.waiting_jobs)).toContain('maxConcurrent');
    expect(status.runners).toEqual([]);
    expect(JSON.stringify(status.forges)).toContain('/run/frc-later');
    await service.stop();
  });

  test('with configFile runs what that says, by a token that only systemd has read', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const file = '/run/frc-whole/config.yaml';
    const { service } = await installModule(scene, { options: `configFile = "${file}";`, raw: true }, onTestFinished);
    await mkdir('/run/frc-whole', { recursive: true });
    const written = (await readFile(service.arguments[1] ?? '', 'utf8')).replaceAll(
      /tokenFile: .*/g,
      'tokenFile: $CREDENTIALS_DIRECTORY/forge-token',
    );
    await writeFile(file, written);
    await chmod(file, 0o600);
    await service.start();
    const job = await scene.queue('echo "@ran yes"');
    expect(findingsOf(await scene.done(service, job))).toEqual({ ran: 'yes' });
    await scene.clean(service);
    await service.stop();
  });
});
