// A service that stands still for a while (suspended, stopped by a debugger, starved) and wakes to a world that has gone on without it.

import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { hold, openScene, timesGiven } from '../support/service-scene.ts';

test('I9 I8 twenty seconds without the service lose no job and stop none that is well, whatever its last lists said', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const timeouts = { start: '5s', pick: '5s', stop: '2s' };
  const service = await scene.start({ maxConcurrent: 4, profiles: [{ name: 'default', labels: ['debian'], timeouts }] });
  const ending = await scene.queue('echo @running; until [ -e /gate/first ]; do sleep 0.05; done');
  const running = await scene.queue(`echo @running; ${hold}`);
  const cancelled = await scene.queue(`echo @running; ${hold}`);
  for (const job of [ending, running, cancelled]) await scene.says(service, job, '@running');
  // Handed over at this moment: the last list the service has seen may well call it waiting, and its clock is over when it wakes.
  const fresh = await scene.queue(`echo @running; ${hold}`);
  await service.until('it is handed over', ({ runners }) =>
    runners.some((each) => each.job_id === fresh.jobId && each.assigned_at !== null),
  );
  const pid = await service.pid();
  process.kill(pid, 'SIGSTOP');
  try {
    await scene.write('first');
    await scene.control.untilJob({ id: ending.jobId, states: ['success'] });
    await scene.control.cancel(cancelled.runId);
    // Stands for any length beyond the clocks of the profile; what follows is not timed.
    await sleep(20_000);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const late = await scene.queue('true');
  expect(await scene.done(service, late)).toMatchObject({ status: 'success' });
  await service.until('the ended and the cancelled are gone', ({ runners }) => runners.length === 2);
  const { recent } = await service.status();
  expect(Object.fromEntries(recent.map(({ job_id: id, reason }) => [id, reason]))).toEqual({
    [ending.jobId]: 'finished',
    [cancelled.jobId]: 'cancelled',
    [late.jobId]: 'finished',
  });
  await scene.open();
  for (const job of [running, fresh]) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
  await scene.clean(service);
  expect(await timesGiven(scene, [ending, running, cancelled, fresh, late])).toEqual([1, 1, 1, 1, 1]);
  const wrong = (await service.log()).filter(({ event, reason }) => event === 'stop' && reason !== 'cancelled');
  expect(wrong).toEqual([]);
});
