// Promises that the hash Nix checks the runtime packages against is always that of the lock, and computed as Nix does.

import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { narHash } from '../../scripts/nar.ts';
import { installedHash, lockDigest, readLock, readRuntime, runtimePart, type Lock } from '../../scripts/npm-hash.ts';
import { openNix } from '../support/nix.ts';

const remedy = 'run ./scripts/update-npm-hash after a change of the runtime packages';
let opened: Awaited<ReturnType<typeof openNix>>;
beforeAll(async () => {
  opened = await openNix();
});
afterAll(() => opened.end());

describe('the hash of the runtime packages', () => {
  test('nix/runtime-dependencies.json belongs to the runtime part of package-lock.json', () => {
    expect([readRuntime().lock, remedy]).toEqual([lockDigest(readLock()), remedy]);
  });

  test('nix/runtime-dependencies.json has the hash of the packages as they are installed', () => {
    expect([readRuntime().hash, remedy]).toEqual([installedHash(), remedy]);
  });

  test('a package for development changes nothing, one that is bundled does', () => {
    const lock = readLock();
    const [path = ''] = Object.keys(runtimePart(lock));
    const withEntry = (at: string, entry: Lock['packages'][string]): Lock => ({ packages: { ...lock.packages, [at]: entry } });
    expect(lockDigest(withEntry('node_modules/new', { version: '1.0.0', integrity: 'sha512-a', dev: true }))).toBe(lockDigest(lock));
    expect(lockDigest(withEntry('node_modules/new', { version: '1.0.0', integrity: 'sha512-a' }))).not.toBe(lockDigest(lock));
    expect(lockDigest(withEntry(path, { version: '1.0.0', integrity: 'sha512-a' }))).not.toBe(lockDigest(lock));
  });

  test('the runtime packages are the same on every processor: none is compiled, none runs a script when it is installed', () => {
    const entries = Object.keys(runtimePart(readLock())).map((path) => [path, readLock().packages[path]] as const);
    const odd = entries.filter(([, entry]) => ['os', 'cpu', 'libc', 'hasInstallScript'].some((key) => key in (entry ?? {})));
    expect(odd.map(([path]) => path)).toEqual([]);
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const compiled = entries.flatMap(([path]) => readdirSync(join(root, path), { recursive: true, encoding: 'utf8' }));
    expect(compiled.filter((path) => path.endsWith('.node'))).toEqual([]);
  });

  test('a folder has the hash that nix itself gives it: links, programs, empty files and names in any order', async () => {
    const folder = join(opened.home, 'folder');
    await mkdir(join(folder, 'b', 'empty'), { recursive: true });
    for (const name of ['a', 'a.b', 'a-b', 'aB', 'ab', 'é', '😀', '\u{ff5e}']) await writeFile(join(folder, name), name.repeat(7));
    await writeFile(join(folder, 'b', 'none'), '');
    await writeFile(join(folder, 'b', 'eight'), '12345678');
    await writeFile(join(folder, 'program'), '#!/bin/sh\n');
    await chmod(join(folder, 'program'), 0o755);
    await symlink('../nowhere', join(folder, 'b', 'link'));
    const { stdout, stderr } = await opened.nix('nix', ['hash', 'path', '--type', 'sha256', '--sri', folder]);
    expect([stderr, narHash(folder)]).toEqual(['', stdout.trim()]);
  });
});
