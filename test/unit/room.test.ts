// A full disk is prevented: below the floor nothing is started and everybody is told why, running jobs go on, above it again it goes on by
// itself.

import { describe, expect, test } from 'vitest';
import { standstillOf } from '../../src/core/room.ts';
import { known, unknown } from '../support/build.ts';
import { createRig } from '../support/reconciler-rig.ts';

const floor = { bytes: 1024 ** 3, inodes: 10_000 };
const mebibyte = 1024 ** 2;
const roomOf = (bytes: number, inodes?: number) => known({ path: '/state', bytes, ...(inodes === undefined ? {} : { inodes }) });

describe('the room for machines', () => {
  test.each([
    ['just enough', roomOf(floor.bytes, floor.inodes), undefined],
    ['no count of inodes', roomOf(floor.bytes), undefined],
    ['a byte too little', roomOf(floor.bytes - 1, 50_000), 'host-full'],
    ['an inode too little', roomOf(floor.bytes, floor.inodes - 1), 'host-full'],
    ['nobody who could tell', unknown, 'host-unknown'],
  ])('with %s is judged by the floor alone', (_, room, reason) => {
    expect(standstillOf(room, floor)?.reason).toBe(reason);
    expect(standstillOf(room, undefined)).toBeUndefined();
  });

  test('is told with what is free, what must be, where, and what to do', () => {
    expect(standstillOf(roomOf(500 * mebibyte), floor)?.sentence).toBe(
      '500 MiB are free on the file system of /state, and nothing is started below 1024 MiB (minFreeDisk): free some, or lower minFreeDisk; running jobs go on',
    );
  });

  test('below the floor nothing is started, what runs goes on, and above it again it goes on by itself', async () => {
    const rig = createRig({ floor });
    rig.forge.queue(1);
    await rig.step();
    rig.driver.setRoom({ path: '/state', bytes: mebibyte });
    rig.forge.queue(2);
    for (let second = 0; second < 5; second += 1) await rig.step();
    expect([rig.driver.machines.size, rig.driver.calls.filter(({ verb }) => verb === 'stop')]).toEqual([1, []]);
    expect(rig.reconciler.snapshot()).toMatchObject({
      denials: [{ reason: 'host-full' }],
      host: { room: { bytes: mebibyte }, full: expect.stringContaining('1 MiB are free') },
    });
    rig.driver.setRoom({ path: '/state', bytes: 2 * floor.bytes });
    await rig.step();
    expect(rig.driver.machines.size).toBe(2);
    expect(rig.reconciler.snapshot().host).not.toHaveProperty('full');
    const said = rig.log.lines.filter(({ event, message }) => (event === 'host-error' || event === 'maintenance') && message !== undefined);
    expect(said.map(({ event, message }) => [event, message])).toEqual([
      ['host-error', expect.stringContaining('nothing is started')],
      ['maintenance', 'there is room for machines again'],
    ]);
  });

  test('I2 is not taken for enough when it cannot be read; whom no profile serves is told that first', async () => {
    const rig = createRig({ floor });
    rig.driver.fail('room');
    rig.forge.queue(1);
    rig.forge.queue(2, { labels: ['windows'] });
    await rig.step();
    expect(rig.driver.machines.size).toBe(0);
    expect(rig.reconciler.snapshot().denials.map(({ reason }) => reason)).toEqual(['host-unknown', 'unmatched']);
    rig.driver.heal('room');
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
  });

  test('I1 a record that could not be written on a full disk starts no machine, and is written when there is room', async () => {
    const rig = createRig();
    rig.store.fail(3);
    rig.forge.queue(1);
    await rig.step();
    expect([rig.driver.machines.size, rig.store.records.size]).toEqual([0, 0]);
    for (let second = 0; second < 20; second += 1) await rig.step();
    expect([rig.driver.machines.size, rig.store.records.size]).toEqual([1, 1]);
    const [machine = ''] = rig.driver.machines.keys();
    rig.driver.end(machine);
    rig.store.fail(2);
    for (let second = 0; second < 20; second += 1) await rig.step();
    expect(rig.reconciler.snapshot().ended).toHaveLength(1);
    expect((await rig.forge.registrations()).length).toBeLessThanOrEqual(1);
  });
});
