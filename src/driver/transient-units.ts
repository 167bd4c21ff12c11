// Promises the way of the driver `nspawn`: every machine is a transient unit of its own, which systemd forgets as soon as it has ended.

import { launchUnit } from './making.ts';
import { machineOfName, startArgumentsOf, unitOf } from './nspawn-unit.ts';
import { exists, namesIn } from './traces.ts';
import type { Way } from './way.ts';

const folder = '/run/systemd/transient';

export function transientUnits(controllerId: string): Way {
  return {
    unitOf: (id) => unitOf(controllerId, id),
    unitIsThere: (id) => exists(`${folder}/${unitOf(controllerId, id)}`),
    units: () =>
      namesIn(folder)
        .map((name) => machineOfName(controllerId, name, '.service'))
        .filter((id) => id !== undefined),
    traces: () => [],
    leftoversOf: () => [],
    launch: (link, unit) => launchUnit(link, startArgumentsOf(unit)),
    letGo: () => Promise.resolve(),
  };
}
