// Machines that wait for jobs, on a real host: a job runs in one, another takes its place, a crash of the service finds them again, one gives
// way to whoever needs its place, and when they are not wanted nothing of them is left.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Status } from '../../src/http/wire.ts';
import { installNixosContainer, standInSystem, standInTools } from '../support/nixos-container.ts';
import { findingsOf, openScene, runClient, timesGiven } from '../support/service-scene.ts';
import { nothing, sh, type Service, type ServiceOptions } from '../support/service.ts';

let dispose: () => Promise<void>;
beforeAll(async () => {
  ({ dispose } = await installNixosContainer());
});
afterAll(async () => dispose());

const idle = (status: Status): readonly string[] => status.warm_containers.filter(({ state }) => state === 'idle').map(({ name }) => name);

/** The machines that wait, once it is so many and none of `but`. */
async function waiting(service: Service, count: number, but: readonly string[] = []): Promise<readonly string[]> {
  const are = (status: Status): boolean => idle(status).length === count && !idle(status).some((name) => but.includes(name));
  return idle(await service.until(`${count} wait for jobs`, are));
}

const warm = { name: 'default', labels: ['debian'], warm: 1 };
const container = {
  driver: 'nixos-container',
  nixosContainer: { ...standInTools },
  profiles: [{ ...warm, template: { kind: 'nixos', path: standInSystem } }],
};

type Config = ServiceOptions['config'] & { readonly profiles: readonly Readonly<Record<string, unknown>>[] };

const drivers: readonly (readonly [driver: string, config: Config])[] = [
  ['nspawn', { profiles: [warm] }],
  ['nixos-container', container],
];

/** The controller has nothing more: no container, record or registration, and none of what it is made of. */
async function drained(service: Service): Promise<void> {
  await service.signal('SIGUSR1');
  expect(await service.ended()).toBe('success exited 0');
  expect(await service.remains()).toEqual(nothing);
}

describe('machines that wait for jobs', () => {
  test.for(drivers)(
    'a job is run by one (driver %s), another takes its place, and a drain leaves nothing',
    async ([, config], { onTestFinished }) => {
      const scene = await openScene(onTestFinished);
      const service = await scene.start(config);
      const [name = ''] = await waiting(service, 1);
      expect(name).toMatch(/^w[0-9a-z]{10}$/);
      expect(await service.remains()).toMatchObject({ registrations: 0, records: 0 });
      expect((await service.status()).capacity).toMatchObject({ used: 0, profiles: [{ warm: { min: 1, rests_until: null } }] });
      expect((await runClient(['status', '--url', service.url])).stdout).toMatch(new RegExp(`${name}\\s+default\\s+idle`));
      const queued = await scene.queue('echo "@host $(cat /proc/sys/kernel/hostname)"; echo "@uid $(id -u)"');
      const job = await scene.done(service, queued);
      expect(job).toMatchObject({ status: 'success' });
      expect(findingsOf(job)).toMatchObject({ host: name, uid: '0' });
      expect(await timesGiven(scene, [queued])).toEqual([1]);
      await waiting(service, 1, [name]);
      await drained(service);
    },
  );

  test.for(drivers)(
    'I8 kill -9 (driver %s): the next start goes on with those that wait, but for one that died or is not made so any more',
    async ([, config], { onTestFinished }) => {
      const scene = await openScene(onTestFinished);
      const service = await scene.start({ ...config, profiles: config.profiles.map((profile) => ({ ...profile, warm: 2 })) });
      const [kept = '', died = ''] = await waiting(service, 2);
      await service.kill();
      await sh('machinectl', 'kill', '--signal=KILL', died);
      await service.start();
      const again = await waiting(service, 2, [died]);
      expect(again).toContain(kept);
      expect(
        (await service.log()).filter(({ event, runner, reason }) => event === 'cool' && runner === died && reason === 'died'),
      ).toHaveLength(1);
      const jobs = [await scene.running(service), await scene.running(service)];
      expect((await service.status()).runners.map(({ id }) => id).toSorted()).toEqual([...again].toSorted());
      await service.kill();
      await service.start();
      await scene.open();
      for (const job of jobs) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
      const old = await waiting(service, 2, again);
      await service.reload({ profiles: config.profiles.map((profile) => ({ ...profile, warm: 2, environment: { SITE: 'north' } })) });
      await waiting(service, 2, old);
      expect(await timesGiven(scene, jobs)).toEqual([1, 1]);
      await drained(service);
    },
  );

  test('one gives way before a job of another profile waits for room, and comes back when there is some', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start({
      maxConcurrent: 2,
      profiles: [
        { ...warm, warm: 2 },
        { name: 'big', labels: ['big'] },
      ],
    });
    const both = await waiting(service, 2);
    const job = await scene.running(service, { labels: ['big'] });
    const { runners } = await service.status();
    expect(runners).toMatchObject([{ job_id: job.jobId, profile: 'big', id: expect.stringMatching(/^j/) }]);
    const [left = ''] = await waiting(service, 1);
    expect(both).toContain(left);
    expect((await service.log()).filter(({ event }) => event === 'cool')).toMatchObject([{ reason: 'room', profile: 'default' }]);
    await scene.open();
    await scene.done(service, job);
    await waiting(service, 2);
    await service.reload({
      profiles: [
        { ...warm, warm: 0 },
        { name: 'big', labels: ['big'] },
      ],
    });
    await scene.clean(service);
  });
});
