// The archive on a real disk: what ended can be read after any restart, the folder never holds more than it may, and nothing that is wrong with
// it reaches anybody but the log.

import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Caps, Console } from '../../src/archive/archive.ts';
import { createFileArchive, type FileArchive, type FileArchiveOptions, type Wanted } from '../../src/archive/file-archive.ts';
import type { EndedView } from '../../src/core/snapshot.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { createMemoryLog } from '../support/reconciler-rig.ts';

const kib = 1_024;
const day = 24 * 3_600_000;
const caps: Caps = { maxAgeMs: 14 * day, maxBytes: 200 * kib * kib, perJobBytes: 256 * kib };

let root: string;
let folder: string;
let clock: TestClock;
let log: ReturnType<typeof createMemoryLog>;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'archive-'));
  folder = join(root, 'archive');
  clock = createTestClock(1_700_000_000_000);
  log = createMemoryLog();
});
afterEach(() => rm(root, { recursive: true, force: true }));

const idOf = (number: number): string => `j${String(number).padStart(7, '0')}abc`;
const endOf = (number: number, over: Partial<EndedView> = {}): EndedView => ({
  id: idOf(number),
  forge: 'main',
  job: { id: number, name: `job ${number}`, repositoryId: 3, attempt: 1, handle: `handle-${number}` },
  profile: 'default',
  createdAt: clock.now() - 60_000,
  assignedAt: clock.now() - 59_000,
  pickedAt: clock.now() - 58_000,
  endedAt: clock.now(),
  reason: 'machine-failed',
  cause: 'killed: memory limit 256 MiB',
  exit: { result: 'exit-code', code: 'exited', status: '137', memoryPeakBytes: 256 * kib * kib, oomKills: 2, cpuMs: 1_234 },
  ...over,
});

type Over = Partial<FileArchiveOptions> & { readonly lines?: readonly string[] };
function open({ lines = ['one', 'two'], ...over }: Over = {}): FileArchive {
  const consoles = (wanted: readonly Wanted[]): Promise<ReadonlyMap<string, Console>> =>
    Promise.resolve(new Map(wanted.map(({ id }) => [id, { lines, cut: false }])));
  return createFileArchive({ folder, caps, consoles, mask: (text) => text, log, clock, ...over });
}

/** Kept and written. */
async function keepAll(archive: FileArchive, ends: readonly EndedView[]): Promise<void> {
  for (const ended of ends) {
    archive.keep(ended.id, ended);
    await archive.find(ended.id);
  }
}
const mask = (text: string): string => text.replaceAll('hush-hush', '[secret]');
const warnings = () => log.lines.filter(({ level }) => level !== 'info' && level !== 'debug');
const sizeOnDisk = async (): Promise<number> => {
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + Math.ceil(size / 4_096) * 4_096, 0);
};

