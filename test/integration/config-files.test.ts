// Promises that the configuration is read from real files as it is from the table that unit tests use: rights, missing files, the runner.

import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { goodToken } from '../support/config-fixture.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-config-'));
  await writeFile(join(folder, 'token'), `${goodToken}\n`, { mode: 0o600 });
  const yaml =
    'controllerId: a\nforges: [{url: "https://forge.example.org", scope: {user: true}, tokenFile: $CREDENTIALS_DIRECTORY/token}]\n';
  await writeFile(join(folder, 'config.yaml'), yaml, { mode: 0o640 });
  await mkdir(join(folder, 'bin'));
  await writeFile(join(folder, 'bin', 'forgejo-runner'), '#!/bin/sh\n', { mode: 0o755 });
});
afterEach(() => rm(folder, { recursive: true }));

const load = (env: Readonly<Record<string, string>> = {}): ReturnType<typeof loadConfig> =>
  loadConfig({
    file: join(folder, 'config.yaml'),
    env: { CREDENTIALS_DIRECTORY: folder, RUNNER_PATH: join(folder, 'bin', 'forgejo-runner'), ...env },
  });

test('a configuration and a token that only their owner may read load without a warning', async () => {
  const config = await load();
  expect(config.warnings).toEqual([]);
  expect(config.forges[0]?.tokenFile).toBe(join(folder, 'token'));
});

test('files that others may read are warned about', async () => {
  await chmod(join(folder, 'token'), 0o644);
  await chmod(join(folder, 'config.yaml'), 0o646);
  const { warnings } = await load();
  expect(warnings.map((warning) => warning.replace(folder, ''))).toEqual([
    '/config.yaml: others may read it; set its mode to 0640',
    '/config.yaml: others may change it; set its mode to 0640',
    expect.stringContaining('forges[0].tokenFile: others may use'),
  ]);
});

test('only a file that may be executed is taken for the runner', async () => {
  const found = async (): Promise<string | undefined> =>
    (await load({ RUNNER_PATH: '', PATH: join(folder, 'bin') })).profiles[0]?.runnerPath;
  const usual = '/usr/local/bin/forgejo-runner';
  expect([join(folder, 'bin', 'forgejo-runner'), usual]).toContain(await found());
  await rm(join(folder, 'bin', 'forgejo-runner'));
  await mkdir(join(folder, 'bin', 'forgejo-runner'));
  expect(await found()).toBe(usual);
});

/** A FIFO in the place of a file; who opens it as usual waits for ever. */
async function piped(name: string): Promise<void> {
  await rm(join(folder, name));
  execFileSync('sh', ['-c', 'mkfifo "$1"', '-', join(folder, name)]);
}

test.each([
  ['a pipe without a writer', () => piped('config.yaml'), 'no plain file'],
  ['a folder', () => rm(join(folder, 'config.yaml')).then(() => mkdir(join(folder, 'config.yaml'))), 'EISDIR'],
  ['of 10 MB', () => writeFile(join(folder, 'config.yaml'), '#'.repeat(10_000_000)), 'EFBIG'],
])('a configuration that is %s is CONFIG_INVALID, and nobody waits', async (_, spoil, code) => {
  await spoil();
  await expect(load()).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining(`cannot be read (${code})`) });
});

test.each([
  ['absent', () => rm(join(folder, 'token')), 'cannot be read (ENOENT)'],
  ['a directory', () => rm(join(folder, 'token')).then(() => mkdir(join(folder, 'token'))), 'cannot be read (EISDIR)'],
  ['empty', () => writeFile(join(folder, 'token'), ''), 'is empty'],
  ['a pipe without a writer', () => piped('token'), 'cannot be read (no plain file)'],
  ['a link to itself', () => rm(join(folder, 'token')).then(() => symlink('token', join(folder, 'token'))), 'cannot be read (ELOOP)'],
  ['a device', () => rm(join(folder, 'token')).then(() => symlink('/dev/zero', join(folder, 'token'))), 'cannot be read (no plain file)'],
  ['of two lines', () => writeFile(join(folder, 'token'), 'a\nb'), 'more than one word'],
  ['with a NUL', () => writeFile(join(folder, 'token'), 'a\0b'), 'characters that no token has'],
  ['with a terminal escape', () => writeFile(join(folder, 'token'), 'a\u001b[2Jb'), 'characters that no token has'],
  ['too large', () => writeFile(join(folder, 'token'), 'x'.repeat(2_000_000)), 'cannot be read (EFBIG)'],
])('a token file that is %s is refused', async (_, spoil, sentence) => {
  await spoil();
  await expect(load()).rejects.toThrow(sentence);
});
