// Promises the network of machines as text for `ip -batch` and `nft -f`, derived from configuration and slot. Pure; making.ts and
// firewall.ts apply it. Our interfaces are told from everybody else's by a link group number, so foreign traffic meets none of these rules (I6).

import { createHash } from 'node:crypto';
import { refusedRanges, subnetOf } from '../core/subnets.ts';
import type { Pool } from '../core/subnets.ts';
import type { Network as DriverNetwork } from '../core/addresses.ts';
import type { MachineId } from '../core/model.ts';
import { aliasOf, interfaceOf, namespaceOf } from './nspawn-unit.ts';

export type { Network as DriverNetwork } from '../core/addresses.ts';

/** An IPv4 address and TCP port of a forge; `host-gateway` is this host at whatever address it has for a machine. */
export type Endpoint = { readonly address: string; readonly port: number };

export function poolOf(network: DriverNetwork): Pool {
  return { ...network.pool, prefix: network.prefix };
}

/** The group number of all our interfaces: 31 bits of a hash, never 0 (the kernel's default group). */
export function linkGroupOf(controllerId: string): number {
  const digest = createHash('sha256').update(aliasOf(controllerId)).digest();
  return (digest.readUInt32BE(0) & 0x7fff_ffff) | 0x100_0000;
}

export function tableOf(controllerId: string): string {
  return `forgejo-runner-${controllerId.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`;
}

export type LinkInput = {
  readonly controllerId: string;
  readonly id: MachineId;
  readonly slot: number;
  readonly network: DriverNetwork;
  readonly mtu: number;
};

/** `ip -batch` on the host: namespace, veth pair, the host's end. */
export function hostBatchOf({ controllerId, id, slot, network, mtu }: LinkInput): string {
  const subnet = subnetOf(poolOf(network), slot);
  const name = interfaceOf(id);
  const namespace = namespaceOf(controllerId, id);
  return [
    `netns add ${namespace}`,
    `link add ${name} mtu ${mtu} group ${linkGroupOf(controllerId)} type veth peer name eth0 mtu ${mtu} netns ${namespace}`,
    `link set ${name} alias ${aliasOf(controllerId)} addrgenmode none`,
    `addr add ${subnet.host}/${subnet.prefix} dev ${name}`,
    `link set ${name} up`,
    '',
  ].join('\n');
}

/**
 * Run inside the namespace before its addresses are made. The namespace belongs to the host's user namespace, so root inside has no rights
 * over it: without these two, no job could listen on port 80 or send a ping.
 */
export const namespaceSettings = `echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range
exec ip -batch -`;

/** `ip -batch` inside the namespace: the machine's end. No IPv6 address is ever made there. */
export function machineBatchOf({ slot, network }: Pick<LinkInput, 'slot' | 'network'>): string {
  const subnet = subnetOf(poolOf(network), slot);
  return [
    'link set lo up',
    'link set eth0 addrgenmode none',
    `addr add ${subnet.machine}/${subnet.prefix} dev eth0`,
    'link set eth0 up',
    `route add default via ${subnet.host}`,
    '',
  ].join('\n');
}

export type RulesInput = {
  readonly controllerId: string;
  readonly network: DriverNetwork;
  readonly endpoints: readonly Endpoint[];
  readonly nameservers: readonly string[];
};

/** Machines that ask resolvers of their own, and no others. */
export type OwnNameservers = ReadonlyMap<MachineId, readonly string[]>;

/**
 * `nft -f`: our one table, replaced as a whole in one transaction. What a machine may not reach is rejected, so that a step fails at once
 * and does not hang; forged packets and those of neighbours are dropped. Names are asked of the resolvers alone, or of this host: whoever
 * keeps a log of names there sees all of them. Whom a machine may ask, and by which interface its packets leave, is decided before what is
 * established: a flow of the slot's last machine, or a route that changed, opens nothing. Of new connections the packets that come back are to fit
 * the way that they take, whatever the machine's own interface has: a VPN may have come up since, or one address have a way of its own.
 */
