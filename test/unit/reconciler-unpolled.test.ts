// How often a forge is asked whose polling is switched off: when something happened, and to be safe.

import { expect, test } from 'vitest';
import { createRig, flushed, type Rig } from '../support/reconciler-rig.ts';
import { aPolicy, aProfile } from '../support/build.ts';

const rare = 600_000;

/** A rig whose forge is not polled, and the count of its lists since the last call. */
async function unpolledRig(policy = aPolicy()): Promise<{ readonly rig: Rig; readonly listed: () => number }> {
  const rig = createRig();
  rig.reconciler.configure({
    forges: [{ forge: rig.forge, url: 'http://forge.test', pollIntervalMs: rare, hookedIntervalMs: rare, unpolled: true }],
    policy,
  });
  let before = 0;
  const listed = (): number => {
    const now = rig.forge.calls.filter((call) => call === 'jobs').length;
    const since = now - before;
    before = now;
    return since;
  };
  await rig.step();
  return { rig, listed };
}

async function steps(rig: Rig, count: number, ms = 1_000): Promise<void> {
  for (let step = 0; step < count; step += 1) await rig.step(ms);
}

test('a forge that is not polled is asked at the start, after a webhook and every ten minutes, and else never', async () => {
  const { rig, listed } = await unpolledRig();
  expect(listed()).toBeGreaterThan(0);
  await steps(rig, 300);
  expect(listed()).toBe(0);
  rig.reconciler.kick('main');
  await steps(rig, 60);
  const after = listed();
  expect(after).toBeGreaterThanOrEqual(14);
  expect(after).toBeLessThanOrEqual(17);
  await steps(rig, 540);
  expect(listed()).toBe(0);
  await steps(rig, 60);
  expect(listed()).toBe(1);
  expect(rig.reconciler.snapshot().forges).toMatchObject([{ unpolled: true }]);
});

test('an order to poll is obeyed at once', async () => {
  const { rig, listed } = await unpolledRig();
  await steps(rig, 30);
  listed();
  rig.reconciler.wake(true);
  await rig.step(0);
  expect(listed()).toBe(1);
});

test('its jobs run, and what their ends set free is seen at once', async () => {
  const { rig, listed } = await unpolledRig();
  const first = rig.forge.queue(1);
  rig.reconciler.kick('main');
  await steps(rig, 4);
  const [runner] = rig.reconciler.snapshot().runners;
  expect(runner).toMatchObject({ job: { handle: first.handle } });
  rig.forge.pick(rig.forge.rows[0]?.uuid ?? '', first.handle);
  await steps(rig, 3);
  expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'busy' }]);
  await steps(rig, 120);
  listed();
  await steps(rig, 60);
  expect(listed()).toBe(0);
  // What it needs first is over; nobody but the end of its machine tells of the next.
  rig.forge.end(first.handle);
  rig.driver.end(runner?.machine ?? '');
  rig.forge.queue(2);
  await steps(rig, 4);
  expect(rig.reconciler.snapshot().runners).toMatchObject([{ job: { id: 2 } }]);
});

test('that the job of a machine which came up slowly is picked is seen, however long its start took', async () => {
  const profile = aProfile();
  const slow = { ...profile, timeouts: { ...profile.timeouts, startMs: 600_000 } };
  const { rig, listed } = await unpolledRig(aPolicy({ profiles: [slow] }));
  const release = rig.driver.hold('assign');
  const { handle } = rig.forge.queue(1);
  rig.reconciler.kick('main');
  for (let second = 0; second < 200; second += 1) {
    rig.clock.advance(1_000);
    await rig.reconciler.tick();
    await flushed();
  }
  listed();
  release();
  await rig.reconciler.settled();
  rig.forge.pick(rig.forge.rows[0]?.uuid ?? '', handle);
  await steps(rig, 3);
  expect(listed()).toBeGreaterThan(0);
  expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'busy' }]);
});
