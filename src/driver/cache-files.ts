// Promises to know by looking alone which caches there are, what each takes of the disk, and which of them machines have now.

import { readdirSync, readFileSync } from 'node:fs';
import { open, realpath, statfs } from 'node:fs/promises';
import { isCacheName } from '../core/cache.ts';
import { errnoOf } from '../errors.ts';
import { fullOf, superblockAt, superblockBytes, type CacheImage } from './cache-image.ts';
import { namesIn, textAt } from './presence.ts';
import { mountList, mountsIn } from './traces.ts';

const ending = '.ext4';
const draft = `${ending}.new`;

export type CacheFile = CacheImage & { readonly name: string; readonly path: string; readonly usedAt: number };

export function cachePathOf(folder: string, name: string): string {
  return `${folder}/${name}${ending}`;
}

/** As the kernel names it under a loop device: no link on the way. What is not there has no other name. */
export async function realFolder(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return folder;
    throw error;
  }
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
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Paths of those whose making was begun. */
export function draftsIn(folder: string): readonly string[] {
  return filesIn(folder)
    .filter((file) => file.endsWith(draft))
    .map((file) => `${folder}/${file}`);
}

export type InUse = {
  /** Files under loop devices: those that machines have now are among them, and no other cache can grow. */
  readonly paths: ReadonlySet<string>;
  /** Those of the folder that machines have and that no path leads to any more. What they take cannot be seen: as if all were still to come. */
  readonly unlinked: readonly Pick<CacheImage, 'bytes' | 'allocatedBytes'>[];
};

/** As the kernel ends the name of what was unlinked. */
const unlinkedEnding = `${ending} (deleted)`;

export function inUse(folder: string, devices = '/sys/block'): InUse {
  const loops = loopsIn(devices);
  const gone = loops.filter(({ path }) => path.startsWith(`${folder}/`) && path.endsWith(unlinkedEnding));
  const unlinked = gone.map(({ device }) => ({ bytes: Number(textAt(`${device}/size`) ?? 0) * 512, allocatedBytes: 0 }));
  return { paths: new Set(loops.map(({ path }) => path)), unlinked };
}

/** Why one that machines have is to be made anew, as its file says only when it is unmounted: it is full by now. */
export async function filledOf({ path, bytes }: Pick<CacheFile, 'path' | 'bytes'>): Promise<string | undefined> {
  const device = loopsIn('/sys/block').find((each) => each.path === path)?.device;
  const number = device === undefined ? undefined : textAt(`${device}/dev`)?.trim();
  if (number === undefined) return undefined;
  const target = mountsIn(mountList()).find(({ words }) => words[2] === number)?.path;
  if (target === undefined) return undefined;
  try {
    const found = await statfs(target);
    // Unmounted meanwhile: that is the host's own disk.
    return found.blocks * found.bsize > bytes ? undefined : fullOf(found);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Those that have a file under them. */
function loopsIn(devices: string): readonly { readonly device: string; readonly path: string }[] {
  const names = namesIn(devices).filter((name) => name.startsWith('loop'));
  return names.flatMap((name) => {
    const [device, path] = [`${devices}/${name}`, backingOf(`${devices}/${name}`)];
    return path === undefined ? [] : [{ device, path }];
  });
}

function filesIn(folder: string): readonly string[] {
  if (namesIn(folder).length === 0) return [];
  const places = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return places.flatMap(({ name: place }) => namesIn(`${folder}/${place}`).map((file) => `${place}/${file}`));
}

/** The file under a loop device; undefined for one that has none. */
function backingOf(device: string): string | undefined {
  try {
    return readFileSync(`${device}/loop/backing_file`, 'utf8').trimEnd();
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT' || code === 'ENXIO' || code === 'ENODEV') return undefined;
    throw error;
  }
}
