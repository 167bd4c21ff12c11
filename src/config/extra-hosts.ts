// Promises the names that machines of a profile are to know beside what resolvers tell: whole names and addresses only, one line of a hosts file
// each, and a warning for a name by which nothing would be reached. Pure.

import { isIP } from 'node:net';
import type { HostName, Network } from '../core/addresses.ts';
import type { Profile } from '../core/model.ts';
import { addressToNumber, refusedRanges } from '../core/subnets.ts';
import { boundsOf } from './kinds.ts';
import { describe, isMap, looksSecret, readScalar, type Findings, type Kind, type Section } from './reader.ts';

const key = 'extraHosts';
/** The word of Compose and Podman for the host of a container. */
const gateway = 'host-gateway';
/** More is the work of a resolver. */
const mostNames = 1_000;
const word = '[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?';
const wholeName = new RegExp(`^${word}(?:\\.${word})*$`);

const hostName: Kind<string> = {
  expected: 'the name of a host such as git.lan',
  parse(value) {
    if (typeof value !== 'string' || looksSecret(value)) return undefined;
    const name = value.toLowerCase();
    if (isIP(name) !== 0)
      return { message: `is ${describe(value)}, an address in the place of a name`, remedy: 'write the name first: git.lan: 10.0.0.5' };
    if (name.length > 253 || !wholeName.test(name)) return undefined;
    if (/(?:^|\.)localhost$/.test(name)) return { message: `is ${describe(value)}, which is every machine itself`, remedy: 'leave it out' };
    return { value: name };
  },
};

const hostAddress: Kind<string> = {
  expected: `an IPv4 or IPv6 address such as 10.0.0.5, or ${gateway}`,
  parse(value) {
    if (value === gateway) return { value };
    if (typeof value !== 'string') return undefined;
    const address = value.replace(/^\[(.*)\]$/, '$1').toLowerCase();
    // Without a zone: no machine has interfaces of that name.
    return isIP(address) === 0 || address.includes('%') ? undefined : { value: address };
  },
};

/** A map of names, each with an address or a list of them; or a list of `name:address` or `name=address`, as Compose has it. */
export function readExtraHosts(section: Section, findings: Findings): readonly HostName[] {
  const value = section.raw(key);
  if (value === undefined) return [];
  const path = section.pathOf(key);
  const found = isMap(value) ? readMap(value, path, findings) : readLines(section, findings);
  if (found.length > mostNames)
    findings.add(path, `has ${found.length} addresses`, `write at most ${mostNames}; more is the work of a resolver`);
  const lines = new Map(found.map((one) => [`${one.name} ${one.address}`, one]));
  return [...lines.values()];
}

function readMap(value: Readonly<Record<string, unknown>>, path: string, findings: Findings): readonly HostName[] {
  return Object.entries(value).flatMap(([given, addresses]) => {
    const shown = given.length <= 60 && !looksSecret(given) ? given : '(a name that is not shown)';
    const name = readScalar(given, path, hostName, findings);
    const items: readonly unknown[] = Array.isArray(addresses) ? addresses : [addresses];
    if (items.length === 0) findings.add(`${path}.${shown}`, 'is an empty list', `write ${hostAddress.expected}`);
    return items.flatMap((item) => pairOf(name, readScalar(item, `${path}.${shown}`, hostAddress, findings)));
  });
}

function readLines(section: Section, findings: Findings): readonly HostName[] {
  return section.list(key, 'names with addresses such as git.lan:10.0.0.5').flatMap(({ value, path }) => {
    const match = typeof value === 'string' ? /^([^:=]*)[:=](.*)$/.exec(value) : null;
    if (match === null) {
      findings.add(path, `is ${describe(value)}`, 'write a name and its address: git.lan:10.0.0.5');
      return [];
    }
    return pairOf(readScalar(match[1], path, hostName, findings), readScalar(match[2], path, hostAddress, findings));
  });
}

function pairOf(name: string | undefined, address: string | undefined): readonly HostName[] {
  return name === undefined || address === undefined ? [] : [{ name, address }];
}

type Context = {
  readonly profiles: readonly Profile[];
  readonly forges: readonly { readonly instanceUrl: string }[];
  readonly network: Network;
};

/** A name says where something is, and opens nothing but the way to a forge of that name. */
export function checkExtraHosts({ profiles, forges, network }: Context, findings: Findings): void {
  const known = new Set(forges.map(({ instanceUrl }) => URL.parse(instanceUrl)?.hostname));
  for (const [index, { extraHosts = [] }] of profiles.entries())
    for (const { name, address } of extraHosts) {
      const why = closedBy(address, network, known.has(name));
      if (why !== undefined) findings.warn(`profiles[${index}].${key}.${name}`, why);
    }
}

/** Why machines reach nothing there; undefined when they may, or when the address is meant to lead nowhere. */
function closedBy(address: string, network: Network, isForge: boolean): string | undefined {
  if (address === gateway)
    return isForge || network.openPorts.length > 0
      ? undefined
      : `${gateway} is this host, of which machines reach DNS alone; name the ports that they are to reach in network.openPorts`;
  if (isIP(address) === 6)
    return address === '::' || address === '::1' ? undefined : `${address} is out of reach: machines have IPv4 only; write an IPv4 address`;
  const isIn = (ranges: readonly string[]): boolean =>
    ranges.map(boundsOf).some(([first, last]) => first <= addressToNumber(address) && addressToNumber(address) <= last);
  if (isForge || isIn(['127.0.0.0/8', '0.0.0.0/32']) || network.nameservers.includes(address)) return undefined;
  if (isIn(network.deny)) return `${address} is closed to machines by network.deny`;
  // Of this host's own addresses, which nobody knows here, those ports are open.
  if (!isIn(refusedRanges) || isIn(network.allow) || network.openPorts.length > 0) return undefined;
  return `${address} is private and closed to machines; name it in network.allow or, where it is this host's own, its port in network.openPorts`;
}
