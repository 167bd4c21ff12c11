// The settings of a Nix daemon as they lie on a host: in one file, in several, and where nobody can read them.

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { settingsIn, usersIn } from '../../src/driver/nix-daemon.ts';

async function confOf(text: string, beside: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'frc-nix-conf-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'more'));
  for (const [name, content] of Object.entries({ 'nix.conf': text, ...beside })) await writeFile(join(folder, name), content);
  return join(folder, 'nix.conf');
}

async function trustedBy(path: string): Promise<readonly string[]> {
  return usersIn(await settingsIn(path), 'trusted-users');
}

test('who is trusted by a file that is included is trusted', async () => {
  expect(await trustedBy(await confOf('sandbox = true\n!include own.conf\n', { 'own.conf': 'trusted-users = root *\n' }))).toEqual([
    'root',
    '*',
  ]);
  const deeper = { 'more/a.conf': 'include b.conf\n', 'more/b.conf': 'extra-trusted-users = ada' };
  expect(await trustedBy(await confOf('include more/a.conf', deeper))).toEqual(['root', 'ada']);
});

test('a file that is included stands in its place: what comes after it wins', async () => {
  const beside = { 'own.conf': 'trusted-users = *' };
  expect(await trustedBy(await confOf('include own.conf\ntrusted-users = root', beside))).toEqual(['root']);
  expect(await trustedBy(await confOf('trusted-users = root\ninclude own.conf', beside))).toEqual(['*']);
});

test('settings that are not there are those that a daemon has without any, and a file that includes itself ends', async () => {
  const path = await confOf('include nix.conf\n!include none.conf\ntrusted-users = ada');
  expect(await trustedBy(path)).toEqual(['ada']);
  expect(await settingsIn(`${path}.none`)).toBe('');
});

test('settings that cannot be read are told, and never taken for those of a daemon without any', async () => {
  const path = await confOf('!include round.conf');
  await symlink('round.conf', join(path, '../round.conf'));
  await expect(settingsIn(path)).rejects.toMatchObject({
    code: 'DRIVER_UNAVAILABLE',
    message: expect.stringMatching(/round\.conf\) cannot be read.*let root read them, or write nix\.access: none/),
  });
});
