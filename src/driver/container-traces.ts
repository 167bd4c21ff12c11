// Promises to find the containers that bear our mark, in the folders of their confs and of the drop-ins of their units, by reading alone.

import type { MachineId } from '../core/model.ts';
import { containerUnitOf, controllerOfConf, dropInNameOf, machineOfConf, machineOfDropIns } from './container-unit.ts';
import { namesIn, textAt } from './presence.ts';

const folder = '/run/systemd/system';

export type ConfFolder = { readonly configurationDirectory: string };

export function confOf({ configurationDirectory }: ConfFolder, id: MachineId): string {
  return `${configurationDirectory}/${id}.conf`;
}

/** The text of a conf; undefined when there is none. */
export function readConf(tools: ConfFolder, id: MachineId): string | undefined {
  return textAt(confOf(tools, id));
}

export function dropInsOf(id: MachineId): string {
  return `${folder}/${containerUnitOf(id)}.d`;
}

/** Machines whose unit has a drop-in of ours. */
function dropInsOfOurs(controllerId: string): readonly MachineId[] {
  const name = dropInNameOf(controllerId);
  return namesIn(folder)
    .map((entry) => machineOfDropIns(entry))
    .filter((id) => id !== undefined)
    .filter((id) => namesIn(dropInsOf(id)).includes(name));
}

/** Machines whose conf has our mark. */
export function confsOfOurs(controllerId: string, tools: ConfFolder): readonly MachineId[] {
  return namesIn(tools.configurationDirectory)
    .map((entry) => machineOfConf(entry))
    .filter((id) => id !== undefined)
    .filter((id) => controllerOfConf(readConf(tools, id) ?? '') === controllerId);
}

export function containersOf(controllerId: string, tools: ConfFolder): readonly MachineId[] {
  return [...new Set([...dropInsOfOurs(controllerId), ...confsOfOurs(controllerId, tools)])];
}
