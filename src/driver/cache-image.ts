// Promises what can be said of a cache by its file alone: whether it is fit to be used once more, and how much it may still grow. Pure; a cache is
// an ext4 in a sparse file, whose superblock the kernel brings up to date when it is unmounted.

import type { Cache } from '../core/cache.ts';

/** Where in the file the superblock begins, and how much of it is read. */
export const superblockAt = 1_024;
export const superblockBytes = 1_024;

/** As fs/ext4/ext4.h has them, from the superblock's beginning. */
const at = { inodes: 0x00, blocks: 0x04, freeBlocks: 0x0c, freeInodes: 0x10, magic: 0x38, madeAt: 0x108 } as const;
const magic = 0xef53;
/** Where the state stands in the file, for who asks again when nobody else can use it; 1 = unmounted in order. */
export const stateAt = superblockAt + 0x3a;

export type CacheImage = {
  /** As it was made: the most that it can hold. */
  readonly bytes: number;
  /** What the host's disk has of it now. */
  readonly allocatedBytes: number;
  readonly superblock: Uint8Array;
};

/** From here on a job could find no room for what it brings. */
const fullShare = 0.9;

/** Why it is to be made anew, or undefined. A clock that was set back makes nothing old. */
export function wornOf({ bytes, superblock }: CacheImage, { maxBytes, maxAgeMs }: Cache, wallNow: number): string | undefined {
  const view = new DataView(superblock.buffer, superblock.byteOffset, superblock.byteLength);
  if (view.byteLength < superblockBytes || view.getUint16(at.magic, true) !== magic) return 'it cannot be read';
  if (bytes !== sizeOf(maxBytes)) return 'its size is another now (cache.maxSize)';
  if (wallNow - view.getUint32(at.madeAt, true) * 1_000 > maxAgeMs) return 'it was old (cache.maxAge)';
  const read = (field: number): number => view.getUint32(field, true);
  return fullOf({ blocks: read(at.blocks), bfree: read(at.freeBlocks), files: read(at.inodes), ffree: read(at.freeInodes) });
}

/** As statfs has it. Why it is to be made anew, if it is full. */
export function fullOf({ blocks, bfree, files, ffree }: Record<'blocks' | 'bfree' | 'files' | 'ffree', number>): string | undefined {
  return 1 - bfree / blocks >= fullShare || 1 - ffree / files >= fullShare ? 'it was full (cache.maxSize)' : undefined;
}

/** A file of whole KiB. */
export function sizeOf(maxBytes: number): number {
  return Math.floor(maxBytes / 1_024) * 1_024;
}

/** What is free when all that are in use have grown to their sizes. */
export function freeAfter(freeBytes: number, growing: readonly Pick<CacheImage, 'bytes' | 'allocatedBytes'>[]): number {
  return growing.reduce((free, { bytes, allocatedBytes }) => free - Math.max(0, bytes - allocatedBytes), freeBytes);
}
