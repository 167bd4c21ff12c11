// What lies at a path of the host, and what only cannot be looked at.

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { entryIsThere, exists, namesIn, textAt } from '../../src/driver/presence.ts';

async function aFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'frc-presence-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

test('a link that leads nowhere is an entry, though nothing exists there', async () => {
  const folder = await aFolder();
  const link = join(folder, 'link');
  await symlink(join(folder, 'nothing'), link);
  expect([entryIsThere(link), await exists(link)]).toEqual([true, false]);
  await mkdir(join(folder, 'nothing'));
  expect([entryIsThere(link), await exists(link)]).toEqual([true, true]);
  expect(namesIn(folder).toSorted()).toEqual(['link', 'nothing']);
});

test('below nothing, and below a file, there is nothing', async () => {
  const folder = await aFolder();
  await writeFile(join(folder, 'file'), '');
  for (const path of ['none', 'none/below', 'file/below'].map((name) => join(folder, name)))
    expect([entryIsThere(path), await exists(path)]).toEqual([false, false]);
  expect(namesIn(join(folder, 'none'))).toEqual([]);
  expect([textAt(join(folder, 'none')), textAt(join(folder, 'file'))]).toEqual([undefined, '']);
});

test('I2 what cannot be looked at is an error, never nothing', async () => {
  const folder = await aFolder();
  const round = join(folder, 'round');
  await symlink(round, round);
  await writeFile(join(folder, 'file'), '');
  expect(() => entryIsThere(`${round}/below`)).toThrow('ELOOP');
  await expect(exists(round)).rejects.toThrow('ELOOP');
  expect(() => namesIn(round)).toThrow('ELOOP');
  expect(() => textAt(round)).toThrow('ELOOP');
  expect(() => textAt(folder)).toThrow('EISDIR');
  expect(() => namesIn(join(folder, 'file'))).toThrow('ENOTDIR');
});
