// Promises nix/runtime-dependencies.json: the hash under which Nix accepts the packages that the program is bundled from, and the digest of
// that part of package-lock.json it was made for. `scripts/update-npm-hash` calls it; a change of packages for development alone changes neither.

import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { narHash } from './nar.ts';

type LockEntry = { readonly version?: string; readonly integrity?: string; readonly dev?: boolean };
export type Lock = { readonly packages: Readonly<Record<string, LockEntry>> };
export type Runtime = { readonly lock: string; readonly hash: string };

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Where each package of the running program lies, and what it is. */
export function runtimePart(lock: Lock): Readonly<Record<string, string>> {
  const entries = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && dev !== true);
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([path, { integrity = '' }]) => [path, integrity]));
}

/** nix/package.nix makes the same digest out of the same lock, and refuses to build with the hash of another. */
export function lockDigest(lock: Lock): string {
  return createHash('sha256')
    .update(JSON.stringify(runtimePart(lock)))
    .digest('hex');
}

/** What differs from one installation to the next goes: npm's own notes, links to programs, and who may execute what. */
function makePlain(modules: string): void {
  for (const entry of readdirSync(modules, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.name === '.bin' || (entry.parentPath === modules && entry.name.startsWith('.')))
      rmSync(path, { recursive: true, force: true });
    else if (entry.isFile() && !path.includes('/.bin/')) chmodSync(path, 0o644);
  }
}

/** The hash of a folder node_modules that holds the packages of the running program and no other; it is left as Nix would have it. */
export function hashOf(modules: string): string {
  makePlain(modules);
  return narHash(modules);
}

/** Puts into a folder what an installation without the packages for development would bring, out of one that has them all. */
export function selectRuntime(lock: Lock, from: string, to: string): void {
  for (const path of Object.keys(runtimePart(lock))) {
    const target = join(to, path);
    mkdirSync(target, { recursive: true });
    // What lies in a package's own node_modules is a package of the lock as well, or not wanted.
    const nested = join(from, path, 'node_modules');
    cpSync(join(from, path), target, { recursive: true, verbatimSymlinks: true, filter: (source) => source !== nested });
  }
}

export function readLock(): Lock {
  return JSON.parse(readFileSync(at('package-lock.json'), 'utf8')) as Lock;
}

export function readRuntime(): Runtime {
  return JSON.parse(readFileSync(at('nix/runtime-dependencies.json'), 'utf8')) as Runtime;
}

/** The hash that belongs to the packages as they are installed here. */
export function installedHash(): string {
  const scratch = mkdtempSync(join(tmpdir(), 'frc-npm-hash-'));
  try {
    selectRuntime(readLock(), at(''), scratch);
    return hashOf(join(scratch, 'node_modules'));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const [modules = ''] = process.argv.slice(2);
  const next: Runtime = { lock: lockDigest(readLock()), hash: hashOf(modules) };
  writeFileSync(at('nix/runtime-dependencies.json'), `${JSON.stringify(next, null, 2)}\n`);
  process.stdout.write(`${next.hash}\n`);
}
