// Where others than root could take the service over, on folders as they are.

import { chmod, lchown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { looseEnds } from '../../src/daemon-ownership.ts';
import { aProfile } from '../support/build.ts';
import { basicEnv, goodToken, load } from '../support/config-fixture.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-loose-'));
  for (const name of ['state', 'etc', 'secrets']) await mkdir(join(folder, name), { mode: 0o755 });
  await writeFile(join(folder, 'etc/config.yaml'), '', { mode: 0o640 });
  await writeFile(join(folder, 'secrets/token'), '', { mode: 0o600 });
});
afterEach(() => rm(folder, { recursive: true }));

async function found(stateDir = join(folder, 'state'), file: string | undefined = join(folder, 'etc/config.yaml')) {
  const token = join(folder, 'secrets/token');
  const config = await load({ env: { ...basicEnv, FORGEJO_TOKEN_FILE: token, STATE_DIR: stateDir }, files: { [token]: goodToken } });
  return looseEnds(config, file);
}

test('folders that only root may write are well, also before the first start makes the state directory', async () => {
  expect(await found()).toEqual([]);
  expect(await found(join(folder, 'none/yet'))).toEqual([]);
});

test('a place that is loose is told once, with all that depends on it', async () => {
  await chmod(folder, 0o775);
  const faults = await found();
  expect(faults).toHaveLength(1);
  expect(faults[0]?.remedy).toBe(`chmod go-w ${folder}`);
  for (const name of ['state', 'etc/config.yaml', 'secrets/token']) expect(faults[0]?.what).toContain(join(folder, name));
});

test('the state directory and the configuration are to be root’s themselves, of a token the way to it', async () => {
  await chmod(join(folder, 'state'), 0o770);
  await chmod(join(folder, 'etc/config.yaml'), 0o664);
  await chmod(join(folder, 'secrets/token'), 0o660);
  expect((await found()).map(({ remedy }) => remedy)).toEqual([`chmod go-w ${folder}/state`, `chmod go-w ${folder}/etc/config.yaml`]);
  await chmod(join(folder, 'secrets'), 0o770);
  expect((await found()).map(({ remedy }) => remedy)).toContain(`chmod go-w ${folder}/secrets`);
});

test('where caches lie is to be root’s itself, as soon as a profile has one', async () => {
  await mkdir(join(folder, 'cache/ours'), { recursive: true, mode: 0o755 });
  const config = await load({ env: { ...basicEnv, STATE_DIR: join(folder, 'state') }, files: { '/run/secrets/forgejo-token': goodToken } });
  const faults = (profiles: typeof config.profiles) =>
    looseEnds({ ...config, controllerId: 'ours', cacheDir: join(folder, 'cache'), profiles }, undefined).map(({ remedy }) => remedy);
  const keeping = [aProfile({ cache: { path: '/cache', maxBytes: 1, maxAgeMs: 1 } })];
  for (const name of ['cache', 'cache/ours']) {
    expect(faults(keeping)).toEqual([]);
    await chmod(join(folder, name), 0o775);
    expect(faults(keeping)).toEqual([`chmod go-w ${join(folder, name)}`]);
    expect(faults(config.profiles)).toEqual([]);
    await chmod(join(folder, name), 0o755);
  }
});

test('a place that cannot be looked at is told, and not taken for well', async () => {
  const long = join(folder, 'x'.repeat(300));
  expect((await found(long)).map(({ what }) => what)).toEqual([expect.stringContaining('cannot be looked at (ENAMETOOLONG)')]);
});

test.runIf(process.getuid?.() === 0)('a state directory of somebody else is told by whatever path it comes', async () => {
  await lchown(join(folder, 'state'), 4_711, 0);
  await symlink('state', join(folder, 'link'));
  expect(await found(join(folder, 'link'), undefined)).toEqual([
    { what: expect.stringContaining(`for ${folder}/state belongs to uid 4711`), remedy: `chown root ${folder}/state` },
  ]);
});