describe('what is kept', () => {
  test('is the summary and the console as it was, control characters and all, readable by root alone, also after a restart', async () => {
    const lines = ['first', '\u001b[31mred\u001b[0m\r', '', 'last words'];
    const ended = endOf(1);
    await keepAll(open({ lines }), [ended]);
    const archive = open();
    expect(await archive.find(ended.id)).toEqual({ ended, console: { lines, cut: false } });
    expect(await archive.recent()).toEqual([ended]);
    const [name = ''] = await readdir(folder);
    expect([(await stat(folder)).mode & 0o777, (await stat(join(folder, name))).mode & 0o777]).toEqual([0o700, 0o600]);
    const [header = ''] = (await readFile(join(folder, name), 'utf8')).split('\n');
    expect(JSON.parse(header)).toMatchObject({ from: '2023-11-14T22:12:20.000Z', to: '2023-11-14T22:13:20.000Z' });
    expect(warnings()).toEqual([]);
  });

  test('is the last one of an id that had several machines, and each is asked for what it wrote itself', async () => {
    const asked: Wanted[] = [];
    const archive = open({
      consoles: (wanted) => {
        asked.push(...wanted);
        return Promise.resolve(new Map(wanted.map(({ id }) => [id, { lines: [`${asked.length}`], cut: false }])));
      },
    });
    const first = endOf(1, { reason: 'unpicked' });
    await keepAll(archive, [first]);
    clock.advance(60_000);
    const second = endOf(1);
    await keepAll(archive, [second]);
    expect(await archive.find(second.id)).toEqual({ ended: second, console: { lines: ['2'], cut: false } });
    expect(asked).toEqual([{ id: first.id }, { id: first.id, after: first.endedAt }]);
    expect(await archive.recent()).toEqual([second, first]);
  });

  test('holds no secret: lines and names are masked before anything is cut', async () => {
    const ended = endOf(1, { job: { ...endOf(1).job, name: 'print hush-hush' } });
    await keepAll(open({ mask, lines: ['x'.repeat(2_000), 'token hush-hush'], caps: { ...caps, perJobBytes: kib } }), [ended]);
    const [name = ''] = await readdir(folder);
    const text = await readFile(join(folder, name), 'utf8');
    expect(text).not.toContain('hush');
    expect(await open().find(ended.id)).toMatchObject({ console: { lines: ['token [secret]'], cut: true } });
  });

  test('is written for a burst with few looks at the journal', async () => {
    let looks = 0;
    const archive = open({ consoles: () => Promise.resolve(new Map(((looks += 1), []))) });
    const ends = Array.from({ length: 100 }, (_, number) => endOf(number + 1));
    for (const ended of ends) archive.keep(ended.id, ended);
    await archive.close();
    expect((await open().recent()).length).toBe(100);
    expect(looks).toBe(10);
  });

  test('is what had ended when the service ends', async () => {
    const archive = open();
    archive.keep(idOf(1), endOf(1));
    await archive.close();
    expect(await open().recent()).toHaveLength(1);
  });

  test('is the last thousand in the list, the newest first', async () => {
    const archive = open({ caps: { ...caps, perJobBytes: 0 } });
    for (let number = 1; number <= 1_000; number += 1) archive.keep(idOf(number), endOf(number, { endedAt: clock.now() + number }));
    await archive.close();
    const more = open();
    for (const number of [1_001, 1_002]) more.keep(idOf(number), endOf(number, { endedAt: clock.now() + number }));
    await more.close();
    const recent = await open().recent();
    expect([recent.length, recent[0]?.job.id, recent.at(-1)?.job.id]).toEqual([1_000, 1_002, 3]);
  });
});

describe('the caps', () => {
  test('of size hold at every write, and the oldest go first', async () => {
    const bounded = { ...caps, maxBytes: 5 * 4_096 };
    const archive = open({ caps: bounded });
    for (let number = 1; number <= 8; number += 1) {
      await keepAll(archive, [endOf(number)]);
      clock.advance(1_000);
      expect(await sizeOnDisk()).toBeLessThanOrEqual(bounded.maxBytes);
    }
    expect((await archive.recent()).map(({ job }) => job.id)).toEqual([8, 7, 6, 5, 4]);
    expect(await archive.find(idOf(3))).toBeUndefined();
  });

  test('hold at the start, too: what became too much or too old meanwhile goes', async () => {
    const archive = open();
    for (let number = 1; number <= 4; number += 1) {
      await keepAll(archive, [endOf(number)]);
      clock.advance(day);
    }
    expect(await open({ caps: { ...caps, maxAgeMs: 3 * day } }).recent()).toHaveLength(2);
    expect(await readdir(folder)).toHaveLength(2);
    expect(await open({ caps: { ...caps, maxBytes: 4_096 } }).recent()).toMatchObject([{ job: { id: 4 } }]);
    expect(await readdir(folder)).toHaveLength(1);
  });

  test('of age hold while nothing ends, and lower ones at once', async () => {
    const archive = open();
    await keepAll(archive, [endOf(1)]);
    clock.advance(day);
    await keepAll(archive, [endOf(2)]);
    clock.advance(13 * day);
    archive.tend();
    await expect.poll(async () => readdir(folder)).toHaveLength(1);
    archive.configure({ ...caps, maxAgeMs: 0 });
    await expect.poll(async () => readdir(folder)).toEqual([]);
  });

  test('of age hold for what claims to have ended in times to come, as after a wrong clock', async () => {
    await keepAll(open(), [endOf(1, { endedAt: clock.now() + 1_000 * day })]);
    const archive = open();
    expect(await archive.recent()).toHaveLength(1);
    clock.advance(14 * day);
    archive.tend();
    await expect.poll(async () => readdir(folder)).toEqual([]);
  });

  test('of one console keep its end', async () => {
    const lines = Array.from({ length: 100 }, (_, at) => `line ${at} ${'x'.repeat(90)}`);
    await keepAll(open({ lines, caps: { ...caps, perJobBytes: kib } }), [endOf(1)]);
    const kept = await open().find(idOf(1));
    expect(kept?.console).toEqual({ lines: lines.slice(-10), cut: true });
  });

  test.each([
    ['age', { ...caps, maxAgeMs: 0 }, 0],
    ['size', { ...caps, maxBytes: 0 }, 0],
    ['one console', { ...caps, perJobBytes: 0 }, 1],
  ] as const)('of nothing for %s keep as little, and ask the journal for nothing', async (_, off, kept) => {
    let looks = 0;
    const archive = open({ caps: off, consoles: () => Promise.resolve(new Map(((looks += 1), []))) });
    await keepAll(archive, [endOf(1)]);
    expect(await readdir(folder)).toHaveLength(kept);
    expect([looks, warnings()]).toEqual([0, []]);
    const found = kept === 0 ? undefined : { ended: endOf(1), console: { lines: [], cut: false } };
    expect(await archive.find(idOf(1))).toEqual(found);
  });
});

