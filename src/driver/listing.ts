// Promises the list of every machine of ours, exited and half-removed ones included, so that a slot stays taken until nothing of it is
// left. Reads folders first; asks systemd (once for all) only when there are units.

import type { Machine, MachineExit, MachineId } from '../core/model.ts';
import { systemd } from './bus.ts';
import { readMarker } from './marker.ts';
import type { DriverNetwork } from './network.ts';
import { parseExitRecord, pathsOf } from './nspawn-unit.ts';
import { exists, textAt } from './presence.ts';
import { findTraces, slotOfInterface } from './traces.ts';
import type { Site, Way } from './way.ts';

export type ListingInput = Site & {
  readonly network: DriverNetwork;
  /** True while this process is making the machine: it has a marker and no unit yet. */
  readonly beingStarted: (id: MachineId) => boolean;
};

export async function listMachines(input: ListingInput): Promise<readonly Machine[]> {
  const traces = await findTraces(input);
  const ids = [...new Set(Object.values(traces).flatMap((set) => [...set]))].toSorted((a, b) => a.localeCompare(b));
  if (ids.length === 0) return [];
  const early = new Set(ids.filter((id) => input.beingStarted(id)));
  const states = await unitStates(
    input.way,
    ids.filter((id) => traces.units.has(id)),
  );
  // Exit records are read after the units: a unit that was seen gone had written its record before.
  return Promise.all(ids.map(async (id) => machineOf(input, id, states.get(id), early.has(id))));
}

async function machineOf(input: ListingInput, id: MachineId, unit: string | undefined, early: boolean): Promise<Machine> {
  const paths = pathsOf(input.stateDir, id);
  const [marker, exit, unassigned] = await Promise.all([readMarker(paths), readExit(paths.exit), exists(paths.fifo)]);
  const warm = marker?.build === undefined ? {} : { warm: { profile: marker.profile, build: marker.build } };
  const base = { id, slot: marker?.slot ?? slotOfInterface(input.network, id), startedAt: marker?.startedAt ?? 0, ...warm };
  if (exit !== undefined) return { ...base, state: 'exited', exit };
  if (unit === 'activating') return { ...base, state: 'starting' };
  if (unit !== undefined && unit !== 'inactive' && unit !== 'failed') return { ...base, state: unassigned ? 'idle' : 'running' };
  if (early || input.beingStarted(id)) return { ...base, state: 'starting' };
  return { ...base, state: 'exited', exit: { result: 'lost', code: '', status: '' } };
}

/** The exit record, undefined while there is none or it is not whole. */
export async function readExit(path: string): Promise<MachineExit | undefined> {
  const text = textAt(path);
  return text === undefined ? undefined : parseExitRecord(text);
}

/** ActiveState by machine. A unit that went away meanwhile answers "inactive". */
async function unitStates(way: Way, ids: readonly MachineId[]): Promise<ReadonlyMap<MachineId, string>> {
  if (ids.length === 0) return new Map();
  const byUnit = new Map(ids.map((id) => [way.unitOf(id), id]));
  const states = new Map<MachineId, string>();
  for (const [unit, state] of await systemd.statesOf([...byUnit.keys()], 10_000)) {
    const id = byUnit.get(unit);
    if (id !== undefined) states.set(id, state);
  }
  return states;
}
