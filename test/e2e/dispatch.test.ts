// Runners that a person asks for, on a real host: by the command line, over root's socket. Each takes one job that comes and is gone; one that
// gets none goes when its time is over; a kill of the service in between loses neither.

import { expect, test } from 'vitest';
import { dispatchedSchema } from '../../src/http/wire-v1.ts';
import type { Status } from '../../src/http/wire.ts';
import { findingsOf, hold, openScene, runClient, runnerOf, timesGiven } from '../support/service-scene.ts';
import { nothing, sh } from '../support/service.ts';

const labels = ['debian'];
/** The ids of those that wait for whatever comes. */
function waiting({ runners }: Status): readonly string[] {
  return runners
    .filter(({ dispatched_until: until, phase, job_id: job }) => until !== null && phase === 'waiting-for-job' && job === 0)
    .map(({ id }) => id);
}

test('I8 two runners that were asked for are found again after a kill: one takes a job and is gone, the other goes when its time is over', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const profiles = [
    { name: 'default', labels },
    { name: 'spare', labels: ['spare'] },
  ];
  const service = await scene.start({ profiles, dispatch: { labels: ['debian', 'spare'] } });
  const socket = `/run/forgejo-runner-controller/${service.controllerId}.sock`;
  const ask = async (...words: readonly string[]): Promise<string> => {
    const { code, stdout } = await runClient(['dispatch', ...words, '--json', '--socket', socket]);
    const { accepted, reason, runners } = dispatchedSchema.parse(JSON.parse(stdout));
    // A busy machine had no look for it within its three seconds.
    if (reason === 'late') return ask(...words);
    expect([code, accepted]).toEqual([0, 1]);
    return runners[0]?.id ?? '';
  };
  const id = await ask('--labels', 'debian', '--count', '1', '--ttl', '20m');
  // What was accepted is on the disk, wherever its start is.
  await service.kill();
  await service.start();
  await service.until('it waits for whatever comes', (status) => waiting(status).includes(id));
  expect((await runClient(['status', '--url', service.url])).stdout).toMatch(new RegExp(`${id}\\s+main, none yet.*dispatched for debian`));

  const job = await scene.queue(`echo "@host $(cat /proc/sys/kernel/hostname)"; ${hold}`);
  await scene.says(service, job, '@host');
  await service.until('it is known who has the job', (status) => runnerOf(status, job)?.id === id);
  expect(runnerOf(await service.status(), job)).toMatchObject({ phase: 'busy', dispatched_until: expect.any(String) });
  await service.kill();
  await service.start();
  await scene.open();
  const done = await scene.done(service, job);
  expect(done).toMatchObject({ status: 'success' });
  expect(findingsOf(done)).toMatchObject({ host: id });
  expect(await timesGiven(scene, [job])).toEqual([1]);

  const spare = await ask('--labels', 'spare', '--ttl', '10s');
  await scene.clean(service, 60_000);
  const ended = (await service.log()).filter(({ event }) => event === 'finalize');
  expect(new Map(ended.map(({ runner, reason }) => [runner, reason]))).toEqual(
    new Map([
      [id, 'finished'],
      [spare, 'no-job'],
    ]),
  );
  // Polling has started none beside them.
  expect(ended).toHaveLength(2);
  expect(await service.remains()).toEqual(nothing);
});

test('a machine that is killed with the job of one that was asked for: the job is reported failed at once', async ({ onTestFinished }) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start({ dispatch: { labels } });
  const socket = `/run/forgejo-runner-controller/${service.controllerId}.sock`;
  expect(await runClient(['dispatch', '--labels', 'debian', '--socket', socket])).toMatchObject({ code: 0 });
  const [id = ''] = waiting(await service.until('one waits for whatever comes', (status) => waiting(status).length === 1));
  const job = await scene.running(service);
  await service.until('it is known who has the job', (status) => runnerOf(status, job)?.id === id);
  await sh('machinectl', 'kill', '--signal=KILL', id);
  expect(await scene.done(service, job)).toMatchObject({ status: 'failure', log: expect.arrayContaining([expect.stringContaining(id)]) });
  await scene.clean(service);
});
