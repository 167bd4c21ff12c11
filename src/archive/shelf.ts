// Promises a folder of small texts, one for each end, that is never larger than it may be: room is made before each is written, the oldest go
// first. Each is whole or absent (temporary file, rename), 0600, and named by id and time; whatever else lies there is named and left alone.

import { lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunnerId } from '../core/model.ts';
import { isMachineId } from '../core/naming.ts';
import { errnoOf } from '../errors.ts';

/** `agesFrom`: what claims to have ended later than it can have counts its age from when it was seen. */
export type Entry = { readonly id: RunnerId; readonly endedAt: number; readonly agesFrom: number; readonly bytes: number };
export type Bounds = { readonly maxAgeMs: number; readonly maxBytes: number };

export type Shelf = {
  /** Names that are none of ours. */
  readonly strangers: readonly string[];
  /** Oldest first. */
  entries(): readonly Entry[];
  /** Rejects as the file system does, and then nothing is left of it. */
  put(id: RunnerId, endedAt: number, text: string, bounds: Bounds): Promise<void>;
  /** Removes what is too old at `now`, and the oldest of what is too much. */
  prune(bounds: Bounds, now: number): Promise<void>;
  /** The text, or the first `bytes` of it. Undefined when it has gone. */
  read(entry: Entry, bytes?: number): Promise<string | undefined>;
};

const blockBytes = 4_096;
/** How many files are looked at side by side. */
const abreast = 32;

/** `now` is the latest time that an end can have been. */
export async function openShelf(folder: string, now: number): Promise<Shelf> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const strangers: string[] = [];
  const entries: Entry[] = [];
  const names = await readdir(folder);
  for (let at = 0; at < names.length; at += abreast) {
    const found = await Promise.all(names.slice(at, at + abreast).map(async (name) => ({ name, entry: await look(folder, name, now) })));
    for (const { name, entry } of found) {
      if (entry === 'stranger') strangers.push(name);
      else if (entry !== undefined) entries.push(entry);
    }
  }
  entries.sort((a, b) => a.endedAt - b.endedAt);
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  const pathOf = ({ id, endedAt }: Pick<Entry, 'id' | 'endedAt'>): string => join(folder, `${id}-${endedAt}.log`);
  const isOver = (entry: Entry, { maxAgeMs, maxBytes }: Bounds, at: number): boolean => total > maxBytes || entry.agesFrom + maxAgeMs <= at;

  async function prune(bounds: Bounds, at: number): Promise<void> {
    for (let oldest = entries[0]; oldest !== undefined && isOver(oldest, bounds, at); oldest = entries[0]) {
      // Out of the list first: others may prune meanwhile.
      entries.shift();
      total -= oldest.bytes;
      try {
        await rm(pathOf(oldest), { force: true });
      } catch (error) {
        entries.unshift(oldest);
        total += oldest.bytes;
        throw error;
      }
    }
  }

  return {
    strangers,
    entries: () => entries,
    prune,
    async put(id, endedAt, text, bounds) {
      const entry = { id, endedAt, agesFrom: endedAt, bytes: onDisk(Buffer.byteLength(text)) };
      if (entry.bytes > bounds.maxBytes) return;
      await prune({ ...bounds, maxBytes: bounds.maxBytes - entry.bytes }, endedAt);
      const path = pathOf(entry);
      try {
        await writeFile(`${path}.new`, text, { mode: 0o600, flag: 'w' });
        await rename(`${path}.new`, path);
      } catch (error) {
        await rm(`${path}.new`, { force: true });
        throw error;
      }
      const place = entries.findLastIndex((each) => each.endedAt <= endedAt) + 1;
      entries.splice(place, 0, entry);
      total += entry.bytes;
    },
    async read(entry, bytes) {
      try {
        return await (bytes === undefined ? readFile(pathOf(entry), 'utf8') : beginningOf(pathOf(entry), bytes));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
  };
}

function isMissing(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT';
}

/** What it takes from the file system, by and large. */
function onDisk(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / blockBytes)) * blockBytes;
}

async function look(folder: string, name: string, now: number): Promise<Entry | 'stranger' | undefined> {
  const [, id = '', time = '', unfinished] = /^([a-z0-9]+)-(\d{1,15})\.log(\.new)?$/.exec(name) ?? [];
  if (!isMachineId(id)) return 'stranger';
  // A write that was cut short before its rename.
  if (unfinished !== undefined) {
    await rm(join(folder, name), { recursive: true, force: true });
    return undefined;
  }
  const stats = await lstat(join(folder, name));
  if (!stats.isFile()) return 'stranger';
  return { id, endedAt: Number(time), agesFrom: Math.min(Number(time), now), bytes: onDisk(stats.size) };
}

async function beginningOf(path: string, bytes: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
