// Promises that on a real host a job finds what an earlier job of its repository kept, and nobody else does; that neither the host nor another
// job comes to harm by it; and that nothing of it stays mounted.

import { readFileSync } from 'node:fs';
import { open, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createNspawnDriver } from '../../src/driver/nspawn.ts';
import { assignmentOf, seen } from '../contract/driver-contract.ts';
import { createNspawnWorld, onHost, type NspawnWorld, type WorldOptions } from '../contract/nspawn-world.ts';

const MiB = 1024 ** 2;
const cache = { path: '/var/cache/jobs', maxBytes: 64 * MiB, maxAgeMs: 3_600_000 };
const [ours, theirs] = ['main-0123456789ab/default-7', 'main-0123456789ab/default-8'];
const [first, second] = ['j0000001abc', 'j0000002abc'];

let world: NspawnWorld;
async function use(options: WorldOptions = {}): Promise<void> {
  world = await createNspawnWorld({ ...options, profile: { cache, ...options.profile } });
  await world.driver.check();
}
beforeEach(async () => use());
afterEach(async () => {
  await world.close();
  // Of what is mounted, by whomever, and of the devices under it.
  await vi.waitFor(async () => {
    const held = `${readFileSync('/proc/self/mountinfo', 'utf8')}${await onHost('losetup', '--noheadings', '--output', 'BACK-FILE')}`;
    if (held.includes('/cache/mounted') || held.includes(String(world.input.cacheDir))) throw new Error(`still there: ${held}`);
  }, 30_000);
});

function imageOf(name: string): string {
  return `${String(world.input.cacheDir)}/${world.controllerId}/${name}.ext4`;
}

/** What a job with that cache, in a machine of its own that is gone again, said. */
async function job(script: string, name: string | undefined, slot = 0): Promise<string> {
  const { output } = await world.probe(first, slot, `cd "$RUNNER_CACHE_DIR" || exit\n${script}`, undefined, name);
  await world.driver.remove(first);
  return output;
}

test.each([{}, { template: { kind: 'directory', path: '/var/lib/machines/debian' } }] satisfies WorldOptions[])(
  'a job finds what one of its repository kept, with the same owners, in another slot: %j',
  async (options) => {
    await world.close();
    await use(options);
    expect(
      await job('pwd; echo one >a; echo b >b; chown 1000:1000 b; chmod 4755 b; ln -s /etc/shadow link; mknod null c 1 3', ours),
    ).toMatch(/^\/var\/cache\/jobs\n.*not permitted$/s);
    expect(await job('stat -c "%n %u:%g %a" a b; cat a; echo two >>a; echo c >>b; ls', ours, 5)).toBe(
      'a 0:0 644\nb 1000:1000 4755\none\na\nb\nlink',
    );
    expect(await job('cat a b', ours, 3)).toBe('one\ntwo\nb\nc');
  },
);

test('another repository has another one, and a job that is to have none an empty folder that goes with its machine', async () => {
  await job('echo secret >a', ours);
  expect(await job('ls -A; echo theirs >b', theirs)).toBe('');
  expect(await job('ls -A; echo mine >c && cat c', undefined)).toBe('mine');
  expect(await job('ls -A', ours)).toBe('a');
  expect(await job('ls -A', undefined)).toBe('');
});

test('it takes no more of the host than its size, and when it is full the next job has a new one', async () => {
  expect(
    await job('head -c 100M /dev/zero >a; df -m . | tail -n 1 | { read -r _ size _; [ "$size" -le 64 ] && echo small; }', ours),
  ).toMatch(/No space left on device\nsmall$/);
  const { blocks, size } = await stat(imageOf(ours));
  expect([size, blocks * 512 <= 64 * MiB]).toEqual([64 * MiB, true]);
  expect(await job('ls -A; echo small >a', ours)).toBe('');
  expect(await job('cat a', ours)).toBe('small');
});

test('two jobs at once share it, and the end of the one takes nothing from the other', async () => {
  await world.driver.start({ id: second, slot: 1, profile: world.profile, runtimeMaxMs: 60_000, cache: ours });
  await world.driver.assign(second, assignmentOf('wait'), AbortSignal.timeout(10_000));
  await seen(world.driver, second, 'running');
  await job('echo one >a', ours);
  expect(await job('cat a; echo two >b', ours, 4)).toBe('one');
  await world.driver.remove(second);
  expect(await job('cat a b', ours)).toBe('one\ntwo');
});

