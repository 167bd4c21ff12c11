// Promises that a pinned runner is hashed again whenever its file is another one or was changed, however it was changed.

import { createHash } from 'node:crypto';
import { appendFile, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { pinFault } from '../../src/driver/runner-pin.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-pin-'));
});
afterAll(async () => rm(folder, { recursive: true, force: true }));

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function profileOf(runnerPath: string, pin?: string): Profile {
  const timeouts = { startMs: 1, pickMs: 1, jobMs: 1, stopMs: 1 };
  const rest = { labels: [], template: { kind: 'host' }, limits: {}, timeouts, binds: [], environment: {} } as const;
  return { name: 'default', ...rest, runnerPath, ...(pin === undefined ? {} : { runnerSha256: pin }) };
}

test('a runner of its pin is well, one without a pin is not even read, and one that is away is told', async () => {
  const path = join(folder, 'well');
  await writeFile(path, 'one');
  expect(await pinFault(profileOf(path, sha256('one')))).toBeUndefined();
  expect(await pinFault(profileOf(join(folder, 'none')))).toBeUndefined();
  await expect(pinFault(profileOf(join(folder, 'none'), sha256('one')))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('a change is seen, also one that keeps size and time, and both values are said', async () => {
  const path = join(folder, 'changed');
  await writeFile(path, 'one');
  await utimes(path, 1_000, 1_000);
  const pin = sha256('one');
  expect(await pinFault(profileOf(path, pin))).toBeUndefined();
  await writeFile(`${path}.new`, 'two');
  await utimes(`${path}.new`, 1_000, 1_000);
  await rename(`${path}.new`, path);
  expect((await pinFault(profileOf(path, pin)))?.what).toMatch(new RegExp(`is ${sha256('two')}, .*is ${pin}`));
  await appendFile(path, '!');
  expect((await pinFault(profileOf(path, pin)))?.what).toContain(sha256('two!'));
  await writeFile(path, 'one');
  expect(await pinFault(profileOf(path, pin))).toBeUndefined();
});
