// The packaged service under an operator's hand: its configuration changes while jobs run, it is drained and resumed, told to end twice.

import { describe, expect, test } from 'vitest';
import { hold, openScene, runnerOf, timesGiven } from '../support/service-scene.ts';
import { nothing } from '../support/service.ts';

describe('systemctl reload', () => {
  test('raises a limit, refuses a file with mistakes whole, and brings a new profile, while the running job goes on', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({ maxConcurrent: 1 });
    const running = await scene.running(service);
    const before = await service.status();
    const second = await scene.queue(`echo @running; ${hold}`);
    await service.until('the second waits', ({ waiting_jobs: jobs }) => jobs[0]?.reason === 'capacity');

    await service.reload({ maxConcurrent: 3 });
    await scene.says(service, second, '@running');
    const raised = await service.status();
    expect(raised).toMatchObject({ max_concurrent: 3, reload: { ok: true, error: null, by: 'signal SIGHUP', waiting: [] } });
    expect(raised.config_hash).not.toBe(before.config_hash);
    expect(runnerOf(raised, running)?.machine).toBe(runnerOf(before, running)?.machine);

    await service.reload('maxConcurrent: none\npollIntervall: 1s\n');
    const refused = await service.until('the reload is refused', ({ reload }) => reload?.ok === false);
    for (const mistake of ['maxConcurrent', 'pollIntervall', 'forges']) expect(refused.reload?.error).toContain(mistake);
    expect(refused).toMatchObject({ max_concurrent: 3, config_hash: raised.config_hash, active_containers: [{}, {}] });

    await service.reload({
      maxConcurrent: 1,
      http: { port: 1 },
      profiles: [{ name: 'new', labels: ['new'], template: { kind: 'directory', path: '/nowhere' } }],
    });
    const absent = await service.until(
      'a root that is not there is refused, too',
      ({ reload }) => reload?.error?.includes('/nowhere') === true,
    );
    expect(absent.config_hash).toBe(raised.config_hash);

    await service.reload({ maxConcurrent: 3, http: { port: 1 }, profiles: [{ name: 'new', labels: ['new'] }] });
    const third = await scene.queue('true', { labels: ['new'] });
    expect(await scene.done(service, third)).toMatchObject({ status: 'success' });
    const renewed = await service.until('its machine is gone', ({ active_containers: machines }) => machines.length === 2);
    expect(renewed.reload).toMatchObject({ ok: true, waiting: ['http'] });
    expect(renewed.capacity.profiles.map(({ name }) => name)).toEqual(['new']);

    await scene.open();
    for (const job of [running, second]) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect(await timesGiven(scene, [running, second, third])).toEqual([1, 1, 1]);
    const said = (await service.log()).filter(({ event }) => event === 'reload');
    expect(said.map(({ level, setting }) => [level, setting])).toEqual([
      ['info', undefined],
      ['error', undefined],
      ['error', undefined],
      ['info', undefined],
      ['warn', 'http'],
    ]);
  });
});

describe('signals', () => {
  test('a drain is taken back by resume; a second one finishes what runs and ends with exit code 0, and systemd leaves it down', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({}, { properties: ['Restart=on-failure', 'RestartSec=100ms'] });
    const running = await scene.running(service);
    await service.signal('SIGUSR1');
    const second = await scene.queue(`echo @running; ${hold}`);
    const draining = await service.until('the second is held back', ({ waiting_jobs: jobs }) => jobs[0]?.reason === 'draining');
    expect(draining).toMatchObject({ draining: true, drain: { by: 'signal SIGUSR1', left: 1 } });
    await service.signal('SIGUSR2');
    await scene.says(service, second, '@running');
    expect(await service.status()).toMatchObject({ draining: false, drain: null });

    await service.signal('SIGUSR1');
    const third = await scene.queue('true');
    await service.until('two are left', ({ drain }) => drain?.left === 2);
    await scene.open();
    expect(await service.ended()).toBe('success exited 0');
    expect(await service.remains()).toEqual(nothing);
    for (const job of [running, second]) expect((await scene.control.job(job.jobId)).status).toBe('success');
    expect((await scene.control.job(third.jobId)).status).toBe('waiting');
    expect(
      (await service.log()).filter(({ event }) => event === 'drain' || event === 'resume').map(({ event, by, left }) => [event, by, left]),
    ).toEqual([
      ['drain', 'signal SIGUSR1', 1],
      ['resume', 'signal SIGUSR2', undefined],
      ['drain', 'signal SIGUSR1', 2],
    ]);
    await service.start();
    expect(await scene.done(service, third)).toMatchObject({ status: 'success' });
    await scene.clean(service);
  });

  test('the first SIGTERM waits for the step under way, a second one ends at once; the job still runs once and nothing is left', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const running = await scene.running(service);
    await scene.control.addFault({ route: 'POST *actions/runners', fault: { kind: 'latency', ms: 120_000 } });
    const second = await scene.queue('true');
    await service.until('it is being registered', async () => ((await scene.control.struck())[0] ?? 0) === 1);
    await service.signal('SIGTERM');
    await service.until('the first is taken', async () => (await service.log()).some(({ event }) => event === 'ending'));
    await service.signal('SIGTERM');
    expect(await service.ended(5_000)).toBe('exit-code exited 1');
    expect((await scene.control.job(running.jobId)).status).toBe('running');
    await scene.control.clearFaults();
    await service.start();
    await scene.open();
    for (const job of [running, second]) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    await scene.clean(service);
    expect(await timesGiven(scene, [running, second])).toEqual([1, 1]);
  });
});
