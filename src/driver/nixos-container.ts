// Promises the driver for hosts on which machines are to be containers of NixOS' own: the flow, the network, the confinement and the clean-up of
// the driver nspawn, with the CLI `nixos-container` and its unit under them.

import { createContainers, type ContainerTools } from './containers.ts';
import { createNspawnDriver, type NspawnDriver, type NspawnDriverInput } from './nspawn.ts';

export type NixosContainerDriverInput = NspawnDriverInput & { readonly nixosContainer: ContainerTools };

export function createNixosContainerDriver(input: NixosContainerDriverInput): NspawnDriver {
  return createNspawnDriver(input, createContainers(input));
}
