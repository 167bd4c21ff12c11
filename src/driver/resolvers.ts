// Promises whom machines ask for names: the configured resolvers, those of this host that they can reach, or this host itself.

import type { Profile } from '../core/model.ts';
import { subnetOf } from '../core/subnets.ts';
import { faultSentence, type Fault } from '../doctor.ts';
import type { Log } from '../log.ts';
import { isIpv4, nameserversOf, poolOf, type DriverNetwork } from './network.ts';
import { readText } from './template.ts';

const files = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];

/** The configured ones, or the host's, looked for behind a local stub if need be; empty = this host, by whatever listens there. */
export async function resolversOf(network: DriverNetwork, paths = files): Promise<readonly string[]> {
  if (network.nameservers.length > 0) return network.nameservers.filter(isIpv4);
  for (const path of paths) {
    const found = nameserversOf(await readText(path));
    if (found.length > 0) return found.slice(0, 3);
  }
  return [];
}

/** As they stand in the /etc/resolv.conf of a machine: this host has an address of its own for each. */
export function resolversIn(slot: number, resolvers: readonly string[], network: DriverNetwork): readonly string[] {
  return resolvers.length > 0 ? resolvers : [subnetOf(poolOf(network), slot).host];
}

/** A host that asks itself, by loopback: no machine has a way there, and whether it listens elsewhere is for its own resolver to say. */
export function resolversFault(resolvers: readonly string[]): Fault | undefined {
  if (resolvers.length > 0) return undefined;
  return {
    what: `${files.join(' and ')} name no IPv4 resolver but loopback's, so machines ask this host at the address that it has for them`,
    remedy: 'let its resolver listen on all addresses (machines alone are let to it there), or set network.nameservers',
  };
}

/** Where every profile has resolvers of its own there is nothing to tell. */
export function tellOfResolvers(resolvers: readonly string[], profiles: readonly Profile[], log: Pick<Log, 'warn'>): void {
  const fault = profiles.some(({ nameservers }) => nameservers === undefined) ? resolversFault(resolvers) : undefined;
  if (fault !== undefined) log.warn('warning', {}, faultSentence(fault));
}
