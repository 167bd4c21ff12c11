// Promises to know by looking alone which caches there are, what each takes of the disk, and which of them machines have now.

import { readdirSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { isCacheName } from '../core/cache.ts';
import { superblockAt, superblockBytes, type CacheImage } from './cache-image.ts';
import { namesIn } from './presence.ts';

const ending = '.ext4';
const draft = `${ending}.new`;

export type CacheFile = CacheImage & { readonly name: string; readonly path: string; readonly usedAt: number };

export function cachePathOf(folder: string, name: string): string {
  return `${folder}/${name}${ending}`;
}

/** Those of a controller, the longest unused first. What has another name is somebody else's. */
export async function cachesIn(folder: string): Promise<readonly CacheFile[]> {
  const names = filesIn(folder)
    .filter((file) => file.endsWith(ending))
    .map((file) => file.slice(0, -ending.length));
  const found = await Promise.all(names.filter((name) => isCacheName(name)).map(async (name) => cacheAt(folder, name)));
  return found.filter((each) => each !== undefined).toSorted((a, b) => a.usedAt - b.usedAt);
}

/** Undefined where there is none. */
export async function cacheAt(folder: string, name: string): Promise<CacheFile | undefined> {
  const path = cachePathOf(folder, name);
  try {
    const file = await open(path);
    try {
      const { size, blocks, mtimeMs } = await file.stat();
      const superblock = new Uint8Array(superblockBytes);
      const { bytesRead } = await file.read(superblock, 0, superblockBytes, superblockAt);
      return { name, path, usedAt: mtimeMs, bytes: size, allocatedBytes: blocks * 512, superblock: superblock.subarray(0, bytesRead) };
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Paths of those whose making was begun. */
export function draftsIn(folder: string): readonly string[] {
  return filesIn(folder)
    .filter((file) => file.endsWith(draft))
    .map((file) => `${folder}/${file}`);
}

/** Files under loop devices: those that machines have now are among them, and no other cache can grow. */
export function inUse(): ReadonlySet<string> {
  const loops = namesIn('/sys/block').filter((name) => name.startsWith('loop'));
  return new Set(loops.map((name) => backingOf(name)).filter((path) => path !== undefined));
}

function filesIn(folder: string): readonly string[] {
  if (namesIn(folder).length === 0) return [];
  const places = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return places.flatMap(({ name: place }) => namesIn(`${folder}/${place}`).map((file) => `${place}/${file}`));
}

/** The file under a loop device; undefined for one that has none. */
function backingOf(loop: string): string | undefined {
  try {
    return readFileSync(`/sys/block/${loop}/loop/backing_file`, 'utf8').trimEnd();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENXIO' || code === 'ENODEV') return undefined;
    throw error;
  }
}
