// The audit: everything that is started, stopped or removed is one line that says who asked, for which runner and job, and why.

import { expect, test } from 'vitest';
import type { Line } from '../support/reconciler-rig.ts';
import { aMachine, aPolicy, aProfile } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const linesOf = (rig: Rig, event: Line['event']): readonly unknown[] =>
  rig.log.lines
    .filter((line) => line.event === event)
    .map(({ level, facts }) => [level, facts['by'], facts.runner, facts.job, facts['reason']]);
const audited = new Set<Line['event']>(['launch', 'stop', 'finalize', 'sweep', 'drain', 'resume', 'reload', 'end-all']);

test('a job that runs to its end leaves one line for its start and one for its end', async () => {
  const rig = createRig();
  rig.forge.queue(1);
  for (let second = 0; second < 3; second += 1) await rig.step();
  const [machine = ''] = rig.driver.machines.keys();
  rig.driver.end(machine);
  for (let second = 0; second < 3; second += 1) await rig.step();
  expect(linesOf(rig, 'launch')).toEqual([['info', 'plan', machine, 1, 'waiting']]);
  expect(linesOf(rig, 'finalize')).toEqual([['info', 'plan', machine, 1, 'finished']]);
  expect(rig.log.lines.filter(({ event }) => audited.has(event))).toHaveLength(2);
});

test('a job that is stopped leaves one line for the stop, however often it is asked again', async () => {
  const timeouts = { startMs: 60_000, pickMs: 2_000, jobMs: 60_000, stopMs: 10_000 };
  const rig = createRig({ profiles: [aProfile({ timeouts })] }, { obedient: false });
  rig.forge.queue(1);
  for (let second = 0; second < 30; second += 1) await rig.step();
  const [, , runner] = linesOf(rig, 'launch')[0] as readonly string[];
  expect(rig.driver.calls.filter(({ verb }) => verb === 'stop').length).toBeGreaterThan(3);
  expect(linesOf(rig, 'stop')).toEqual([['info', 'plan', runner, 1, 'unpicked']]);
  expect(linesOf(rig, 'finalize')).toEqual([['info', 'plan', runner, 1, 'unpicked']]);
});

test('what is swept leaves one line when it is gone, not one for each try', async () => {
  const rig = createRig();
  rig.driver.plant(aMachine('j0000009abc', { state: 'exited' }));
  await rig.forge.register('j0000008abc', aPolicy().description);
  rig.driver.fail('remove', { times: 2 });
  rig.forge.fail('unregister', 1);
  for (let second = 0; second < 12; second += 1) {
    rig.reconciler.maintain();
    await rig.step();
  }
  expect(linesOf(rig, 'sweep').map(String).toSorted()).toEqual(['info,plan,j0000008abc,,no-record', 'info,plan,j0000009abc,,no-record']);
});
