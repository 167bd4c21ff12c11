// The deletion of unused registrations while the service is stopped, over a forge and a host in memory: what it tells, what it deletes, and
// that nothing else is touched or started.

import { expect, test } from 'vitest';
import { sweepOf } from '../../src/daemon-sweep.ts';
import { aMachine } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const mark = 'forgejo-runner-controller test@host';

/** A job at work and one that waits; registrations without a record: ours with and without a machine, a namesake's, somebody else's. */
async function leftRig(): Promise<Rig> {
  const rig = createRig();
  rig.forge.queue(1);
  await rig.step();
  rig.forge.queue(2);
  rig.driver.plant(aMachine('j0000009abc', { slot: 50, state: 'idle' }));
  for (const [name, description] of [
    ['j0000009abc', mark],
    ['j0000008abc', mark],
    ['j0000007abc', mark],
    ['j0000006abc', 'forgejo-runner-controller test@elsewhere'],
    ['office', mark],
  ] as const)
    await rig.forge.register(name, description);
  rig.restart();
  return rig;
}

async function swept(
  rig: Rig,
  confirmed: boolean,
): Promise<{ readonly done: boolean; readonly said: string; readonly left: readonly string[] }> {
  const lines: string[] = [];
  const [calls, records] = [rig.driver.calls.length, rig.store.records.size];
  const done = await sweepOf(rig.begin('draining'), [rig.forge], { confirmed, log: rig.log, say: (line) => lines.push(line) });
  expect(new Set(rig.driver.calls.slice(calls).map(({ verb }) => verb))).toEqual(new Set(['list', 'room']));
  expect(rig.store.records.size).toBe(records);
  return { done, said: lines.join('\n'), left: rig.forge.rows.map(({ name }) => name) };
}

test('without --yes tells which would be deleted, and changes nothing', async () => {
  const { done, said, left } = await swept(await leftRig(), false);
  expect(done).toBe(true);
  expect(said.split('\n')).toEqual([
    'registration j0000009abc at forge main has a machine: the service sees to both when it runs, end-all --yes ends both',
    'registration j0000008abc at forge main, which no machine and no record has',
    'registration j0000007abc at forge main, which no machine and no record has',
    '2 registrations would be deleted. Nothing was changed; say it again with --yes to do it.',
  ]);
  expect(left).toHaveLength(6);
});

test("I6 with --yes deletes those alone: what is at work, has a machine or is somebody else's stays, and who asked is in the log", async () => {
  const rig = await leftRig();
  const { done, said, left } = await swept(rig, true);
  expect(done).toBe(true);
  expect(said).toContain('2 of 2 registrations were deleted.');
  expect(left).toEqual([rig.store.records.keys().next().value, 'j0000009abc', 'j0000006abc', 'office']);
  expect(rig.log.lines.filter(({ event }) => event === 'sweep').map(({ facts }) => [facts['by'], facts.runner])).toEqual([
    ['operator (sweep)', 'j0000008abc'],
    ['operator (sweep)', 'j0000007abc'],
  ]);
});

test('says what could not be deleted, and goes on with the next', async () => {
  const rig = await leftRig();
  rig.forge.fail('unregister', 1);
  const { done, said, left } = await swept(rig, true);
  expect(done).toBe(false);
  expect(said).toContain('left: registration j0000008abc at forge main: unregister: no answer (FORGE_UNREACHABLE)');
  expect(said).toContain('1 of 2 registrations was deleted.');
  expect(left).not.toContain('j0000007abc');
});

test('I2 a host or a forge that cannot be listed is not taken for empty', async () => {
  const rig = await leftRig();
  rig.driver.fail('list');
  const blind = await swept(rig, true);
  expect([blind.done, blind.left.length]).toEqual([false, 6]);
  expect(blind.said).toContain('left: all, for the machines of this host cannot be listed');
  const deaf = await leftRig();
  deaf.forge.fail('registrations', 9);
  const { done, said, left } = await swept(deaf, true);
  expect([done, left.length]).toEqual([false, 6]);
  expect(said).toContain('left: the registrations at forge main cannot be listed');
});

test('of a runner whose machine is gone it says who sees to it', async () => {
  const rig = createRig();
  rig.forge.queue(1);
  await rig.step();
  for (const id of rig.driver.machines.keys()) await rig.driver.remove(id);
  const { said, left } = await swept(rig, true);
  expect(said).toMatch(/^runner j\w{10} has a record and no machine at work: the service removes what is left of it when it starts$/m);
  expect(left).toHaveLength(1);
});
