// Promises the way of the driver `nspawn`: every machine is a transient unit of its own, which systemd forgets as soon as it has ended.

import type { MachineId } from '../core/model.ts';
import { systemd } from './bus.ts';
import { programAt } from './exec.ts';
import { step } from './making.ts';
import { machineOfName, unitOf } from './nspawn-unit.ts';
import { exists, namesIn } from './presence.ts';
import { unitCallOf } from './unit-call.ts';
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
    launch: (unit) =>
      step(unit.spec.id, 'unit', async () =>
        systemd.startTransientUnit(unitOf(controllerId, unit.spec.id), unitCallOf(unit, await programAt('systemd-nspawn')), 30_000),
      ),
    // A unit is there as soon as systemd has heard of it.
    callOff: () => Promise.resolve(),
    letGo: () => Promise.resolve(),
  };
}
