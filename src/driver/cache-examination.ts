// Promises what a doctor finds of what jobs keep: how much it is, and whether a cache of a profile has room to grow. It changes nothing.

import { statfs } from 'node:fs/promises';
import type { Profile } from '../core/model.ts';
import { faultAt, wellAt, type Finding } from '../doctor.ts';
import { freeAfter, sizeOf } from './cache-image.ts';
import { cachesIn, inUse, realFolder } from './cache-files.ts';

export type CacheQuestion = {
  readonly folder: string;
  /** Where it will be, if it is not there. */
  readonly nearest: string;
  readonly profiles: readonly Profile[];
  readonly minFreeDiskBytes: number;
};

const place = { area: 'host', name: 'caches' };

/** Nothing where no profile has a cache. */
export async function examineCaches({ folder, nearest, profiles, minFreeDiskBytes }: CacheQuestion): Promise<readonly Finding[]> {
  const keeping = profiles.flatMap(({ name, cache }) => (cache === undefined ? [] : [{ name, bytes: sizeOf(cache.maxBytes) }]));
  if (keeping.length === 0) return [];
  const real = await realFolder(folder);
  const [{ bavail, bsize }, caches, { paths, unlinked }] = [await statfs(nearest), await cachesIn(real), inUse(real)];
  const growing = [...caches.filter(({ path }) => paths.has(path)), ...unlinked];
  const idle = caches.filter(({ path }) => !paths.has(path));
  // Those that nobody uses give way to those that somebody does.
  const room = idle.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, freeAfter(bavail * bsize, growing) - minFreeDiskBytes);
  const all = caches.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, 0);
  const tight = keeping.filter(({ bytes }) => bytes > room);
  const faults = tight.map(({ name, bytes }) => {
    const what = `Profile ${name}: there is room for ${mebibytes(Math.max(0, room))} beside minFreeDisk at ${nearest}, and a cache of it may take ${mebibytes(bytes)}: jobs run without`;
    return faultAt(place, { what, remedy: 'make room there, name a larger place in cacheDir, or lower cache.maxSize' }, 'warning');
  });
  if (faults.length > 0) return faults;
  const taken = `${caches.length === 1 ? 'one cache takes' : `${caches.length} caches take`} ${mebibytes(all)}`;
  return [wellAt(place, `At ${folder} ${taken}, and another has room.`)];
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 ** 2)} MiB`;
}
