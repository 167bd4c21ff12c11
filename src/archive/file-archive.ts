// Promises the archive in a folder of the state directory: a follower of ends that nothing waits for. It gathers for a moment, reads the consoles
// of all who ended meanwhile at once, masks what is secret and writes. A full disk, an unreadable journal or a bug costs entries and one line.

import type { Clock } from '../clock.ts';
import type { MachineId, RunnerId } from '../core/model.ts';
import type { EndedView } from '../core/snapshot.ts';
import type { Log } from '../log.ts';
import { decodeEnded, decodeKept, encodeKept, mostHeaderBytes } from './archive-wire.ts';
import type { Archive, Caps, Console, Kept } from './archive.ts';
import { openShelf, type Entry, type Shelf } from './shelf.ts';

/** `after`: what an earlier machine of that id wrote until then is not meant; a moment of the time line. */
export type Wanted = { readonly id: MachineId; readonly after?: number };

export type FileArchiveOptions = {
  readonly folder: string;
  readonly caps: Caps;
  /** The consoles of machines that may be gone, each at most so many bytes long. */
  readonly consoles: (wanted: readonly Wanted[], maxBytes: number) => Promise<ReadonlyMap<MachineId, Console>>;
  readonly mask: (text: string) => string;
  readonly log: Log;
  readonly clock: Clock;
};

export type FileArchive = Archive & {
  configure(caps: Caps): void;
  /** Writes what is still to be written, for some seconds at most. */
  close(): Promise<void>;
};

/** Ends come in bursts, and every look at the journal costs the same, be it for one console or ten. */
const gatherMs = 250;
/** With a console of the usual largest size each, what one look may give (driver/console.ts). */
const perLook = 10;
const closeMs = 5_000;
/** More than can end while the disk hangs for minutes. */
const mostWaiting = 1_000;
const recentRead = 1_000;
const none: Console = { lines: [], cut: false };

type Ended = { readonly machine: MachineId; readonly ended: EndedView };

export function createFileArchive(options: FileArchiveOptions): FileArchive {
  const { folder, consoles, mask, log, clock } = options;
  let { caps } = options;
  let opening: Promise<Shelf> | undefined;
  let busy: Promise<void> | undefined;
  let hurry = new AbortController();
  let complained = false;
  const waiting: Ended[] = [];
  const writing = new Set<RunnerId>();

  /** Once, until something was kept again. */
  function complain(error: unknown, facts: { readonly runner?: RunnerId } = {}): void {
    if (!complained)
      log.warn('archive', { ...facts, error, folder }, 'ends and consoles cannot be kept or read; jobs are not touched by it');
    complained = true;
  }

  async function openOnce(): Promise<Shelf> {
    const shelf = await openShelf(folder, clock.now());
    if (shelf.strangers.length > 0) tellOf(shelf.strangers, 'are none of the archive and left alone');
    await shelf.prune(caps, clock.now());
    return shelf;
  }

  function tellOf(names: readonly string[], what: string): void {
    log.warn('archive', { folder, files: names.slice(0, 5), count: names.length }, `files in the archive's folder ${what}`);
  }

  async function opened(): Promise<Shelf> {
    const attempt = (opening ??= openOnce());
    try {
      return await attempt;
    } catch (error) {
      // A folder that cannot be read now may be there for the next end.
      if (opening === attempt) opening = undefined;
      throw error;
    }
  }

  async function quietly(work: () => Promise<void>, facts?: { readonly runner?: RunnerId }): Promise<void> {
    try {
      await work();
    } catch (error) {
      complain(error, facts);
    }
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      await clock.sleep(gatherMs, hurry.signal);
      const batch = waiting.splice(0, perLook);
      for (const { ended } of batch) writing.add(ended.id);
      await quietly(() => shelve(batch));
      for (const { ended } of batch) writing.delete(ended.id);
    }
    busy = undefined;
  }

  async function shelve(batch: readonly Ended[]): Promise<void> {
    if (caps.maxAgeMs === 0 || caps.maxBytes === 0) return;
    const shelf = await opened();
    const found =
      caps.perJobBytes === 0
        ? new Map<MachineId, Console>()
        : await consoles(
            batch.map((each) => wantedOf(shelf, each)),
            caps.perJobBytes,
          );
    for (const { machine, ended } of batch) {
      await quietly(
        async () => {
          const kept = { ended: maskedOf(ended, mask), console: clipped(found.get(machine) ?? none, mask, caps.perJobBytes) };
          await shelf.put(ended.id, ended.endedAt, encodeKept(kept, clock.wallOf), caps);
          complained = false;
        },
        { runner: ended.id },
      );
    }
  }

  async function readRecent(): Promise<readonly EndedView[]> {
    const shelf = await opened();
    const views: EndedView[] = [];
    const broken: string[] = [];
    for (const entry of shelf.entries().slice(-recentRead).toReversed()) {
      const text = await shelf.read(entry, mostHeaderBytes);
      const view = text === undefined ? undefined : decodeEnded(text);
      if (view?.id === entry.id) views.push(view);
      else if (text !== undefined) broken.push(nameOf(entry));
    }
    if (broken.length > 0) tellOf(broken, 'cannot be understood: what they held is not listed');
    return views;
  }

  async function find(id: RunnerId): Promise<Kept | undefined> {
    if (writing.has(id) || waiting.some(({ ended }) => ended.id === id)) {
      hurry.abort();
      if (!closed) hurry = new AbortController();
      await busy;
    }
    const shelf = await opened();
    const entry = shelf.entries().findLast((each) => each.id === id);
    const text = entry === undefined ? undefined : await shelf.read(entry);
    const kept = text === undefined ? undefined : decodeKept(text);
    return kept?.ended.id === id ? kept : undefined;
  }

  let closed = false;
  return {
    keep(machine, ended) {
      if (waiting.length >= mostWaiting)
        complain(new Error(`${mostWaiting} ends wait to be written`), { runner: waiting.shift()?.ended.id ?? '' });
      waiting.push({ machine, ended });
      busy ??= drain();
    },
    async recent() {
      let views: readonly EndedView[] = [];
      await quietly(async () => void (views = await readRecent()));
      return views;
    },
    async find(id) {
      let kept: Kept | undefined;
      await quietly(async () => void (kept = await find(id)));
      return kept;
    },
    tend() {
      void quietly(async () => (await opened()).prune(caps, clock.now()));
    },
    configure(wanted) {
      caps = wanted;
      this.tend();
    },
    async close() {
      closed = true;
      hurry.abort();
      const patience = new AbortController();
      await Promise.race([busy, clock.sleep(closeMs, patience.signal)]);
      patience.abort();
    },
  };
}

function wantedOf(shelf: Shelf, { machine, ended }: Ended): Wanted {
  const before = shelf.entries().findLast(({ id }) => id === ended.id);
  return { id: machine, ...(before === undefined ? {} : { after: before.endedAt }) };
}

function nameOf({ id, endedAt }: Entry): string {
  return `${id}-${endedAt}.log`;
}

/** Names are what the author of a workflow wrote. */
function maskedOf(ended: EndedView, mask: (text: string) => string): EndedView {
  return { ...ended, job: { ...ended.job, name: mask(ended.job.name) } };
}

/** Masked first: half a secret would not be recognised. */
function clipped(written: Console, mask: (text: string) => string, maxBytes: number): Console {
  const lines = written.lines.map(mask);
  let bytes = 0;
  const from = lines.findLastIndex((line) => (bytes += Buffer.byteLength(line) + 1) > maxBytes) + 1;
  return { ...written, lines: lines.slice(from), cut: written.cut || from > 0 };
}
