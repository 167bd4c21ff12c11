// Random names from the kernel. Not node:crypto, whose load costs 4 ms of the time from start to Declare.

import { closeSync, openSync, readSync } from 'node:fs';

export function randomHex(bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  const source = openSync('/dev/urandom', 'r');
  try {
    readSync(source, buffer);
  } finally {
    closeSync(source);
  }
  return buffer.toString('hex');
}

/** A version 4 UUID. */
export function randomUuid(): string {
  const hex = randomHex(16);
  const variant = (8 + (Number.parseInt(hex.charAt(16), 16) % 4)).toString(16);
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `${variant}${hex.slice(17, 20)}`, hex.slice(20)].join('-');
}
