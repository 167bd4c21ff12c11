// How often the loop looks: at once when something happens, and not again and again while much happens at once.

import { expect, test } from 'vitest';
import { createRig, flushed } from '../support/reconciler-rig.ts';

test('a storm of wakes costs a fifth of the time at most', async () => {
  const rig = createRig();
  let looks = 0;
  const list = rig.driver.list.bind(rig.driver);
  Object.assign(rig.driver, {
    list: () => {
      looks += 1;
      rig.clock.advance(10);
      return list();
    },
  });
  const ending = new AbortController();
  const run = rig.reconciler.run(ending.signal);
  await flushed();
  looks = 0;
  // A tick takes 10 ms here, so the next one may come 40 ms later.
  for (let turn = 0; turn < 400; turn += 1) {
    rig.reconciler.wake();
    rig.clock.advance(1);
    await flushed();
  }
  expect(looks).toBeGreaterThanOrEqual(4);
  expect(looks).toBeLessThanOrEqual(12);
  ending.abort();
  await run;
});

test('what was asked of a machine or a forge is not asked again before the next look', async () => {
  const rig = createRig({}, { obedient: false });
  const job = rig.forge.queue(1);
  await rig.step();
  // Somebody else took it: our registration stays idle, and is asked about until the un-picked clock is over.
  const stranger = await rig.forge.register('office', '');
  rig.forge.pick(stranger.uuid, job.handle);
  const ending = new AbortController();
  const run = rig.reconciler.run(ending.signal);
  const countOf = async (seconds: number, count: () => number): Promise<number> => {
    const before = count();
    for (let second = 0; second < seconds; second += 1) {
      await flushed();
      rig.clock.advance(1_000);
    }
    await flushed();
    return count() - before;
  };
  const confirms = await countOf(10, () => rig.forge.calls.filter((call) => call.startsWith('registration ')).length);
  expect(confirms).toBeGreaterThanOrEqual(5);
  expect(confirms).toBeLessThanOrEqual(22);
  await countOf(30, () => 0);
  const stops = await countOf(5, () => rig.driver.calls.filter(({ verb }) => verb === 'stop').length);
  expect(stops).toBeGreaterThanOrEqual(2);
  expect(stops).toBeLessThanOrEqual(11);
  ending.abort();
  for (let turn = 0; turn < 12; turn += 1) {
    rig.clock.advance(1_000);
    await flushed();
  }
  await run;
});
