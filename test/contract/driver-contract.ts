// Promises the one suite of what every Driver must keep. A world's runner obeys the assignment's handle: `exit-N` ends the machine with
// that code, anything else runs until it is stopped.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Machine, MachineId, Profile } from '../../src/core/model.ts';
import type { Assignment, Driver } from '../../src/driver/driver.ts';

export type DriverWorld = {
  readonly driver: Driver;
  readonly profile: Profile;
  /** Lets go of everything; machines that a test left are removed before. */
  close(): Promise<void>;
};

export const token = 'fd5d7a2c9b3e48a1b7c0e5f6a9d8c7b6e5f4a3b2';

export function assignmentOf(handle: string): Assignment {
  return { url: 'http://10.9.0.1:3000', uuid: '0c4e9d1e-6f51-4f0e-9a34-2f8f8f0a7c11', token, handle, labels: ['debian'] };
}

/** Waits until the machine is in that state, at most a minute. */
export async function seen(driver: Driver, id: MachineId, state: Machine['state']): Promise<Machine> {
  let last: Machine | undefined;
  for (const end = performance.now() + 60_000; performance.now() < end;) {
    last = (await driver.list()).find((machine) => machine.id === id);
    if (last?.state === state) return last;
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
  throw new Error(`${id} was not seen ${state} within a minute, but ${JSON.stringify(last)}`);
}

const [first, second] = ['j0000001aaa', 'j0000002bbb'] as const;
const early = 'w0000000001';

function soon(): AbortSignal {
  return AbortSignal.timeout(30_000);
}

export function driverContract(name: string, create: () => Promise<DriverWorld>): void {
  describe(`${name} keeps the driver's contract`, () => {
    let world: DriverWorld;
    let driver: Driver;

    async function start(id: MachineId, slot = 0): Promise<void> {
      await driver.start({ id, slot, profile: world.profile, runtimeMaxMs: 60_000 });
    }

    beforeEach(async () => {
      world = await create();
      ({ driver } = world);
      await driver.check();
    });
    afterEach(async () => {
      for (const { id } of await driver.list()) await driver.remove(id);
      await world.close();
    });

    test('an empty host lists no machine and no artefact', async () => {
      expect(await driver.list()).toEqual([]);
      expect(await driver.artefacts()).toEqual([]);
    });

    test('a started machine waits, idle, with its slot and start time, and keeps waiting', async () => {
      await start(first, 3);
      const machine = await seen(driver, first, 'idle');
      expect(machine.slot).toBe(3);
      expect(machine.startedAt).toBeGreaterThan(0);
      expect(machine.exit).toBeUndefined();
    });

    test('one that was started before its job says its profile and build, that of one made now, and takes a job as any other', async () => {
      await start(early, 3);
      const build = (await driver.builds()).get(world.profile.name);
      expect(build).toMatch(/./);
      expect((await seen(driver, early, 'idle')).warm).toEqual({ profile: world.profile.name, build });
      expect((await driver.builds()).get(world.profile.name)).toBe(build);
      await driver.assign(early, assignmentOf('wait'), soon());
      await seen(driver, early, 'running');
      await driver.remove(early);
      expect(await driver.artefacts()).toEqual([]);
    });

    test('the room that is left is told', async () => {
      expect((await driver.room()).bytes).toBeGreaterThan(0);
    });
    test('starting twice is success and makes one machine', async () => {
      await start(first);
      await start(first);
      await seen(driver, first, 'idle');
      await start(first);
      expect((await driver.list()).map(({ id }) => id)).toEqual([first]);
    });

    test('an assigned machine runs, and is seen running by another look', async () => {
      await start(first);
      await driver.assign(first, assignmentOf('wait'), soon());
      expect((await seen(driver, first, 'running')).exit).toBeUndefined();
    });

    test('assigning twice is success and changes nothing', async () => {
      await start(first);
      await driver.assign(first, assignmentOf('wait'), soon());
      await driver.assign(first, assignmentOf('exit-9'), soon());
      expect((await seen(driver, first, 'running')).exit).toBeUndefined();
    });

    test('assigning a machine that is not there is refused', async () => {
      await expect(driver.assign(first, assignmentOf('wait'), soon())).rejects.toMatchObject({ code: 'DRIVER_FAILED' });
    });

    test('a machine that ended is listed as exited with its exit record, until it is removed', async () => {
      await start(first);
      await driver.assign(first, assignmentOf('exit-7'), soon());
      const machine = await seen(driver, first, 'exited');
      expect(machine.exit).toMatchObject({ result: 'exit-code', code: 'exited', status: '7' });
      expect((await driver.list()).length).toBe(1);
      await driver.remove(first);
      expect(await driver.list()).toEqual([]);
    });

    test('starting a machine that has ended does not run it again', async () => {
      await start(first);
      await driver.assign(first, assignmentOf('exit-0'), soon());
      await seen(driver, first, 'exited');
      await start(first);
      expect((await seen(driver, first, 'exited')).exit?.status).toBe('0');
    });

    test('the end of a machine wakes the watcher', async () => {
      await start(first);
      let woken = 0;
      const unwatch = driver.watch(() => {
        woken += 1;
      });
      await driver.assign(first, assignmentOf('exit-0'), soon());
      await seen(driver, first, 'exited');
      await expect.poll(() => woken, { timeout: 2_000 }).toBeGreaterThan(0);
      unwatch();
    });

    test('a stop ends a machine that waits and one that runs', async () => {
      await start(first, 0);
      await start(second, 1);
      await driver.assign(first, assignmentOf('wait'), soon());
      await seen(driver, second, 'idle');
      await Promise.all([driver.stop(first, 3_000), driver.stop(second, 3_000)]);
      expect((await seen(driver, first, 'exited')).exit).toBeDefined();
      expect((await seen(driver, second, 'exited')).exit).toBeDefined();
    });

    test('stopping and removing what is not there is success', async () => {
      await driver.stop(first, 1_000);
      await driver.remove(first);
      await driver.remove(first);
      expect(await driver.list()).toEqual([]);
    });

    test('removing kills what runs, leaves nothing, and leaves the others alone', async () => {
      await start(first, 0);
      await start(second, 1);
      await driver.assign(first, assignmentOf('wait'), soon());
      await driver.assign(second, assignmentOf('wait'), soon());
      await driver.remove(first);
      expect((await driver.list()).map(({ id, state }) => [id, state])).toEqual([[second, 'running']]);
      expect((await driver.artefacts()).filter(({ name }) => name.includes(first))).toEqual([]);
      await driver.remove(second);
      expect(await driver.artefacts()).toEqual([]);
    });

    test('an id and a slot can be used again once they are removed', async () => {
      await start(first, 5);
      await driver.remove(first);
      await start(first, 5);
      expect((await seen(driver, first, 'idle')).slot).toBe(5);
    });
  });
}
