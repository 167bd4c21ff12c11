// Names of this host that one process at a time has.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { claim, claimedNames } from '../../src/claim.ts';

const nameOf = (what: string) => `forgejo-runner-controller-test:${process.pid}:${what}`;
async function claimed(name: string): Promise<() => void> {
  const release = await claim(name);
  if (release === undefined) throw new Error(`somebody has ${name}`);
  onTestFinished(release);
  return release;
}

test('a name is had once, listed for as long, and free again at once', async () => {
  const name = nameOf('once');
  const release = await claimed(name);
  expect(await claim(name)).toBeUndefined();
  expect(claimedNames().filter((one) => one === name)).toEqual([name]);
  release();
  expect(claimedNames()).not.toContain(name);
  await claimed(name);
});

test('names with blanks and marks are listed whole, and none is taken for another', async () => {
  const names = ['a b', 'a b @c', 'a b @c d'].map(nameOf);
  for (const name of names) await claimed(name);
  expect(
    claimedNames()
      .filter((one) => names.includes(one))
      .toSorted(),
  ).toEqual(names);
  expect(claimedNames()).not.toContain('c d');
});

test('a socket in the file system is no claim, whatever it is called', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'claim-'));
  const name = nameOf('file');
  const server = createServer();
  onTestFinished(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });
  await once(server.listen(join(folder, ` @${name}`)), 'listening');
  expect(claimedNames()).not.toContain(name);
});

test('a name longer than the kernel has room for is a name like any other', async () => {
  const name = nameOf('x'.repeat(200));
  const release = await claimed(name);
  expect(await claim(name)).toBeUndefined();
  await claimed(`${name}y`);
  release();
  await claimed(name);
});
