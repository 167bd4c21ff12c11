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