export function rulesOf({ controllerId, network, endpoints, nameservers }: RulesInput, own: OwnNameservers = new Map()): string {
  const table = `inet ${tableOf(controllerId)}`;
  const group = linkGroupOf(controllerId);
  const pool = `${network.pool.first}-${network.pool.last}`;
  const forges = endpoints.filter(({ address }) => isIpv4(address)).map(({ address, port }) => `${address} . ${port}`);
  const forgesHere = endpoints.filter(({ address }) => address === 'host-gateway').map(({ port }) => String(port));
  const narrowed = [...own].map(([id, addresses]) => [`"${interfaceOf(id)}"`, addresses.filter(isIpv4)] as const);
  const ownResolvers = narrowed.flatMap(([name, addresses]) => addresses.map((address) => `${name} . ${address}`));
  const uplinks = network.externalInterface.map((name) => `"${name}"`);
  return `table ${table}
delete table ${table}
table ${table} {
  set pool { type ipv4_addr; flags interval; elements = { ${pool} }; }
  set forges { type ipv4_addr . inet_service; ${elementsOf(forges)}}
  set forges-here { type inet_service; ${elementsOf(forgesHere)}}
  set resolvers { type ipv4_addr; ${elementsOf(nameservers.filter(isIpv4))}}
  set allowed { type ipv4_addr; flags interval; auto-merge; ${elementsOf(network.allow)}}
  set denied { type ipv4_addr; flags interval; auto-merge; ${elementsOf(network.deny)}}
  set refused { type ipv4_addr; flags interval; auto-merge; ${elementsOf(refusedRanges)}}
  set ports { type inet_service; ${elementsOf(network.openPorts.map(String))}}
  set narrowed { type ifname; ${elementsOf(narrowed.map(([name]) => name))}}
  set own-resolvers { type ifname . ipv4_addr; ${elementsOf(ownResolvers)}}
  set uplinks { type ifname; ${elementsOf(uplinks)}}

  chain genuine {
    meta nfproto ipv6 drop
    ip saddr != @pool drop
    fib saddr . iif oif missing drop
    iifname @narrowed meta l4proto { tcp, udp } th dport { 53, 853 } iifname . ip daddr != @own-resolvers reject with icmpx admin-prohibited
  }
  chain reachable {
    ip daddr . tcp dport @forges accept
    iifname . ip daddr @own-resolvers meta l4proto { tcp, udp } th dport 53 accept
    ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept
  }
  chain to-host {
    type filter hook input priority filter - 10; policy accept;
    iifgroup != ${group} accept
    jump genuine
    ct state established,related accept
    jump reachable
    ip daddr @pool meta l4proto { tcp, udp } th dport 53 accept
    ip daddr @pool tcp dport @forges-here accept
    tcp dport @ports accept
    reject with icmpx admin-prohibited
  }
  chain through-host {
    type filter hook forward priority filter - 10; policy accept;
    iifgroup ${group} jump genuine
    iifgroup ${group} oifgroup ${group} drop
${uplinks.length === 0 ? '' : `    iifgroup ${group} oifname != @uplinks reject with icmpx admin-prohibited\n`}    oifgroup ${group} ct state established,related accept
    oifgroup ${group} drop
    iifgroup != ${group} accept
    ct state established,related accept
    jump reachable
    ip daddr @pool drop
    ip daddr @denied reject with icmpx admin-prohibited
    ip daddr @allowed accept
    meta l4proto { tcp, udp } th dport { 53, 853 } reject with icmpx admin-prohibited
    ip daddr @refused reject with icmpx admin-prohibited
  }
  chain fit {
    type filter hook forward priority mangle; policy accept;
    iifgroup ${group} tcp flags syn tcp option maxseg size set rt mtu
  }
${network.masquerade ? hideChainOf(group, uplinks.length > 0) : ''}}
`;
}

function hideChainOf(group: number, uplinks: boolean): string {
  return `  chain hide {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr @pool oifgroup != ${group} ${uplinks ? 'oifname @uplinks ' : ''}masquerade
  }
`;
}

function elementsOf(elements: readonly string[]): string {
  const unique = [...new Set(elements)];
  return unique.length === 0 ? '' : `elements = { ${unique.join(', ')} }; `;
}

export function isIpv4(text: string): boolean {
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text) && text.split('.').every((part) => Number(part) <= 255);
}

/** Resolvers named by a resolv.conf that a machine can use: IPv4, and not this host's own loopback stub. */
export function nameserversOf(resolvConf: string): readonly string[] {
  return [...resolvConf.matchAll(/^\s*nameserver\s+(\S+)/gm)]
    .map((match) => match[1] ?? '')
    .filter((address) => isIpv4(address) && !address.startsWith('127.') && address !== '0.0.0.0');
}