test('one that is full while a job has it is not handed on: the next job has a new one, and who has it keeps it', async () => {
  await world.driver.start({ id: second, slot: 1, profile: world.profile, runtimeMaxMs: 60_000, cache: ours });
  const kept = await stat(imageOf(ours));
  expect(await job('echo one >a; head -c 100M /dev/zero >b', ours)).toContain('No space left on device');
  expect(await job('ls -A; echo two >c', ours, 4)).toBe('');
  expect(await job('ls -A', ours)).toBe('c');
  expect((await stat(imageOf(ours))).ino).not.toBe(kept.ino);
  const mounted = `${world.input.stateDir}/machines/${second}/cache/mounted`;
  expect((await readdir(mounted)).toSorted()).toEqual(['a', 'b']);
});

describe('the host', () => {
  test('knows what is in use also where a link leads to it, and leaves it alone', async () => {
    const link = `${String(world.input.cacheDir)}-link`;
    await symlink(String(world.input.cacheDir), link);
    try {
      const { cache: _, ...without } = world.profile;
      const input = { ...world.input, cacheDir: link };
      await world.driver.start({ id: second, slot: 1, profile: world.profile, runtimeMaxMs: 60_000, cache: ours });
      await createNspawnDriver({ ...input, profiles: [without] }).check();
      expect(await readdir(dirname(imageOf(ours)))).toEqual(['default-7.ext4']);
    } finally {
      await rm(link);
    }
  });

  test('runs machines when what jobs keep lies nowhere any more, and tells who starts the service', async () => {
    const place = String(world.input.cacheDir);
    await rename(place, `${place}-away`);
    await writeFile(place, '');
    try {
      await world.driver.check();
      expect(await job('ls -A; echo mine >c && cat c', ours)).toBe('mine');
      await expect(createNspawnDriver(world.input).check()).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' });
    } finally {
      await rm(place);
      await rename(`${place}-away`, place);
    }
    expect(await job('ls -A; echo one >a', ours)).toBe('');
  });

  test('gives no program in it any right, and nobody but root a way to it', async () => {
    await world.driver.start({ id: second, slot: 1, profile: world.profile, runtimeMaxMs: 60_000, cache: ours });
    const mount = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .find((line) => line.includes(`${second}/cache/mounted`));
    expect(mount).toMatch(/ rw,nosuid,nodev,noatime /);
    const folders = await Promise.all(
      ['', '/contract', '/contract/main-0123456789ab'].map(async (path) => stat(`${String(world.input.cacheDir)}${path}`)),
    );
    expect(folders.map(({ mode, uid }) => [mode & 0o077, uid])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
  });

  test('has room left: a cache that could take what must stay free is not lent, and those that nobody uses give way', async () => {
    await job('echo one >a', theirs);
    const careful = createNspawnDriver({ ...world.input, minFreeDiskBytes: 2 ** 60 });
    await careful.check();
    expect(await readdir(`${String(world.input.cacheDir)}/contract/main-0123456789ab`)).toEqual([]);
    await careful.start({ id: second, slot: 1, profile: world.profile, runtimeMaxMs: 60_000, cache: ours });
    await seen(careful, second, 'idle');
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain('/cache/mounted');
    expect(await readdir(`${String(world.input.cacheDir)}/contract/main-0123456789ab`)).toEqual([]);
  });
});

test('I8 whoever comes after a kill of the service removes machine and mount alike, and the cache is whole', async () => {
  await world.driver.start({ id: second, slot: 1, profile: world.profile, runtimeMaxMs: 60_000, cache: ours });
  await job('echo one >a', ours);
  await createNspawnDriver(world.input).remove(second);
  expect(await world.driver.artefacts()).toEqual([]);
  expect(await job('cat a', ours)).toBe('one');
});

test('one that was not unmounted in order, as by a power cut, is made anew', async () => {
  await job('echo one >a', ours);
  const file = await open(imageOf(ours), 'r+');
  await file.write(new Uint8Array([0, 0]), 0, 2, 1_024 + 0x3a);
  await file.close();
  expect(await job('ls -A; echo two >b', ours)).toBe('');
  expect(await job('ls -A', ours)).toBe('b');
});

test('what no profile wants any more is removed by the next check', async () => {
  await job('echo one >a', ours);
  const { cache: _, ...without } = world.profile;
  await createNspawnDriver({ ...world.input, profiles: [without] }).check();
  expect(await readdir(`${String(world.input.cacheDir)}/contract/main-0123456789ab`)).toEqual([]);
});
