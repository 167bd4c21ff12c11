// Promises that the driver without a host keeps the same contract as the real one.

import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Profile } from '../../src/core/model.ts';
import { assignmentOf, driverContract } from './driver-contract.ts';
import { createFakeDriver } from './fake-driver.ts';

const profile: Profile = {
  name: 'default',
  labels: ['debian'],
  template: { kind: 'host' },
  limits: {},
  timeouts: { startMs: 10_000, pickMs: 10_000, jobMs: 60_000, stopMs: 1_000 },
  runnerPath: '/usr/bin/forgejo-runner',
  binds: [],
  environment: {},
};

driverContract('the fake driver', async () => ({
  driver: createFakeDriver({
    clock: systemClock,
    behave: ({ handle }) => {
      const status = /^exit-(\d+)$/.exec(handle)?.[1];
      return status === undefined ? undefined : { result: status === '0' ? 'success' : 'exit-code', code: 'exited', status };
    },
  }),
  profile,
  close: async () => undefined,
}));

test('an assignment waits for a machine that is still starting, until its signal aborts', async () => {
  const driver = createFakeDriver({ clock: systemClock, autoReady: false });
  await driver.start({ id: 'j0000001aaa', slot: 0, profile, runtimeMaxMs: 1_000 });
  await expect(driver.assign('j0000001aaa', assignmentOf('wait'), AbortSignal.timeout(20))).rejects.toMatchObject({
    code: 'DRIVER_FAILED',
  });
  const delivered = driver.assign('j0000001aaa', assignmentOf('wait'), AbortSignal.timeout(5_000));
  driver.ready('j0000001aaa');
  await delivered;
  expect(driver.machines.get('j0000001aaa')?.state).toBe('running');
});

test('a failure with `after` has had its effect', async () => {
  const driver = createFakeDriver({ clock: systemClock });
  driver.fail('start', { times: 1, after: true });
  const spec = { id: 'j0000001aaa', slot: 0, profile, runtimeMaxMs: 1_000 };
  await expect(driver.start(spec)).rejects.toMatchObject({ code: 'DRIVER_FAILED' });
  expect(await driver.list()).toHaveLength(1);
  await driver.start(spec);
});
