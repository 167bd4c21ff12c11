// Promises to know which file systems refuse idmapped mounts, so that what lies there is refused in a sentence or bound without.

import { statfs } from 'node:fs/promises';

/** Magic numbers of file systems that refuse idmapped mounts. */
const withoutIdmap: ReadonlyMap<number, string> = new Map([
  [0x794c_7630, 'overlayfs'],
  [0x6969, 'NFS'],
  [0x0102_1997, '9p'],
  [0x6573_5546, 'FUSE'],
  [0x517b, 'SMB'],
]);

/** The name of the file system that a path is on when it cannot be idmapped. */
export async function refusesIdmap(path: string): Promise<string | undefined> {
  return withoutIdmap.get((await statfs(path)).type);
}

export async function canBeIdmapped(path: string): Promise<boolean> {
  return (await refusesIdmap(path)) === undefined;
}
