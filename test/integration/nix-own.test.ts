// Promises what a root directory is given so that its jobs can build with its own Nix, and that databases of templates go with them. What needs a
// store is shown on a host (test/e2e/nix-own.test.ts).

import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { dropDatabases, withOwnStore } from '../../src/driver/nix-own.ts';
import { inspectDirectory } from '../../src/driver/template.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-nix-own-'));
  for (const name of ['usr/bin', 'etc/nix']) await mkdir(join(folder, name), { recursive: true });
});
afterEach(() => rm(folder, { recursive: true }));

const settingsOf = async (): Promise<string | undefined> =>
  (await withOwnStore(await inspectDirectory({ kind: 'directory', path: folder }))).etc['nix/nix.conf'];

test('a directory with Nix builds as root and without a sandbox whatever its own settings say, which count for all else', async () => {
  await writeFile(join(folder, 'usr/bin/nix-store'), '');
  const ours = 'extra-experimental-features = nix-command flakes\nbuild-users-group =\nsandbox = false\n';
  expect(await settingsOf()).toBe(ours);
  await writeFile(join(folder, 'etc/nix/nix.conf'), 'sandbox = true\n');
  // Nix takes the last word of a setting.
  expect(await settingsOf()).toBe(`!include /.template/etc/nix/nix.conf\n${ours}`);
});

test("a directory may have the profile of Nix' installer in place of a package, and is refused without either", async () => {
  await expect(settingsOf()).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', message: expect.stringContaining('Install Nix there') });
  await mkdir(join(folder, 'nix/var/nix/profiles'), { recursive: true });
  // It leads to where the machine will have it.
  await symlink('/nix/var/nix/profiles/default-1-link', join(folder, 'nix/var/nix/profiles/default'));
  expect(await settingsOf()).toContain('sandbox = false');
});

test('databases of templates that nobody has any longer are removed, those of others stay', async () => {
  const image = await inspectDirectory({ kind: 'directory', path: folder });
  const of = (storePath: string) => ({ ...image, plan: { ...image.plan, storePath } });
  for (const name of ['old-env', 'new-env']) await mkdir(join(folder, 'nix', name), { recursive: true });
  await dropDatabases(folder, [image, of('/nix/store/new-env')]);
  expect(await readdir(join(folder, 'nix'))).toEqual(['new-env']);
});
