// Promises when a host has too little room for another machine, and the sentence that says so: what is free, what must be, where, and what to
// do. Running jobs are never concerned. Pure; what could not be read is not taken for enough (I2).

import type { Denial, Policy, Reading, Room } from './model.ts';

export type Standstill = { readonly reason: Extract<Denial['reason'], 'host-full' | 'host-unknown'>; readonly sentence: string };

const remedy = 'free some, or lower minFreeDisk; running jobs go on';

/** Why nothing may be started, or undefined. */
export function standstillOf(room: Reading<Room>, floor: Policy['floor']): Standstill | undefined {
  if (floor === undefined) return undefined;
  if (room.state === 'unknown') {
    const sentence = `the free space of the state directory cannot be read (${room.reason}), so nothing is started`;
    return { reason: 'host-unknown', sentence };
  }
  const { path, bytes, inodes } = room.value;
  if (bytes < floor.bytes) {
    const sentence = `${mebibytes(bytes)} are free on the file system of ${path}, and nothing is started below ${mebibytes(floor.bytes)} (minFreeDisk): ${remedy}`;
    return { reason: 'host-full', sentence };
  }
  if (inodes === undefined || inodes >= floor.inodes) return undefined;
  const sentence = `${inodes} inodes are free on the file system of ${path}, and nothing is started below ${floor.inodes}: ${remedy}`;
  return { reason: 'host-full', sentence };
}

function mebibytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 ** 2)} MiB`;
}
