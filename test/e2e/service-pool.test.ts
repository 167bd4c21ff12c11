// Two packaged services that were given the same addresses for their machines.

import { expect, test } from 'vitest';
import { openScene } from '../support/service-scene.ts';
import { serviceAddress } from '../support/service.ts';

test('I6 a second controller with the same address pool is refused with a sentence, also before either has a machine', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const network = { pool: '192.168.80.0-192.168.95.255', allow: [`${serviceAddress}/32`] };
  const first = await scene.start({ network });
  const second = await scene.prepare({ network: { ...network, pool: '192.168.95.0-192.168.105.255' } });
  await expect(second.start()).rejects.toThrow(
    /overlaps with 192\.168\.80\.0-192\.168\.95\.255 of the controller `[^`]+`, which runs on this host/,
  );
  expect((await second.stop()).result).toBe('exit-code exited 3');
  expect(await scene.done(first, await scene.queue('true'))).toMatchObject({ status: 'success' });
  await first.stop();
  await second.start();
});
