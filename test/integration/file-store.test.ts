// The records on a real disk.

import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EndReason, StopReason } from '../../src/core/model.ts';
import { openFileStore } from '../../src/store/file-store.ts';
import { aJob, aRunner } from '../support/build.ts';

let stateDir: string;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'store-'));
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

const opened = (controllerId = 'test') => openFileStore({ stateDir, controllerId });
const full = aRunner(aJob(1), {
  timeouts: { startMs: 1, pickMs: 2, jobMs: 3, stopMs: 4 },
  credentials: { id: 3, uuid: 'u', token: 'secret' },
  assignedAt: 2,
  pickedAt: 3,
  missedAt: 4,
  stop: { reason: 'job-timeout', at: 5 },
});

// By type, no word can be missing here that the program knows.
const stopReasons: Record<StopReason, true> = {
  'start-timeout': true,
  unpicked: true,
  'job-timeout': true,
  cancelled: true,
  'job-gone': true,
  'start-failed': true,
  'no-job': true,
  ttl: true,
  operator: true,
};
const endReasons: Record<EndReason, true> = { ...stopReasons, finished: true, 'machine-failed': true, 'machine-lost': true };

describe('file store', () => {
  test('what was put reads back equal, and is gone after delete', async () => {
    const store = await opened();
    await store.put(full);
    const other = aRunner(aJob(2), { slot: 1 });
    await store.put(other);
    expect((await store.load()).runners).toEqual(expect.arrayContaining([full, other]));
    await store.delete(full.id);
    await store.delete(full.id);
    expect((await store.load()).runners).toEqual([other]);
    await store.close();
  });
  test('every word for a stop and for an end reads back, with what was seen of it', async () => {
    const store = await opened();
    const exit = { result: 'oom-kill', code: 'killed', status: 'KILL', memoryPeakBytes: 7, oomKills: 1, cpuMs: 9 };
    const ended = Object.keys(endReasons).map((reason, index) =>
      aRunner(aJob(index + 1), { slot: index, createdAt: index, taskId: 9, ending: { reason: reason as EndReason, at: 5, exit } }),
    );
    const stopped = Object.keys(stopReasons).map((reason, index) =>
      aRunner(aJob(index + 101), { slot: index + 100, createdAt: index + 100, taskId: 9, stop: { reason: reason as StopReason, at: 5 } }),
    );
    for (const runner of [...ended, ...stopped]) await store.put(runner);
    expect(await store.load()).toMatchObject({ runners: [...ended, ...stopped], quarantined: [] });
    await store.close();
  });
  test('I1 whoever reads a record while it is written anew sees the old one whole', async () => {
    const store = await opened();
    await store.put(aRunner(aJob(1)));
    const before = await open(join(stateDir, 'runners', `${full.id}.json`));
    await store.put(full);
    expect(JSON.parse(await before.readFile('utf8'))).toEqual({ version: 1, runner: aRunner(aJob(1)) });
    await before.close();
    await store.close();
  });
  test('I7 a record with a token is readable by its owner alone', async () => {
    const store = await opened();
    await store.put(full);
    expect((await stat(join(stateDir, 'runners'))).mode & 0o777).toBe(0o700);
    expect((await stat(join(stateDir, 'runners', `${full.id}.json`))).mode & 0o777).toBe(0o600);
    await store.close();
  });
  test('a half-written record is forgotten, an unreadable one is put aside and named, neither is deleted silently', async () => {
    const store = await opened();
    await store.put(full);
    await writeFile(join(stateDir, 'runners', `${aRunner(aJob(2)).id}.json.new`), '{"versio');
    await writeFile(join(stateDir, 'runners', 'j0000009abc.json'), '{"version":1,"runner":{"id":"j00');
    await writeFile(join(stateDir, 'runners', 'j0000008abc.json'), JSON.stringify({ version: 99, runner: { ...full, id: 'j0000008abc' } }));
    const loaded = await store.load();
    expect(loaded.runners).toEqual([full]);
    expect(loaded.quarantined).toEqual(['j0000008abc.json', 'j0000009abc.json']);
    expect(await readFile(join(stateDir, 'quarantine', 'j0000009abc.json'), 'utf8')).toContain('"version":1');
    expect(await readdir(join(stateDir, 'runners'))).toEqual([`${full.id}.json`]);
    await store.close();
  });
  test('a record whose name and id differ is put aside', async () => {
    const store = await opened();
    await store.put(full);
    await writeFile(join(stateDir, 'runners', 'j0000007abc.json'), await readFile(join(stateDir, 'runners', `${full.id}.json`)));
    expect((await store.load()).quarantined).toEqual(['j0000007abc.json']);
    await rename(join(stateDir, 'runners', `${full.id}.json`), join(stateDir, 'runners', 'j0000008abc.json'));
    expect(await store.load()).toMatchObject({ runners: [], quarantined: ['j0000007abc.json', 'j0000008abc.json'], returned: [] });
    await store.close();
  });
  test('what lies in the place of a record is put aside with its reason, whatever it is, and nothing waits for it', async () => {
    const store = await opened();
    await store.put(full);
    const folder = join(stateDir, 'runners');
    await mkdir(join(folder, 'j0000002abc.json', 'deep'), { recursive: true });
    await symlink('/etc/passwd', join(folder, 'j0000003abc.json'));
    execFileSync('sh', ['-c', 'mkfifo "$1"', '-', join(folder, 'j0000004abc.json')]);
    await writeFile(join(folder, 'j0000005abc.json'), '');
    await writeFile(join(folder, 'j0000006abc.json'), Buffer.alloc(400));
    await writeFile(join(folder, 'j0000007abc.json'), Buffer.alloc(2 * 1024 * 1024, 'x'));
    await mkdir(join(folder, 'j0000009abc.json.new'));
    await writeFile(join(folder, 'notes.txt'), 'mine');
    const { runners, aside } = await store.load();
    expect(runners).toEqual([full]);
    expect(aside.map(({ name, reason }) => `${name} ${reason.split(':')[0] ?? ''}`)).toEqual([
      'j0000002abc.json is not a file',
      'j0000003abc.json is not a file',
      'j0000004abc.json is not a file',
      'j0000005abc.json is empty',
      'j0000006abc.json holds nothing but zeros',
      'j0000007abc.json is 2097152 bytes long',
      'notes.txt is not whole, or was never a record',
    ]);
    expect(await readdir(folder)).toEqual([`${full.id}.json`]);
    expect((await store.load()).aside).toEqual(aside);
    await store.close();
  });
  test('what is put aside takes the place of nothing that lies there already', async () => {
    const store = await opened();
    for (const bytes of ['one', 'two', 'three']) {
      await writeFile(join(stateDir, 'runners', 'j0000005abc.json'), bytes);
      await store.load();
    }
    const names = (await readdir(join(stateDir, 'quarantine'))).toSorted();
    const bytes = await Promise.all(names.map((name) => readFile(join(stateDir, 'quarantine', name), 'utf8')));
    expect([names, bytes]).toEqual([
      ['j0000005abc.json', 'j0000005abc.json.1', 'j0000005abc.json.2'],
      ['one', 'two', 'three'],
    ]);
    await store.close();
  });
  test("I7 a record that came back from somewhere with other rights is its owner's alone again", async () => {
    const store = await opened();
    await store.put(full);
    const path = join(stateDir, 'runners', `${full.id}.json`);
    await chmod(path, 0o644);
    expect((await store.load()).runners).toEqual([full]);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await store.close();
  });
  test('of two records with one slot or one machine the one that has its job longest stays', async () => {
    const store = await opened();
    const older = aRunner(aJob(2), { slot: 4, createdAt: 10, assignedAt: 20 });
    const late = aRunner(aJob(3), { slot: 4, createdAt: 1, assignedAt: 30 });
    const launching = aRunner(aJob(4), { slot: 5, machine: older.machine, createdAt: 0 });
    for (const runner of [launching, late, older, full]) await store.put(runner);
    const { runners, aside } = await store.load();
    expect(runners).toEqual([full, older]);
    expect(aside).toEqual([
      { name: `${late.id}.json`, reason: `claims the slot 4, which ${older.id} has` },
      { name: `${launching.id}.json`, reason: `claims the machine ${older.machine}, which ${older.id} has` },
    ]);
    await store.delete(older.id);
    expect(await store.load()).toMatchObject({ quarantined: [], returned: [`${late.id}.json`, `${launching.id}.json`] });
    await store.close();
  });
  test('a record of a newer version waits aside and is back when a version that reads it starts, unless another has its place', async () => {
    const store = await opened();
    await store.put(full);
    const place = (folder: string): string => join(stateDir, folder, `${full.id}.json`);
    const text = await readFile(place('runners'), 'utf8');
    await writeFile(place('runners'), text.replace('"version":1', '"version":2'));
    expect(await store.load()).toMatchObject({ runners: [], quarantined: [`${full.id}.json`], returned: [] });
    await writeFile(place('quarantine'), text);
    await store.put({ ...full, slot: 9, machine: 'w0000000abc' });
    expect(await store.load()).toMatchObject({ runners: [{ slot: 9 }], quarantined: [`${full.id}.json`], returned: [] });
    await store.delete(full.id);
    expect(await store.load()).toMatchObject({ runners: [full], quarantined: [], returned: [`${full.id}.json`] });
    expect(await readdir(join(stateDir, 'quarantine'))).toEqual([]);
    expect(await readFile(place('runners'), 'utf8')).toBe(text);
    await store.close();
  });
  test.each(['', '\0\0\0\0', '{"version":1,"contr', '{"version":2,"controllerId":"test"}'])(
    'a controller.json that holds %j is refused with a remedy, and nothing is touched',
    async (bytes) => {
      const store = await opened();
      await store.put(full);
      await store.close();
      await writeFile(join(stateDir, 'controller.json'), bytes);
      await expect(opened()).rejects.toMatchObject({ code: 'STATE_LOCKED', message: expect.stringMatching(/move the file away/) });
      expect(await readFile(join(stateDir, 'controller.json'), 'utf8')).toBe(bytes);
      expect(await readdir(join(stateDir, 'runners'))).toEqual([`${full.id}.json`]);
      await rm(join(stateDir, 'controller.json'));
      const again = await opened();
      expect((await again.load()).runners).toEqual([full]);
      await again.close();
    },
  );
  test('a folder or a file in the place of what it needs is refused with what to do', async () => {
    await (await opened()).close();
    await rm(join(stateDir, 'controller.json'));
    await mkdir(join(stateDir, 'controller.json'));
    await expect(opened()).rejects.toThrow(/a folder lies where a file must be: move it away/);
    await rm(join(stateDir, 'controller.json'), { recursive: true });
    await rename(join(stateDir, 'runners'), join(stateDir, 'kept'));
    await writeFile(join(stateDir, 'runners'), '');
    await expect(opened()).rejects.toThrow(/something else lies where a folder must be: move it away/);
  });
  test('the anchor of the time line reads back, and one that says nothing readable is none', async () => {
    const store = await opened();
    const { anchors } = store;
    expect(await anchors.read()).toBeUndefined();
    await anchors.write({ bootId: 'b', offsetMs: 5 });
    expect(await anchors.read()).toEqual({ bootId: 'b', offsetMs: 5 });
    for (const bytes of ['', '\0\0', '{"version":1}', '{"version":2,"bootId":"b","offsetMs":5}']) {
      await writeFile(join(stateDir, 'clock.json'), bytes);
      expect(await anchors.read()).toBeUndefined();
    }
    await rm(join(stateDir, 'clock.json'));
    await mkdir(join(stateDir, 'clock.json'));
    expect(await anchors.read()).toBeUndefined();
    await expect(anchors.write({ bootId: 'b', offsetMs: 5 })).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await store.close();
  });
  test('a second copy on the same state directory is refused with a clear code, and let in when the first has gone', async () => {
    const first = await opened();
    await expect(opened()).rejects.toMatchObject({ code: 'STATE_LOCKED', exitCode: 4 });
    await first.close();
    await (await opened()).close();
  });
  test('a second copy is refused by whatever path it comes, however long that is', async () => {
    const deep = join(stateDir, 'x'.repeat(200));
    await mkdir(deep);
    await symlink(deep, join(stateDir, 'link'));
    const first = await openFileStore({ stateDir: deep, controllerId: 'test' });
    await expect(openFileStore({ stateDir: join(stateDir, 'link'), controllerId: 'test' })).rejects.toMatchObject({ code: 'STATE_LOCKED' });
    await first.close();
  });
  test("another controller's state directory is refused by name", async () => {
    await (await opened('home')).close();
    await expect(opened('test')).rejects.toThrow(/belongs to the controller `home`, this one is `test`/);
    await (await opened('home')).close();
  });
  test('a state directory whose owner cannot be read is refused rather than taken over', async () => {
    await (await opened()).close();
    await writeFile(join(stateDir, 'controller.json'), '{"versio');
    await expect(opened()).rejects.toThrow(/does not say whose state directory this is/);
  });
  test('a state directory that cannot be made says where', async () => {
    await writeFile(join(stateDir, 'file'), '');
    await expect(openFileStore({ stateDir: join(stateDir, 'file', 'x'), controllerId: 'test' })).rejects.toMatchObject({
      code: 'STORE_FAILED',
    });
  });
});
