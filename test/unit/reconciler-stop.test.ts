// An operator ends one runner: whatever it does, it goes, and nobody else does.

import { describe, expect, test } from 'vitest';
import { plan } from '../../src/core/plan.ts';
import { aJob, aMachine, aPolicy, aRunner, aWorld, known, listed } from '../support/build.ts';
import { createRig } from '../support/reconciler-rig.ts';

async function busyRig() {
  const rig = createRig();
  const handles = [1, 2].map((id) => rig.forge.queue(id).handle);
  await rig.step();
  for (const { id, credentials } of rig.store.records.values())
    rig.forge.pick(credentials?.uuid ?? '', handles[Number(id.slice(1, 8)) - 1] ?? '');
  await rig.step();
  const [first = '', second = ''] = [...rig.store.records.keys()].toSorted();
  return { rig, first, second };
}

describe('a runner that an operator ends', () => {
  test('I9 is stopped although it works, and the one beside it works on', async () => {
    const { rig, first, second } = await busyRig();
    expect(rig.reconciler.snapshot().runners.map(({ phase }) => phase)).toEqual(['busy', 'busy']);
    expect(rig.reconciler.stop(first)).toBe(true);
    expect(rig.reconciler.stop(first), 'asked already').toBe(false);
    await rig.step(0);
    expect(rig.store.records.get(first)?.stop).toMatchObject({ reason: 'operator' });
    for (let second = 0; second < 40; second += 1) await rig.step();
    expect([...rig.store.records.keys()]).toEqual([second]);
    expect(rig.store.records.get(second)?.stop).toBeUndefined();
    expect(rig.reconciler.snapshot().ended.map(({ id, reason }) => [id, reason])).toEqual([[first, 'operator']]);
  });

  test('ends also when the service is killed right after the stop was begun', async () => {
    const { rig, first, second } = await busyRig();
    rig.reconciler.stop(first);
    await rig.step(0);
    rig.restart();
    for (let second = 0; second < 40; second += 1) await rig.step();
    expect([...rig.store.records.keys()]).toEqual([second]);
  });

  test('that there is none of that id, or that it stops already, is told', async () => {
    const { rig, first } = await busyRig();
    expect(rig.reconciler.stop('j0000009abc')).toBe(false);
    rig.reconciler.stop(first);
    await rig.step(0);
    expect(rig.reconciler.stop(first)).toBe(false);
  });

  test('before it has its job it is taken away at once, and the job waits again', () => {
    const job = aJob(1);
    const runner = aRunner(job);
    const world = (state: 'starting' | 'idle') =>
      aWorld({
        runners: [runner],
        condemned: new Set([runner.id]),
        machines: known([aMachine(runner.machine, { state })]),
        jobs: new Map([['main', listed([job])]]),
      });
    for (const state of ['starting', 'idle'] as const)
      expect(plan(world(state), aPolicy(), 1).actions).toMatchObject([{ kind: 'finalize', reason: 'operator' }]);
  });
});
