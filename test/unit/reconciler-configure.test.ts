// Settings that change under a running loop: taken at the next tick, nothing that runs is touched, and a forge that left is only missed.

import { describe, expect, test } from 'vitest';
import type { Settings } from '../../src/reconciler/reconciler.ts';
import { aPolicy, aProfile } from '../support/build.ts';
import { createFakeForge } from '../support/fake-forge.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const gpu = aProfile({ name: 'gpu', labels: ['gpu'] });
const settingsOf = (rig: Rig, over: Partial<Settings['policy']> = {}, forges = [rig.forge]): Settings => ({
  forges: forges.map((forge) => ({ forge, url: 'http://forge.test', pollIntervalMs: 1_000 })),
  policy: aPolicy(over),
});
const uuidOf = (rig: Rig): string => [...rig.driver.machines.values()][0]?.assignment?.uuid ?? '';

describe('configure', () => {
  test('a raised limit starts who waits, a lowered one ends nobody', async () => {
    const rig = createRig({ maxConcurrent: 1 });
    for (const id of [1, 2, 3]) rig.forge.queue(id);
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
    rig.reconciler.configure(settingsOf(rig, { maxConcurrent: 3 }));
    await rig.step();
    expect(rig.driver.machines.size).toBe(3);
    rig.reconciler.configure(settingsOf(rig, { maxConcurrent: 1 }));
    for (let second = 0; second < 5; second += 1) await rig.step();
    expect([rig.driver.machines.size, rig.driver.calls.filter(({ verb }) => verb === 'stop')]).toEqual([3, []]);
    expect(rig.reconciler.snapshot().capacity).toMatchObject({ max: 1, used: 3 });
  });

  test('a new profile serves a new label from the next tick on', async () => {
    const rig = createRig();
    rig.forge.queue(1, { labels: ['gpu'] });
    await rig.step();
    expect(rig.reconciler.snapshot().denials).toMatchObject([{ reason: 'unmatched' }]);
    rig.reconciler.configure(settingsOf(rig, { profiles: [aProfile(), gpu] }));
    await rig.step();
    expect([...rig.driver.machines.values()].map(({ spec }) => spec.profile.name)).toEqual(['gpu']);
  });

  test('I9 a forge that left is asked nothing more, and its running job goes on to its end', async () => {
    const rig = createRig();
    const other = createFakeForge('other');
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.pick(uuidOf(rig), job.handle);
    await rig.step();
    rig.reconciler.configure(settingsOf(rig, {}, [other]));
    await rig.step();
    const asked = rig.forge.calls.length;
    other.queue(9);
    for (let second = 0; second < 30; second += 1) await rig.step();
    expect(rig.forge.calls).toHaveLength(asked);
    expect(rig.driver.machines.size, 'its machine, and one for the forge that came').toBe(2);
    expect(rig.reconciler.snapshot().forges.map(({ name }) => name)).toEqual(['other']);
    const [machine = ''] = rig.driver.machines.keys();
    rig.driver.end(machine);
    await rig.step();
    expect([...rig.store.records.values()].map(({ forge }) => forge)).toEqual(['other']);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ forge: 'main', reason: 'finished' }]);
  });

  test('I2 a forge that comes back under its name is heard anew: nothing rests on what was heard before, and its jobs run once', async () => {
    const rig = createRig();
    const first = rig.forge.queue(1);
    for (let second = 0; second < 3; second += 1) await rig.step();
    rig.forge.pick(uuidOf(rig), first.handle);
    await rig.step();
    rig.forge.end(first.handle);
    const [machine = ''] = rig.driver.machines.keys();
    rig.driver.end(machine);
    await rig.step();
    rig.reconciler.configure(settingsOf(rig, {}, [createFakeForge('other')]));
    await rig.step();
    rig.reconciler.configure(settingsOf(rig));
    rig.forge.queue(2);
    await rig.step();
    expect([...rig.driver.machines.values()].map(({ assignment }) => assignment?.handle)).toEqual(['handle-2']);
    // A rerun of what was settled under an older poll, listed again: it has a new handle and is not held back by old numbers.
    rig.forge.queue(1, { handle: 'handle-1b', attempt: 2 });
    await rig.step();
    expect(rig.driver.machines.size).toBe(2);
  });

  test('a job that was given back before its forge left is started when the forge is back: new lists are newer than old ones', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    for (let second = 0; second < 12; second += 1) await rig.step();
    const [machine = ''] = rig.driver.machines.keys();
    rig.driver.end(machine, { result: 'exit-code' });
    await rig.step();
    expect(rig.reconciler.snapshot()).toMatchObject({ runners: [], ended: [{ reason: 'machine-failed' }] });
    rig.reconciler.configure(settingsOf(rig, {}, [createFakeForge('other')]));
    await rig.step();
    rig.reconciler.configure(settingsOf(rig));
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
  });

  test('what an unchanged forge said last is kept', async () => {
    const rig = createRig();
    await rig.step();
    const asked = rig.forge.calls.filter((call) => call === 'jobs').length;
    rig.reconciler.configure(settingsOf(rig, { maxConcurrent: 3 }));
    await rig.reconciler.tick();
    expect(rig.forge.calls.filter((call) => call === 'jobs')).toHaveLength(asked);
    expect(rig.reconciler.snapshot().forges[0]).toHaveProperty('lastGoodPollAt');
  });
});
