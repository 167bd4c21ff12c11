// The records on a real disk.

import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
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
  operator: true,
};
const endReasons: Record<EndReason, true> = { ...stopReasons, finished: true, 'machine-failed': true, 'machine-lost': true };

describe('file store', () => {
  test('what was put reads back equal, and is gone after delete', async () => {
    const store = await opened();
    await store.put(full);
    await store.put(aRunner(aJob(2)));
    expect((await store.load()).runners).toEqual(expect.arrayContaining([full, aRunner(aJob(2))]));
    await store.delete(full.id);
    await store.delete(full.id);
    expect((await store.load()).runners).toEqual([aRunner(aJob(2))]);
    await store.close();
  });
  test('every word for a stop and for an end reads back, with what was seen of it', async () => {
    const store = await opened();
    const exit = { result: 'oom-kill', code: 'killed', status: 'KILL', memoryPeakBytes: 7, oomKills: 1 };
    const ended = Object.keys(endReasons).map((reason, index) =>
      aRunner(aJob(index + 1), { createdAt: index, taskId: 9, ending: { reason: reason as EndReason, at: 5, exit } }),
    );
    const stopped = Object.keys(stopReasons).map((reason, index) =>
      aRunner(aJob(index + 101), { createdAt: index + 100, taskId: 9, stop: { reason: reason as StopReason, at: 5 } }),
    );
    for (const runner of [...ended, ...stopped]) await store.put(runner);
    expect(await store.load()).toEqual({ runners: [...ended, ...stopped], quarantined: [] });
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
    await store.close();
  });
  test('a second copy on the same state directory is refused with a clear code, and let in when the first has gone', async () => {
    const first = await opened();
    await expect(opened()).rejects.toMatchObject({ code: 'STATE_LOCKED', exitCode: 4 });
    await first.close();
    await (await opened()).close();
  });
  test("another controller's state directory is refused by name", async () => {
    await (await opened('home')).close();
    await expect(opened('test')).rejects.toThrow(/belongs to the controller `home`, this one is `test`/);
    await (await opened('home')).close();
  });
  test('a state directory whose owner cannot be read is refused rather than taken over', async () => {
    await (await opened()).close();
    await writeFile(join(stateDir, 'controller.json'), '{"versio');
    await expect(opened()).rejects.toThrow(/belongs to the controller `unreadable`/);
  });
  test('a state directory that cannot be made says where', async () => {
    await writeFile(join(stateDir, 'file'), '');
    await expect(openFileStore({ stateDir: join(stateDir, 'file', 'x'), controllerId: 'test' })).rejects.toMatchObject({
      code: 'STORE_FAILED',
    });
  });
});
