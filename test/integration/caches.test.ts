// What is lent of caches and told of them where none can be mounted, and what is counted of those in use, on files as they are.

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createCaches, type Caches } from '../../src/driver/caches.ts';
import { inUse, realFolder } from '../../src/driver/cache-files.ts';
import { aProfile } from '../support/build.ts';
import { createTestClock } from '../support/clock.ts';

const MiB = 1024 ** 2;
const forge = 'main-0123456789ab';
const profileOf = (name: string, maxBytes = MiB) => aProfile({ name, cache: { path: '/cache', maxBytes, maxAgeMs: 1_000 } });
let root = '';
let folder = '';
let clock = createTestClock();
let warned: string[] = [];
let caches: Caches;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'frc-lent-')));
  folder = join(root, 'caches/ours');
  clock = createTestClock();
  warned = [];
  // Where a cache would be made: also a fault in what is tested mounts nothing on the machine that tests it.
  for (const name of ['small', 'large']) await mkdir(join(folder, forge, `${name}-7.ext4.new`), { recursive: true });
  const log = { info: () => {}, warn: (_: string, __?: object, sentence = '') => void warned.push(sentence) };
  caches = createCaches({ controllerId: 'ours', stateDir: join(root, 'state'), cacheDir: join(root, 'caches'), clock, log });
});
afterEach(async () => rm(root, { recursive: true, force: true }));

/** True when a machine has what its repository keeps. */
async function isLent(profile = profileOf('small'), id = 'j0000001abc'): Promise<boolean> {
  const { profile: lent } = await caches.lend({ id, slot: 0, profile, runtimeMaxMs: 1_000, cache: `${forge}/${profile.name}-7` });
  return lent.binds.some(({ target }) => target === '/cache');
}

function mountPoint(id: string): string {
  return join(root, 'state/machines', id, 'cache/mounted');
}

async function make(name: string): Promise<void> {
  await mkdir(join(folder, forge), { recursive: true });
  await writeFile(join(folder, forge, name), Buffer.alloc(2 * MiB, 1));
}

test('a place for caches that fails under the service costs jobs their caches and nothing else, and is told once', async () => {
  await caches.prepare([profileOf('small')], true);
  await rm(folder, { recursive: true });
  await writeFile(folder, '');
  await expect(caches.prepare([profileOf('small')], true)).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' });
  for (const profiles of [[profileOf('small')], [profileOf('small')], [aProfile()]]) {
    await caches.prepare(profiles, false);
    await caches.tidy(profiles, 0);
  }
  expect(warned).toEqual([expect.stringContaining('cannot keep caches'), expect.stringContaining('could be removed')]);
  expect(await isLent()).toBe(false);
});

test('caches that nobody uses stay where all of them would not make room for another', async () => {
  await caches.tidy([profileOf('small')], 2 ** 60);
  for (const name of ['small-8.ext4', 'small-9.ext4']) await make(name);
  expect(await isLent()).toBe(false);
  expect(warned).toEqual([expect.stringContaining('has no room')]);
  expect((await readdir(join(folder, forge))).filter((name) => name.endsWith('.ext4'))).toEqual(['small-8.ext4', 'small-9.ext4']);
});

test('one that is to be larger than it was is counted as it will be', async () => {
  await make('small-7.ext4');
  expect(await isLent(profileOf('small', 2 ** 50))).toBe(false);
  expect(warned).toEqual([expect.stringContaining('has no room')]);
});

test('each profile whose jobs run without is told of, once', async () => {
  for (const name of ['small', 'large', 'small', 'large']) expect(await isLent(profileOf(name, 2 ** 50))).toBe(false);
  expect(warned).toHaveLength(2);
});

test('a start that others keep from its cache for long goes without, and takes none later', async () => {
  const lock = join(folder, 'lock');
  // Who opens it waits for a reader.
  execFileSync('sh', ['-c', 'mkfifo "$1"', '-', lock]);
  const first = isLent(profileOf('small'), 'j0000001abc');
  await vi.waitFor(() => expect(existsSync(mountPoint('j0000001abc'))).toBe(true), { timeout: 10_000 });
  const second = isLent(profileOf('large'), 'j0000002abc');
  await vi.waitFor(() => expect(clock.sleepers()).toBe(1), { timeout: 10_000 });
  clock.advance(10_000);
  expect(await second).toBe(false);
  expect(warned).toEqual([expect.stringContaining('10 s')]);
  const reader = await open(lock, 'r');
  expect(await first).toBe(false);
  await caches.tidy([profileOf('small')], 0);
  await reader.close();
  expect(existsSync(mountPoint('j0000002abc'))).toBe(false);
});

test('what is unlinked and in use is counted as all still to come, and no other folder’s is', async () => {
  const devices = {
    loop0: '/c/ours/a/small-7.ext4',
    loop1: '/c/ours/a/small-7.ext4 (deleted)',
    loop2: '/c/ours-not/a/small-7.ext4 (deleted)',
    sda: '/c/ours/a/small-8.ext4',
  };
  for (const [name, path] of Object.entries(devices)) {
    await mkdir(join(root, name, 'loop'), { recursive: true });
    await writeFile(join(root, name, 'loop/backing_file'), `${path}\n`);
    await writeFile(join(root, name, 'size'), `${MiB / 512}\n`);
  }
  await mkdir(join(root, 'loop3'));
  const { paths, unlinked } = inUse('/c/ours', root);
  expect([paths.has('/c/ours/a/small-7.ext4'), paths.has('/c/ours/a/small-8.ext4')]).toEqual([true, false]);
  expect(unlinked).toEqual([{ bytes: MiB, allocatedBytes: 0 }]);
});

test('a folder behind a link is known by its own name, one that is not there by the one it has', async () => {
  await symlink(root, join(root, 'link'));
  expect(await realFolder(join(root, 'link'))).toBe(root);
  expect(await realFolder(join(root, 'none'))).toBe(join(root, 'none'));
});
