// Promises whether something lies at a path, and what lies in a folder, by a look that blocks for microseconds. What is not there is an answer;
// what cannot be looked at is an error, never "nothing" (I2).

import { lstatSync, readdirSync, statSync, type Stats } from 'node:fs';

/** Entries of a folder; a folder that is not there has none. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

export async function exists(path: string): Promise<boolean> {
  return isSeen(() => statSync(path, { throwIfNoEntry: false }));
}

/** True also of a link that leads nowhere. */
export function entryIsThere(path: string): boolean {
  return isSeen(() => lstatSync(path, { throwIfNoEntry: false }));
}

function isSeen(look: () => Stats | undefined): boolean {
  try {
    return look() !== undefined;
  } catch (error) {
    // One of the folders on the way is a file.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return false;
    throw error;
  }
}
