// The packaged service beside records of a newer program, and on a state directory that it cannot write: nothing that runs is touched.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hold, openScene, runnerOf, timesGiven } from '../support/service-scene.ts';
import { sh, type Service } from '../support/service.ts';

/** What a start of another version would find: the same record in another form. */
async function rewrite({ stateDir }: Service, folder: string, from: number, to: number): Promise<void> {
  for (const name of await readdir(join(stateDir, folder))) {
    const path = join(stateDir, folder, name);
    await writeFile(path, (await readFile(path, 'utf8')).replace(`"version":${from}`, `"version":${to}`), { mode: 0o600 });
  }
}

test('I9 a downgrade leaves machines at work whose records it cannot read, and the upgrade takes both back', async ({ onTestFinished }) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const jobs = [
    await scene.queue('echo @running; until [ -e /gate/first ]; do sleep 0.05; done'),
    await scene.queue(`echo @running; ${hold}`),
  ];
  const [first, second] = jobs;
  if (first === undefined || second === undefined) throw new Error('there are two jobs');
  for (const job of jobs) await scene.says(service, job, '@running');
  const { runners } = await service.until('both are picked', (status) => status.runners.every((runner) => runner.picked_at !== null));
  await service.stop();
  await rewrite(service, 'runners', 1, 2);
  await service.start();
  const older = await service.until('it has looked', ({ ticks, host }) => ticks > 3 && host.machines === 2);
  expect(older.quarantined).toEqual(runners.map(({ id }) => `${id}.json`).toSorted());
  expect([older.runners.length, older.capacity.used]).toEqual([0, 2]);
  expect((await service.log()).filter(({ event }) => event === 'quarantine').map(({ msg }) => msg)).toEqual(
    runners.map(() => expect.stringContaining('was written by a newer version of this program (form 2, this one knows 1)')),
  );
  await scene.write('first');
  expect(await scene.done(service, first)).toMatchObject({ status: 'success' });
  await service.stop();
  await rewrite(service, 'quarantine', 2, 1);
  await service.start();
  const newer = await service.until('it knows its own', (status) => status.runners.length === 1 && status.ticks > 3);
  expect(newer.quarantined).toEqual([]);
  expect(runnerOf(newer, second)).toMatchObject({ phase: 'busy', picked_at: expect.any(String) });
  await scene.open();
  expect(await scene.done(service, second)).toMatchObject({ status: 'success' });
  await scene.clean(service);
  expect(await timesGiven(scene, jobs)).toEqual([1, 1]);
});

test('a state directory that is mounted read-only is refused with what to do, and the job that runs goes on', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const job = await scene.running(service);
  await service.stop();
  await sh('mount', '--bind', service.stateDir, service.stateDir);
  try {
    await sh('mount', '-o', 'remount,bind,ro', service.stateDir);
    await expect(service.start()).rejects.toThrow(/it is mounted read-only: mount it writable/);
    expect((await service.stop()).result).toBe('exit-code exited 1');
  } finally {
    await sh('umount', service.stateDir);
  }
  await service.start();
  await scene.open();
  expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
  await scene.clean(service);
  expect(await timesGiven(scene, [job])).toEqual([1]);
});
