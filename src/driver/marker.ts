// Promises the durable mark of one machine: machine.json, the first thing written in its folder and the last one removed (I1). Whatever
// else is found with our name and without it is a leftover.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import type { MachineId } from '../core/model.ts';
import type { OwnNameservers } from './network.ts';
import { pathsOf, type MachinePaths } from './nspawn-unit.ts';
import { namesIn, textAt } from './presence.ts';

/** What machine.json says; `version` is that of this shape. */
export type Marker = {
  readonly version: 1;
  readonly id: MachineId;
  readonly controllerId: string;
  readonly slot: number;
  readonly startedAt: number;
  readonly profile: string;
  /** Resolvers that it may ask in place of everybody's. */
  readonly nameservers?: readonly string[];
  /** Of one that was started to wait for a job: what it is made of. */
  readonly build?: string;
};

export async function writeMarker(paths: MachinePaths, marker: Marker): Promise<void> {
  mkdirSync(paths.folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${paths.marker}.new`, `${JSON.stringify(marker)}\n`, { mode: 0o600 });
  renameSync(`${paths.marker}.new`, paths.marker);
}

/** The marker, or undefined where there is none or it cannot be understood: then only its name is known. */
export async function readMarker(paths: MachinePaths): Promise<Marker | undefined> {
  const text = textAt(paths.marker);
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isMarker(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Of those machines that have resolvers of their own, whoever started them. */
export async function nameserversOfMachines(stateDir: string): Promise<OwnNameservers> {
  const markers = await Promise.all(namesIn(`${stateDir}/machines`).map((name) => readMarker(pathsOf(stateDir, name))));
  return new Map(markers.flatMap((marker) => (marker?.nameservers === undefined ? [] : [[marker.id, marker.nameservers] as const])));
}

function isMarker(value: unknown): value is Marker {
  if (typeof value !== 'object' || value === null) return false;
  const { version, id, slot, startedAt, profile, nameservers = [], build = '' } = value as Record<string, unknown>;
  const addresses = Array.isArray(nameservers) && nameservers.every((address) => typeof address === 'string');
  const named = typeof profile === 'string' && typeof build === 'string';
  return version === 1 && typeof id === 'string' && Number.isInteger(slot) && typeof startedAt === 'number' && addresses && named;
}
