// Promises that every record that can be read is found and none is lost to another: whatever lies in the folder, what is no record of ours is
// moved aside under a name of its own with its reason, and comes back when it has become readable and nothing has taken its place.

import { constants } from 'node:fs';
import { chmod, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import type { Runner } from '../core/model.ts';
import { decodeRecord } from './record-wire.ts';

export type Folders = { readonly runners: string; readonly quarantine: string };

/** What lies aside, and why: the end of a sentence. */
export type Aside = { readonly name: string; readonly reason: string };

export type Found = {
  readonly runners: readonly Runner[];
  readonly aside: readonly Aside[];
  /** Names of those that came back. */
  readonly returned: readonly string[];
};

/** A record is a few hundred bytes; a text this long is none and is not read. */
const longestBytes = 1024 * 1024;

type Entry = { readonly name: string; readonly path: Buffer; readonly runner?: Runner; readonly reason?: string };

export async function readFolders({ runners, quarantine }: Folders): Promise<Found> {
  const aside: Aside[] = [];
  const living: Runner[] = [];
  const entries = await entriesOf(runners);
  for (const { path } of entries.filter(isUnfinished)) await rm(path, { recursive: true, force: true });
  for (const entry of inOrder(await Promise.all(entries.filter((each) => !isUnfinished(each)).map(examine)))) {
    const reason = entry.reason ?? rivalOf(entry.runner, living);
    if (entry.runner !== undefined && reason === undefined) living.push(entry.runner);
    else aside.push({ name: await moveAside(entry, quarantine), reason: reason ?? '' });
  }
  const returned: string[] = [];
  const known = new Set(aside.map(({ name }) => name));
  for (const entry of inOrder(await Promise.all((await entriesOf(quarantine)).map(examine)))) {
    if (known.has(entry.name)) continue;
    const reason = entry.reason ?? rivalOf(entry.runner, living);
    if (entry.runner === undefined || reason !== undefined) aside.push({ name: entry.name, reason: reason ?? '' });
    else {
      await rename(entry.path, placeOf(runners, entry.name));
      living.push(entry.runner);
      returned.push(entry.name);
    }
  }
  return {
    runners: living.toSorted((a, b) => a.createdAt - b.createdAt),
    aside: aside.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    returned,
  };
}

/** A write that was cut short before its rename: it never was a record. */
function isUnfinished({ name }: Entry): boolean {
  return name.endsWith('.new');
}

/** Names are bytes; read as Latin-1 they survive the way there and back, whatever they are. */
async function entriesOf(folder: string): Promise<Entry[]> {
  const names = await readdir(folder, { encoding: 'latin1' });
  return names.map((name) => ({ name, path: placeOf(folder, name) }));
}

function placeOf(folder: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, 'latin1')]);
}

async function examine({ name, path }: Entry): Promise<Entry> {
  const stats = await lstat(path);
  if (!stats.isFile()) return { name, path, reason: 'is not a file' };
  if (stats.size > longestBytes) return { name, path, reason: `is ${stats.size} bytes long` };
  // A copy from a backup may have come with the rights of another day; there is a token in it.
  if ((stats.mode & 0o777) !== 0o600) await chmod(path, 0o600);
  const decoded = decodeRecord(await textOf(path));
  if ('unreadable' in decoded) return { name, path, reason: decoded.unreadable };
  const { runner } = decoded;
  return name === `${runner.id}.json` ? { name, path, runner } : { name, path, reason: `holds the record of ${runner.id}` };
}

async function textOf(path: Buffer): Promise<string> {
  // Neither a link nor a pipe that took the file's place meanwhile is followed or waited for.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Whoever has its job longest has the better right to a machine and a slot. */
function inOrder(entries: readonly Entry[]): readonly Entry[] {
  const rankOf = ({ runner }: Entry): number => runner?.assignedAt ?? Number.MAX_SAFE_INTEGER;
  return entries.toSorted(
    (a, b) => rankOf(a) - rankOf(b) || (a.runner?.createdAt ?? 0) - (b.runner?.createdAt ?? 0) || (a.name < b.name ? -1 : 1),
  );
}

/** Two records with one machine or slot would end each other's job: only one of them can be true. */
function rivalOf(runner: Runner | undefined, living: readonly Runner[]): string | undefined {
  const rival = living.find(({ id, machine, slot }) => id === runner?.id || machine === runner?.machine || slot === runner?.slot);
  if (runner === undefined || rival === undefined) return undefined;
  if (rival.id === runner.id) return `speaks of ${runner.id}, of which there is another record`;
  return `claims ${rival.machine === runner.machine ? `the machine ${rival.machine}` : `the slot ${rival.slot}`}, which ${rival.id} has`;
}

/** Moves it under a name that nothing else has; what lies aside already is never replaced. */
async function moveAside({ name, path }: Entry, quarantine: string): Promise<string> {
  const taken = new Set(await readdir(quarantine, { encoding: 'latin1' }));
  let free = name;
  // A name may be as long as the file system allows: then its end makes room.
  for (let count = 1; taken.has(free); count += 1) free = `${name.slice(0, 240)}.${count}`;
  await rename(path, placeOf(quarantine, free));
  return free;
}
