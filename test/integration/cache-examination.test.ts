// What the doctor says of what jobs keep, of files on a real disk.

import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { examineCaches } from '../../src/driver/cache-examination.ts';
import { cachesIn } from '../../src/driver/cache-files.ts';
import { aProfile } from '../support/build.ts';

const MiB = 1024 ** 2;
const keeping = (maxBytes: number) => [aProfile({ name: 'small', cache: { path: '/cache', maxBytes, maxAgeMs: 1_000 } }), aProfile()];
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-caches-'));
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const examined = async (maxBytes: number, minFreeDiskBytes = 0) =>
  examineCaches({ folder, nearest: folder, profiles: keeping(maxBytes), minFreeDiskBytes });

/** A sparse file of 512 MiB of which 2 MiB are on the disk, as a cache is. */
async function make(name: string): Promise<void> {
  await mkdir(join(folder, 'main-0123456789ab'), { recursive: true });
  const file = await open(join(folder, name), 'w');
  await file.write(Buffer.alloc(2 * MiB, 1));
  await file.truncate(512 * MiB);
  await file.sync();
  await file.close();
}

test('how many there are and what they take of the disk is told, not how large they may get; what bears another name is not ours', async () => {
  expect(await examined(MiB)).toMatchObject([{ state: 'ok', sentence: expect.stringContaining('0 caches take 0 MiB') }]);
  await make('main-0123456789ab/default-7.ext4');
  for (const name of ['main-0123456789ab/notes', 'main-0123456789ab/default-8.ext4.new', 'main-0123456789ab/..-9.ext4', 'lock'])
    await writeFile(join(folder, name), 'x'.repeat(2 * MiB));
  expect((await cachesIn(folder)).map(({ name, bytes }) => [name, bytes])).toEqual([['main-0123456789ab/default-7', 512 * MiB]]);
  expect(await examined(MiB)).toMatchObject([{ state: 'ok', sentence: expect.stringMatching(/one cache takes [23] MiB/) }]);
});

test('a profile whose caches would find no room is named, with the remedy', async () => {
  for (const [maxBytes, floor] of [
    [2 ** 60, 0],
    [MiB, 2 ** 60],
  ] as const)
    expect(await examined(maxBytes, floor)).toMatchObject([
      { state: 'warning', sentence: expect.stringContaining('Profile small: '), remedy: expect.stringContaining('cacheDir') },
    ]);
});

test('nothing is said where no profile has one', async () => {
  expect(await examineCaches({ folder, nearest: folder, profiles: [aProfile()], minFreeDiskBytes: 2 ** 60 })).toEqual([]);
});
