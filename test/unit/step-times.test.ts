// What the log says of how long each step of a runner's life took: metrics are made of it.

import { expect, test } from 'vitest';
import { createRig, type Line, type Rig } from '../support/reconciler-rig.ts';

const factsOf = (rig: Rig, event: Line['event']): Line['facts'] => rig.log.lines.find((line) => line.event === event)?.facts ?? {};

test('a start, a pick-up and an end say how long each of their steps took', async () => {
  const rig = createRig();
  const { handle } = rig.forge.queue(1);
  for (let second = 0; second < 3; second += 1) await rig.step();
  const [machine = ''] = rig.driver.machines.keys();
  expect(factsOf(rig, 'assign')).toMatchObject({ recordedMs: 0, startedMs: 0, registeredMs: 0, assignedMs: 0, afterMs: 0 });
  rig.forge.pick(rig.forge.rows[0]?.uuid ?? '', handle);
  await rig.step(4_000);
  await rig.step();
  expect(factsOf(rig, 'picked')).toMatchObject({ pickMs: 6_000 });
  rig.forge.end(handle);
  rig.driver.end(machine);
  for (let second = 0; second < 3; second += 1) await rig.step();
  expect(factsOf(rig, 'finalize')).toMatchObject({ reason: 'finished', cleanMs: 0, ranMs: 2_000 });
});

test('a job that was over before it was seen to run is counted from its hand-over', async () => {
  const rig = createRig();
  rig.forge.queue(1);
  await rig.step();
  const [machine = ''] = rig.driver.machines.keys();
  rig.driver.end(machine);
  for (let second = 0; second < 3; second += 1) await rig.step();
  expect(factsOf(rig, 'finalize')).toMatchObject({ reason: 'finished', ranMs: 1_000 });
  expect(factsOf(rig, 'picked')).toEqual({});
});

test('a start that was cut short and resumed does not say how long its record took', async () => {
  const rig = createRig();
  rig.forge.queue(1);
  rig.forge.fail('register', 1);
  await rig.step();
  rig.restart();
  for (let second = 0; second < 3; second += 1) await rig.step();
  expect(factsOf(rig, 'assign')).toMatchObject({ registeredMs: 0 });
  expect(factsOf(rig, 'assign')).not.toHaveProperty('recordedMs');
});
