// Promises the network of a configuration: a private pool that can be cut into subnets, and what machines may reach beside it. Pure.

import type { Network } from '../core/addresses.ts';
import { addressToNumber, numberToAddress, slotCountOf } from '../core/subnets.ts';
import { addressRange, boundsOf, flag, integer, nameserver, network } from './kinds.ts';
import { describe, readScalar, type Findings, type Kind, type Section } from './reader.ts';

const keys = ['pool', 'prefix', 'nameservers', 'allow', 'deny', 'openPorts', 'externalInterface', 'masquerade', 'mtu'] as const;
const privateRanges = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];
const port = integer(1, 65_535);
/** Every way takes packets of 576 bytes in IPv4. */
const mtuKind = integer(576, 65_535, 'a whole number of bytes from 576 to 65535, such as 1400');

/** An interface of this host by which packets may leave it. The kernel takes more letters; no one uses them. */
const interfaceName: Kind<string> = {
  expected: 'the name of an interface such as eth0, at most 15 characters',
  parse(value) {
    if (typeof value !== 'string' || !/^[A-Za-z0-9_][A-Za-z0-9._@-]{0,14}$/.test(value)) return undefined;
    if (value === 'lo')
      return { message: `is ${describe(value)}, by which nothing leaves this host`, remedy: 'name another, or leave it out' };
    if (value.startsWith('fr-'))
      return { message: `is ${describe(value)}, an interface of a machine`, remedy: 'name one that leads away from this host' };
    return { value };
  },
};

/** The network, with defaults for what was not given or was a mistake. */
export function readNetwork(root: Section, findings: Findings): Network {
  const section = root.section('network', keys);
  const pool = section?.get('pool', addressRange) ?? { first: '192.168.100.0', last: '192.168.199.255' };
  const prefix = section?.get('prefix', integer(16, 30)) ?? 24;
  checkPool(pool, prefix, section?.pathOf('pool') ?? 'network.pool', findings);
  const itemsOf = (key: string, expected: string): readonly { value: unknown; path: string }[] => section?.list(key, expected) ?? [];
  const allow: string[] = [];
  for (const { value, path } of itemsOf('allow', 'networks such as 10.1.2.0/24')) {
    const cidr = readScalar(value, path, network, findings);
    if (cidr === undefined) continue;
    if (overlaps(boundsOf(cidr), boundsOf('127.0.0.0/8')))
      findings.add(path, `is ${describe(value)}, which includes loopback: in a machine that is the machine itself`, 'leave it out');
    else if (overlaps(boundsOf(cidr), boundsOf('169.254.0.0/16')))
      findings.warn(path, `${cidr} includes link-local addresses: jobs may read this machine's cloud metadata`);
    allow.push(cidr);
  }
  const mtu = section?.get('mtu', mtuKind);
  return {
    pool,
    prefix,
    nameservers: readNameservers(section, findings),
    allow,
    deny: itemsOf('deny', 'networks such as 203.0.113.0/24')
      .map(({ value, path }) => readScalar(value, path, network, findings))
      .filter((item) => item !== undefined),
    openPorts: itemsOf('openPorts', 'TCP ports')
      .map(({ value, path }) => readScalar(value, path, port, findings))
      .filter((item) => item !== undefined),
    externalInterface: readInterfaces(section, findings),
    masquerade: section?.get('masquerade', flag) ?? true,
    ...(mtu === undefined ? {} : { mtu }),
  };
}

/** Resolvers, of the network or of a profile. */
export function readNameservers(section: Section | undefined, findings: Findings): readonly string[] {
  return (section?.list('nameservers', 'IPv4 addresses') ?? [])
    .map(({ value, path }) => readScalar(value, path, nameserver, findings))
    .filter((item) => item !== undefined);
}

/** One name, or a list of them. */
function readInterfaces(section: Section | undefined, findings: Findings): readonly string[] {
  const key = 'externalInterface';
  const given = section?.raw(key);
  const items =
    section === undefined || typeof given !== 'string'
      ? section?.list(key, 'names of interfaces such as eth0')
      : [{ value: given, path: section.pathOf(key) }];
  const names = (items ?? []).map(({ value, path }) => readScalar(value, path, interfaceName, findings));
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** maxConcurrent must fit the pool: a machine without a slot would only ever wait. */
export function checkCapacity(maxConcurrent: number, { pool, prefix }: Network, findings: Findings): void {
  const slots = slotCountOf({ ...pool, prefix });
  if (maxConcurrent > slots)
    findings.add(
      'maxConcurrent',
      `is ${maxConcurrent}, but the pool has room for ${slots === 1 ? 'one machine' : `${slots} machines`}`,
      'lower it, or widen network.pool or network.prefix',
    );
}

function checkPool({ first, last }: Network['pool'], prefix: number, path: string, findings: Findings): void {
  const bounds = [addressToNumber(first), addressToNumber(last)] as const;
  const shown = `${first}-${last}`;
  const remedy = 'choose addresses within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 that nothing else uses';
  if (overlaps(bounds, boundsOf('127.0.0.0/8'))) return findings.add(path, `is ${shown}, which overlaps loopback`, remedy);
  if (overlaps(bounds, boundsOf('169.254.0.0/16'))) return findings.add(path, `is ${shown}, which overlaps link-local addresses`, remedy);
  if (!privateRanges.some((range) => boundsOf(range)[0] <= bounds[0] && bounds[1] <= boundsOf(range)[1]))
    return findings.add(path, `is ${shown}, which is not private`, remedy);
  const size = 2 ** (32 - prefix);
  const [low, high] = [Math.floor(bounds[0] / size) * size, Math.ceil((bounds[1] + 1) / size) * size - 1];
  if (low !== bounds[0] || high !== bounds[1])
    findings.add(
      path,
      `is ${shown}, which does not begin and end with a /${prefix}`,
      `write ${numberToAddress(low)}-${numberToAddress(high)}, or another prefix`,
    );
  return undefined;
}

function overlaps(a: readonly [number, number], b: readonly [number, number]): boolean {
  return a[0] <= b[1] && b[0] <= a[1];
}
