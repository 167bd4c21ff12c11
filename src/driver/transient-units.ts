// Promises the way of the driver `nspawn`: every machine is a transient unit of its own, which systemd forgets as soon as it has ended.

import type { MachineId } from '../core/model.ts';
import { launchUnit } from './making.ts';
import { machineOfName, startArgumentsOf, unitOf } from './nspawn-unit.ts';
import { exists, namesIn } from './presence.ts';
import type { Way } from './way.ts';

const folder = '/run/systemd/transient';

/** Machines that have such a unit. */
export function transientUnitsOf(controllerId: string): readonly MachineId[] {
  return namesIn(folder)
    .map((name) => machineOfName(controllerId, name, '.service'))
    .filter((id) => id !== undefined);
}

export function transientUnits(controllerId: string): Way {
  return {
    unitOf: (id) => unitOf(controllerId, id),
    isOurs: () => true,
    unitIsThere: (id) => exists(`${folder}/${unitOf(controllerId, id)}`),
    units: () => transientUnitsOf(controllerId),
    traces: () => [],
    leftoversOf: () => Promise.resolve([]),
    launch: (link, unit) => launchUnit(link, startArgumentsOf(unit)),
    // A unit is there as soon as systemd has heard of it.
    callOff: () => Promise.resolve(),
    letGo: () => Promise.resolve(),
  };
}
