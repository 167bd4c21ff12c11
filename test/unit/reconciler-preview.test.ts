// A look at what would be done beside the loop: it says it, and the loop does not notice.

import { expect, test } from 'vitest';
import { createRig } from '../support/reconciler-rig.ts';

test('what would be done is told and not done, and no forge is polled for it', async () => {
  const rig = createRig();
  await rig.step();
  rig.forge.queue(1);
  // A poll is due by now.
  rig.clock.advance(60_000);
  const before = rig.forge.calls.length;
  expect((await rig.reconciler.preview(false)).actions).toEqual([]);
  expect(rig.forge.calls.slice(before)).toEqual([]);

  rig.reconciler.drain(true, 'test');
  await rig.step();
  rig.reconciler.drain(false, 'test');
  const records = [...rig.store.records.keys()];
  const seen = await rig.reconciler.preview(false);
  expect(seen.actions.map(({ kind }) => kind)).toEqual(['launch']);
  expect([...rig.store.records.keys()]).toEqual(records);
  expect(rig.reconciler.snapshot().ticks).toBe(2);

  await rig.step();
  expect(rig.reconciler.snapshot().runners.map(({ job }) => job.id)).toEqual([1]);
});

test('asked again before the answer is there, it is the same look', async () => {
  const rig = createRig();
  await rig.step();
  const before = rig.driver.calls.length;
  const [first, second] = await Promise.all([rig.reconciler.preview(false), rig.reconciler.preview(false)]);
  expect(second).toBe(first);
  expect(rig.driver.calls.slice(before).filter(({ verb }) => verb === 'list')).toHaveLength(1);
  expect(await rig.reconciler.preview(false)).not.toBe(first);
});

test('registrations are read only when they are asked for', async () => {
  const rig = createRig();
  await rig.step();
  const before = rig.forge.calls.length;
  expect((await rig.reconciler.preview(false)).world.registrations.size).toBe(0);
  expect((await rig.reconciler.preview(true)).world.registrations.size).toBe(1);
  expect(rig.forge.calls.slice(before)).toEqual(['registrations']);
});
