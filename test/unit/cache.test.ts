// Who shares what jobs keep, and what the file of a cache says of it.

import { describe, expect, test } from 'vitest';
import type { Runner } from '../../src/core/model.ts';
import { cacheNameOf, isCacheName, profileOfCache } from '../../src/core/cache.ts';
import { freeAfter, sizeOf, superblockBytes, wornOf } from '../../src/driver/cache-image.ts';
import { aJob, aRunner } from '../support/build.ts';

const MiB = 1024 ** 2;
const place = 'https://forge.example.org owner name';

function nameOf(over: Partial<Runner> = {}, repositoryId = 1): string | undefined {
  return cacheNameOf({ ...aRunner(aJob(1, { repositoryId })), place, ownCode: true, ...over });
}

describe('the name of a cache', () => {
  test('is that of the repository, the forge where it is, and the profile', () => {
    const name = nameOf({ profile: 'my-tests.2' }, 42);
    expect(name).toMatch(/^main-[0-9a-f]{12}\/my-tests\.2-42$/);
    expect(profileOfCache(name ?? '')).toBe('my-tests.2');
  });

  test('is another for every other repository, forge, place of a forge and profile', () => {
    const names = [
      nameOf(),
      nameOf({}, 11),
      nameOf({ place: 'https://forge.example.org owner other' }),
      nameOf({ forge: 'mirror' }),
      nameOf({ profile: 'big' }),
      nameOf({ profile: 'default-1' }),
    ];
    expect(new Set(names).size).toBe(names.length);
    expect(names).not.toContain(undefined);
  });

  test('is none for a job of which is not known that it runs the own code of its repository, or where its forge is', () => {
    const runner = aRunner(aJob(1));
    expect([cacheNameOf({ ...runner, place }), cacheNameOf({ ...runner, ownCode: true })]).toEqual([undefined, undefined]);
  });

  test.each([
    ['a forge that its name does not lead to any more', { forge: `main (${place})` }, 1],
    ['a repository without a number', {}, 0],
    ['names that mean something to a path', { profile: '../../etc' }, 1],
    ['names that mean something to a shell', { forge: '$(id)' }, 1],
  ])('is none for %s', (_, over, repositoryId) => {
    expect(nameOf(over, repositoryId)).toBeUndefined();
  });

  test.each([
    '',
    'a/b-1',
    'main-0123456789ab/../b-1',
    '/main-0123456789ab/b-1',
    'main-0123456789ab/b-1\n',
    'main-0123456789ab/b-01',
    'main-0123456789ab/b',
  ])('is nothing else: %j', (text) => expect([isCacheName(text), profileOfCache(text)]).toEqual([false, undefined]));
});

describe('a cache', () => {
  const cache = { path: '/cache', maxBytes: 64 * MiB, maxAgeMs: 3_600_000 };
  const madeAt = 1_700_000_000;
  const fields = { inodes: 1_000, blocks: 10_000, freeBlocks: 5_000, freeInodes: 500, magic: 0xef53, madeAt };

  function imageOf(over: Partial<typeof fields> = {}, bytes = 64 * MiB) {
    const { inodes, blocks, freeBlocks, freeInodes, magic, madeAt: made } = { ...fields, ...over };
    const superblock = Buffer.alloc(superblockBytes);
    for (const [at, value] of [
      [0x00, inodes],
      [0x04, blocks],
      [0x0c, freeBlocks],
      [0x10, freeInodes],
      [0x108, made],
    ] as const)
      superblock.writeUInt32LE(value, at);
    superblock.writeUInt16LE(magic, 0x38);
    return { bytes, allocatedBytes: 0, superblock };
  }

  test.each([
    ['half full and young', imageOf(), 0, undefined],
    ['nearly full', imageOf({ freeBlocks: 1_001 }), 0, undefined],
    ['full', imageOf({ freeBlocks: 1_000 }), 0, 'it was full (cache.maxSize)'],
    ['full of small files', imageOf({ freeInodes: 100 }), 0, 'it was full (cache.maxSize)'],
    ['as old as it may be', imageOf(), 3_600_000, undefined],
    ['older', imageOf(), 3_600_001, 'it was old (cache.maxAge)'],
    ['made after now, by a clock that was set back', imageOf(), -86_400_000, undefined],
    ['smaller than it may be', imageOf({}, 32 * MiB), 0, 'its size is another now (cache.maxSize)'],
    ['larger than it may be', imageOf({}, 128 * MiB), 0, 'its size is another now (cache.maxSize)'],
    ['no file system', imageOf({ magic: 0 }), 0, 'it cannot be read'],
    ['cut short', { ...imageOf(), superblock: new Uint8Array(100) }, 0, 'it cannot be read'],
  ])('that is %s', (_, image, afterMs, why) => {
    expect(wornOf(image, cache, madeAt * 1_000 + afterMs)).toBe(why);
  });

  test('of a size that is no whole number of KiB is a little smaller, every time', () => {
    expect(sizeOf(64 * MiB + 1_023)).toBe(64 * MiB);
    expect(wornOf(imageOf(), { ...cache, maxBytes: 64 * MiB + 1_023 }, madeAt * 1_000)).toBeUndefined();
  });

  test('may grow to its size, which nobody else is promised meanwhile', () => {
    const growing = [
      { bytes: 100, allocatedBytes: 40 },
      { bytes: 50, allocatedBytes: 0 },
      // Of its own tables a file system may have more than was asked for.
      { bytes: 10, allocatedBytes: 11 },
    ];
    expect([freeAfter(1_000, growing), freeAfter(100, growing), freeAfter(7, [])]).toEqual([890, -10, 7]);
  });
});
