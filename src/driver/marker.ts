// Promises the durable mark of one machine: machine.json, the first thing written in its folder and the last one removed (I1). Whatever
// else is found with our name and without it is a leftover.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { MachineId } from '../core/model.ts';
import type { MachinePaths } from './nspawn-unit.ts';

/** What machine.json says; `version` is that of this shape. */
export type Marker = {
  readonly version: 1;
  readonly id: MachineId;
  readonly controllerId: string;
  readonly slot: number;
  readonly startedAt: number;
  readonly profile: string;
};

export async function writeMarker(paths: MachinePaths, marker: Marker): Promise<void> {
  mkdirSync(paths.folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${paths.marker}.new`, `${JSON.stringify(marker)}\n`, { mode: 0o600 });
  renameSync(`${paths.marker}.new`, paths.marker);
}

/** The marker, or undefined where there is none or it cannot be understood: then only its name is known. */
export async function readMarker(paths: MachinePaths): Promise<Marker | undefined> {
  try {
    const value: unknown = JSON.parse(readFileSync(paths.marker, 'utf8'));
    return isMarker(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function isMarker(value: unknown): value is Marker {
  if (typeof value !== 'object' || value === null) return false;
  const { version, id, slot, startedAt } = value as Record<string, unknown>;
  return version === 1 && typeof id === 'string' && Number.isInteger(slot) && typeof startedAt === 'number';
}
