// The emergency stop over a forge, a host and a disk in memory: what it tells, what it ends, and what it says of what it could not end.

import { describe, expect, test } from 'vitest';
import { endAllOf } from '../../src/daemon-end-all.ts';
import { aMachine } from '../support/build.ts';
import { createRig, flushed, type Rig } from '../support/reconciler-rig.ts';

/** Two jobs at work, one machine and one registration that no record speaks of. */
async function busyRig(): Promise<Rig> {
  const rig = createRig();
  rig.forge.queue(1);
  rig.forge.queue(2);
  await rig.step();
  rig.driver.plant(aMachine('j0000009abc', { slot: 50 }));
  await rig.forge.register('j0000008abc', 'forgejo-runner-controller test@host');
  await rig.forge.register('office', '');
  return rig;
}

async function endAll(rig: Rig, confirmed: boolean): Promise<{ readonly clean: boolean; readonly said: string }> {
  const lines: string[] = [];
  const driver = Object.assign(rig.driver, {
    configure: () => Promise.resolve(),
    claim: () => Promise.resolve(() => undefined),
    consoles: () => Promise.resolve(new Map()),
    async *follow() {},
  });
  const options = { confirmed, log: rig.log, say: (line: string) => lines.push(line), ending: new AbortController().signal };
  const ends: boolean[] = [];
  const run = endAllOf({ driver, clock: rig.clock, reconciler: (mode) => rig.begin(mode) }, options).then((clean) => ends.push(clean));
  for (let second = 0; second < 300 && ends.length === 0; second += 1) {
    await flushed();
    rig.clock.advance(1_000);
  }
  await run;
  return { clean: ends[0] === true, said: lines.join('\n') };
}

describe('end-all', () => {
  test('without --yes tells what is there and changes nothing', async () => {
    const rig = await busyRig();
    const calls = rig.driver.calls.length;
    const { clean, said } = await endAll(rig, false);
    expect(clean).toBe(true);
    for (const word of ['job 1 ("job 1")', 'job 2 ("job 2")', 'machine j0000009abc', 'registration j0000008abc'])
      expect(said).toContain(word);
    expect(said).toContain('2 runners, 1 machine and 1 registration without a record would be ended');
    expect(
      rig.driver.calls
        .slice(calls)
        .map(({ verb }) => verb)
        .toSorted(),
    ).toEqual(['list', 'room']);
    expect([rig.driver.machines.size, rig.store.records.size, (await rig.forge.registrations()).length]).toEqual([3, 2, 4]);
  });

  test('with --yes leaves nothing of ours and touches nothing else, and says who asked', async () => {
    const rig = await busyRig();
    const { clean, said } = await endAll(rig, true);
    expect(said).toContain('Nothing of this controller is left.');
    expect(clean).toBe(true);
    expect([rig.driver.machines.size, rig.store.records.size]).toEqual([0, 0]);
    expect((await rig.forge.registrations()).map(({ name }) => name)).toEqual(['office']);
    const stops = rig.log.lines.filter(({ event }) => event === 'stop');
    expect(stops.map(({ facts }) => [facts['by'], facts['reason']])).toEqual([
      ['end-all', 'operator'],
      ['end-all', 'operator'],
    ]);
    expect(rig.log.lines.filter(({ event }) => event === 'end-all')).toMatchObject([
      { facts: { by: 'operator (end-all)' } },
      { facts: { left: 0 } },
    ]);
  });

  test('removes by force what does not obey within its grace', async () => {
    const rig = createRig({}, { obedient: false });
    rig.forge.queue(1);
    await rig.step();
    expect((await endAll(rig, true)).clean).toBe(true);
    expect([rig.driver.machines.size, rig.store.records.size, (await rig.forge.registrations()).length]).toEqual([0, 0, 0]);
  });

  test('waits for the last registration, too: one that could not be deleted at once is deleted at the next try', async () => {
    const rig = createRig();
    await rig.forge.register('j0000008abc', 'forgejo-runner-controller test@host');
    rig.forge.fail('unregister', 2);
    expect((await endAll(rig, true)).clean).toBe(true);
    expect(await rig.forge.registrations()).toEqual([]);
  });

  test('I1 says what it could not end and why, and keeps the record of it', async () => {
    const rig = await busyRig();
    rig.forge.fail('unregister', Number.POSITIVE_INFINITY);
    const { clean, said } = await endAll(rig, true);
    expect(clean).toBe(false);
    expect(said).toContain('left: runner');
    expect(said).toContain('FORGE_UNREACHABLE');
    expect([rig.driver.machines.size, rig.store.records.size]).toEqual([0, 2]);
  });

  test('I2 takes a host that cannot be listed for unknown, not for empty', async () => {
    const rig = await busyRig();
    rig.driver.fail('list');
    const { clean, said } = await endAll(rig, true);
    expect(clean).toBe(false);
    expect(said).toContain("left: the host's machines cannot be listed");
    expect(rig.store.records.size).toBe(2);
  });
});