describe('what is wrong with the folder', () => {
  test('files that are broken or none of ours are told once, left out of the list, and nothing else suffers', async () => {
    await keepAll(open(), [endOf(1)]);
    for (const [name, text] of [
      [`${idOf(2)}-1700000000000.log`, ''],
      [`${idOf(3)}-1700000000000.log`, '{"version":1,"ended":'],
      [`${idOf(4)}-1700000000000.log`, `{"version":9}\n`],
      [`${idOf(5)}-1700000000000.log`, '\0'.repeat(100_000)],
      ['notes.txt', 'mine'],
      [`${idOf(6)}-1700000000000.log.new`, 'half'],
    ] as const)
      await writeFile(join(folder, name), text);
    await mkdir(join(folder, `${idOf(7)}-1700000000000.log`));
    await symlink('/etc/shadow', join(folder, `${idOf(8)}-1700000000000.log`));
    const archive = open();
    expect(await archive.recent()).toEqual([endOf(1)]);
    expect(warnings().map(({ event, facts, message }) => [event, facts['count'], message])).toEqual([
      ['archive', 3, "files in the archive's folder are none of the archive and left alone"],
      ['archive', 4, "files in the archive's folder cannot be understood: what they held is not listed"],
    ]);
    expect(await archive.find(idOf(2))).toBeUndefined();
    expect(await archive.find(idOf(8))).toBeUndefined();
    expect(await readdir(folder)).not.toContain(`${idOf(6)}-1700000000000.log.new`);
    expect(await readFile(join(folder, 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('a text under the name of another runner is not taken for its own', async () => {
    await keepAll(open(), [endOf(1)]);
    const [name = ''] = await readdir(folder);
    await writeFile(join(folder, name.replace(idOf(1), idOf(2))), await readFile(join(folder, name)));
    expect(await open().find(idOf(2))).toBeUndefined();
    expect(await open().recent()).toHaveLength(1);
  });

  test('a folder that cannot be made costs one line, and the next end is kept when it can', async () => {
    await writeFile(folder, 'in the way');
    const archive = open();
    expect(await archive.recent()).toEqual([]);
    await keepAll(archive, [endOf(1), endOf(2)]);
    expect(warnings()).toMatchObject([{ level: 'warn', event: 'archive' }]);
    await rm(folder);
    await keepAll(archive, [endOf(3)]);
    expect(await archive.recent()).toMatchObject([{ job: { id: 3 } }]);
  });

  test('an unreadable journal leaves the summary, with what was said of it', async () => {
    const trouble = 'the journal could not be read: no such program';
    const consoles: FileArchiveOptions['consoles'] = (wanted) =>
      Promise.resolve(new Map(wanted.map(({ id }) => [id, { lines: [], cut: false, trouble }])));
    const archive = open({ consoles });
    await keepAll(archive, [endOf(1)]);
    expect(await archive.find(idOf(1))).toEqual({ ended: endOf(1), console: { lines: [], cut: false, trouble } });
  });

  test('a bug while a console is read costs its entries and one line, and nobody waits for it', async () => {
    const archive = open({ consoles: () => Promise.reject(new TypeError('a bug')) });
    await keepAll(archive, [endOf(1), endOf(2)]);
    expect(warnings()).toMatchObject([{ level: 'warn', event: 'archive' }]);
    await archive.close();
  });
});
