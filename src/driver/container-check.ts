// Promises to say why this host cannot run machines as containers of NixOS, and that a driver never begins while machines of the other one are
// there, which it could neither see end nor remove.

import { access, constants } from 'node:fs/promises';
import type { Profile } from '../core/model.ts';
import type { Fault } from '../doctor.ts';
import { containersOf } from './container-traces.ts';
import { unfitOf } from './container-unit.ts';
import type { ContainerTools } from './containers.ts';
import { tryRun } from './exec.ts';
import type { HostCheck } from './host-check.ts';
import { transientUnitsOf } from './transient-units.ts';

export type DriverChoice = {
  readonly controllerId: string;
  readonly profiles: readonly Profile[];
  readonly driver?: 'nspawn' | 'nixos-container';
  readonly nixosContainer?: ContainerTools;
};

const option = 'set boot.enableContainers = true in the configuration of this NixOS';

export function driverChecks({ controllerId, profiles, driver = 'nspawn', nixosContainer: tools }: DriverChoice): readonly HostCheck[] {
  if (tools === undefined) return [];
  const other: HostCheck = {
    name: 'other driver',
    well: 'No machine of another driver is there.',
    faults: async () => otherFaults(controllerId, driver, tools),
  };
  if (driver === 'nspawn') return [other];
  return [
    other,
    { name: 'nixos-container', well: `${tools.program} is there.`, faults: () => checkProgram(tools) },
    { name: 'container@.service', well: 'The unit of containers is there.', faults: checkUnit },
    { name: 'paths for containers', well: 'Every path can stand in the conf of a container.', faults: async () => checkPaths(profiles) },
  ];
}

function otherFaults(controllerId: string, driver: 'nspawn' | 'nixos-container', tools: ContainerTools): Fault[] {
  const [theirs, ids] =
    driver === 'nspawn' ? ['nixos-container', containersOf(controllerId, tools)] : ['nspawn', transientUnitsOf(controllerId)];
  if (ids.length === 0) return [];
  return [
    {
      what: `Machines of the driver ${theirs} are there (${ids.slice(0, 5).join(', ')}), and the configuration says ${driver}`,
      remedy: `set driver: ${theirs} again, let them end (SIGUSR1 drains), and change it then`,
    },
  ];
}

async function checkProgram({ program }: ContainerTools): Promise<Fault[]> {
  try {
    // Not run: whatever it is asked, it makes its folders first, and a check changes nothing.
    await access(program, constants.X_OK);
    return [];
  } catch {
    return [{ what: `There is no program ${program}`, remedy: `${option}, or set nixosContainer.program` }];
  }
}

async function checkUnit(): Promise<Fault[]> {
  const { stdout, trouble } = await tryRun('systemctl', ['show', '--property=LoadState', 'container@forgejo.service'], {
    timeoutMs: 10_000,
  });
  const state = /^LoadState=(.*)$/m.exec(stdout)?.[1] ?? trouble ?? 'unknown';
  return state === 'loaded' ? [] : [{ what: `The unit container@.service is ${state}`, remedy: option }];
}

function checkPaths(profiles: readonly Profile[]): Fault[] {
  return profiles.flatMap((profile) =>
    unfitOf(profile).map((path) => ({
      what: `Profile ${profile.name}: ${path} holds a blank or a character that a shell reads as something else`,
      remedy: 'give it another name, or use the driver nspawn',
    })),
  );
}
