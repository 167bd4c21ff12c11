// Drain and resume: what runs is finished, the loop ends when nothing of ours is left, and each order is one line that says who gave it.

import { describe, expect, test } from 'vitest';
import { createRig, flushed } from '../support/reconciler-rig.ts';

const by = 'signal SIGUSR1';

describe('a drain', () => {
  test('with nothing of ours ends the loop at once, and says who asked', async () => {
    const rig = createRig();
    const ended = rig.reconciler.run(new AbortController().signal);
    rig.reconciler.drain(true, by);
    rig.reconciler.drain(true, 'somebody else');
    expect(await ended).toBe('through');
    expect(rig.log.lines.filter(({ event }) => event === 'drain')).toMatchObject([{ level: 'info', facts: { by, left: 0 } }]);
  });

  test('ends the loop only when the last job, its machine, its registration and its record are gone', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    await rig.step();
    const [machine = ''] = rig.driver.machines.keys();
    rig.reconciler.drain(true, by);
    rig.forge.queue(2);
    const ends: string[] = [];
    const run = rig.reconciler.run(new AbortController().signal).then((result) => ends.push(result));
    rig.forge.fail('unregister', 1);
    for (let second = 0; second < 3; second += 1) {
      rig.clock.advance(1_000);
      await flushed();
    }
    expect(rig.reconciler.snapshot()).toMatchObject({ draining: true, drain: { by, left: 1 } });
    expect(ends).toEqual([]);
    rig.driver.end(machine);
    await flushed();
    expect(ends, 'its registration is still there').toEqual([]);
    for (let second = 0; second < 5 && ends.length === 0; second += 1) {
      rig.clock.advance(1_000);
      await flushed();
    }
    await run;
    expect([...ends, rig.store.records.size, rig.driver.machines.size, rig.forge.rows.length]).toEqual(['through', 0, 0, 0]);
  });

  test('I2 does not take a host that cannot be read for an empty one', async () => {
    const rig = createRig();
    rig.driver.fail('list');
    const stop = new AbortController();
    const run = rig.reconciler.run(stop.signal);
    rig.reconciler.drain(true, by);
    await flushed();
    rig.clock.advance(1_000);
    await flushed();
    expect(rig.reconciler.snapshot().draining).toBe(true);
    stop.abort();
    expect(await run).toBe('stopped');
  });

  test('is taken back by resume: waiting jobs are started again', async () => {
    const rig = createRig();
    rig.reconciler.drain(true, by);
    rig.forge.queue(1);
    await rig.step();
    expect(rig.driver.machines.size).toBe(0);
    rig.reconciler.drain(false, 'signal SIGUSR2');
    rig.reconciler.drain(false, 'signal SIGUSR2');
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
    expect(rig.reconciler.snapshot()).toMatchObject({ draining: false });
    expect(rig.reconciler.snapshot()).not.toHaveProperty('drain');
    expect(rig.log.lines.filter(({ event }) => event === 'resume')).toMatchObject([{ facts: { by: 'signal SIGUSR2' } }]);
  });
});
