// What the packaged program says before it runs anything: a second copy, a wrong configuration, a host that cannot, check-config; each with
// its exit code and a sentence that says what to do.

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openScene, runProgram } from '../support/service-scene.ts';
import { nothing, sh } from '../support/service.ts';

describe('the start', () => {
  test('a second copy on the same state directory exits with code 4 and says so, and the first goes on', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const { code, stderr } = await runProgram(service.arguments);
    expect([code, stderr.trim()]).toEqual([
      4,
      `forgejo-runner-controller: STATE_LOCKED: another forgejo-runner-controller runs on ${service.stateDir}; stop it (systemctl stop forgejo-runner-controller), or give this one its own stateDir and controllerId`,
    ]);
    expect(await scene.done(service, await scene.queue('true'))).toMatchObject({ status: 'success' });
    await scene.clean(service);
  });

  test('the packaged service has its page, whole and under its own policy', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const answer = await fetch(`${service.url}/`);
    const [, script = ''] = /<script>(.*?)<\/script>/s.exec(await answer.text()) ?? [];
    const hash = createHash('sha256').update(script).digest('base64');
    expect([answer.status, answer.headers.get('content-security-policy')]).toEqual([
      200,
      expect.stringContaining(`script-src 'sha256-${hash}'`),
    ]);
    expect(script.length).toBeGreaterThan(10_000);
  });

  test('a state directory of another controller id is refused with code 4', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    await service.stop();
    const { code, stderr } = await runProgram(service.arguments, { CONTROLLER_ID: 'somebody-else' });
    expect([code, stderr]).toEqual([4, expect.stringContaining(`belongs to the controller \`${service.controllerId}\``)]);
  });

  test('a wrong configuration exits with code 2 and every mistake at once, none of them a secret', async ({ onTestFinished }) => {
    const folder = '/var/tmp/frc-wrong';
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await mkdir(folder, { recursive: true });
    const text = `maxConcurent: 3\npollInterval: soon\nforges:\n  - { name: a, url: ftp://x, scope: { user: true }, token: s3cr3t-of-mine }\n`;
    await writeFile(join(folder, 'config.yaml'), text, { mode: 0o600 });
    const { code, stderr, stdout } = await runProgram(['--config', join(folder, 'config.yaml')]);
    expect(code).toBe(2);
    for (const word of ['maxConcurent', 'maxConcurrent', 'pollInterval', 'forges[0].url', 'forges[0].token'])
      expect(stderr).toContain(word);
    expect(stderr + stdout).not.toContain('s3cr3t-of-mine');
  });

  test('a runner that is not there is said with its profile and path, code 3, and nothing is made', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.prepare({ profiles: [{ name: 'default', labels: ['debian'], runner: '/nowhere/forgejo-runner' }] });
    const { code, stderr } = await runProgram(service.arguments);
    const reason = 'Profile default: there is no executable forgejo-runner at /nowhere/forgejo-runner: install forgejo-runner';
    expect([code, stderr]).toEqual([3, expect.stringContaining(reason)]);
    expect(await service.remains()).toEqual(nothing);
  });

  test('a host without nft cannot run machines: code 3, why, and the remedy', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.prepare();
    const tools = '/var/tmp/frc-tools';
    onTestFinished(() => rm(tools, { recursive: true, force: true }));
    await mkdir(tools);
    for (const folder of ['/usr/sbin', '/usr/bin'])
      for (const name of await readdir(folder))
        // The same name in both is the same tool.
        if (name !== 'nft') await symlink(join(folder, name), join(tools, name)).catch(() => undefined);
    const { code, stderr } = await runProgram(service.arguments, { PATH: tools });
    expect([code, stderr]).toEqual([3, expect.stringContaining('nft does not run: install nftables')]);
    expect(stderr).toContain('DRIVER_UNAVAILABLE');
  });

  test('check-config prints what it makes of the file, without the token, and starts nothing', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.prepare();
    const { code, stdout, stderr } = await runProgram(['check-config', ...service.arguments]);
    expect(code).toBe(0);
    expect(stdout).toContain(`controllerId: ${service.controllerId}`);
    expect(stdout).toContain(service.tokenFile);
    expect(stdout + stderr).not.toContain(scene.forgejo.token);
    expect(await sh('sh', '-c', `ls -d ${service.stateDir} 2>/dev/null || echo none`)).toBe('none');
  });

  test('a token file that others may use is warned of at the start', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.prepare();
    await sh('chmod', '644', service.tokenFile);
    await service.start();
    const warnings = (await service.log()).filter(({ event }) => event === 'warning').map(({ msg }) => String(msg));
    expect(warnings.filter((text) => text.includes('others may use'))).toHaveLength(1);
    expect(await readFile(service.tokenFile, 'utf8')).toContain(scene.forgejo.token);
  });
});
