// Who beside root can change what the host finds at a path, on folders as they are.

import { chmod, lchown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { looseOf } from '../../src/ownership.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-owner-'));
  await mkdir(join(folder, 'a/b'), { recursive: true, mode: 0o755 });
  await writeFile(join(folder, 'a/b/file'), '', { mode: 0o755 });
});
afterEach(() => rm(folder, { recursive: true }));

test('what lies in folders that only root may write is nobody else’s, also in one of those where everybody may make entries', () => {
  expect(looseOf(join(folder, 'a/b/file'), true)).toBeUndefined();
  expect(looseOf('/usr/bin/env', true)).toBeUndefined();
});

test('a folder on the way that others may write is named, but not the thing itself, unless the host runs it', async () => {
  await chmod(join(folder, 'a'), 0o777);
  expect(looseOf(join(folder, 'a/b/file'))).toEqual({
    path: join(folder, 'a'),
    why: 'has mode 0777',
    remedy: `chmod go-w ${folder}/a`,
  });
  expect(looseOf(join(folder, 'a'))).toBeUndefined();
  await chmod(join(folder, 'a'), 0o755);
  await chmod(join(folder, 'a/b/file'), 0o775);
  expect(looseOf(join(folder, 'a/b/file'))).toBeUndefined();
  expect(looseOf(join(folder, 'a/b/file'), true)).toMatchObject({ path: join(folder, 'a/b/file'), why: 'has mode 0775' });
});

test('a link is as good as the place it lies in and the one it leads to', async () => {
  await symlink('a/b', join(folder, 'link'));
  expect(looseOf(join(folder, 'link/file'), true)).toBeUndefined();
  await chmod(join(folder, 'a/b'), 0o770);
  expect(looseOf(join(folder, 'link/file'))).toMatchObject({ path: join(folder, 'a/b'), why: 'has mode 0770' });
  await symlink('round', join(folder, 'round'));
  expect(looseOf(join(folder, 'round/file'))).toMatchObject({ why: 'is one of too many links' });
});

test('what is not there is told by others', () => {
  expect(looseOf(join(folder, 'a/none/file'), true)).toBeUndefined();
});

test.runIf(process.getuid?.() === 0)(
  'what belongs to somebody is theirs to change, and so is an entry of theirs in a folder for all',
  async () => {
    await lchown(join(folder, 'a'), 4_711, 0);
    expect(looseOf(join(folder, 'a/b/file'))).toMatchObject({
      path: join(folder, 'a'),
      why: 'belongs to uid 4711',
      remedy: `chown root ${folder}/a`,
    });
    expect(looseOf(join(folder, 'a'))).toBeUndefined();
    await chmod(folder, 0o1777);
    expect(looseOf(join(folder, 'a'))).toMatchObject({
      path: join(folder, 'a'),
      why: 'belongs to uid 4711',
      remedy: `chown root ${folder}/a`,
    });
  },
);
