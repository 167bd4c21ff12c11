// Promises whether something lies at a path, and what lies in a folder, by a look that blocks for microseconds. What is not there is an answer;
// what cannot be looked at is an error, never "nothing" (I2).

import { lstatSync, readdirSync, readFileSync, statSync, type Stats } from 'node:fs';
import { errnoOf } from '../errors.ts';

/** Entries of a folder; a folder that is not there has none. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** A small file's text; undefined where there is none. */
export function textAt(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
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
    if (errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}
