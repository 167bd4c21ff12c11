// Promises what a doctor finds of the way of machines to the world: forwarding, other people's firewalls on this host, the way out, resolvers. It
// changes nothing.

import { readFile } from 'node:fs/promises';
import { faultAt, findingsOf, skippedAt, wellAt, type Finding } from '../doctor.ts';
import { tryRun } from './exec.ts';
import { machineMtu, missingInterfaces, wayOut } from './network-host.ts';
import type { DriverNetwork } from './network.ts';
import { resolversFault, resolversOf } from './resolvers.ts';

const area = 'host';

/** Without a configuration only what needs none. */
export function examineNetwork(network: DriverNetwork | undefined): readonly Promise<readonly Finding[]>[] {
  const always = [
    findingsOf({ area, name: 'forwarding' }, forwarding),
    findingsOf({ area, name: 'firewalls' }, async () => firewallFindings(await ruleset())),
  ];
  if (network === undefined) return always;
  return [
    ...always,
    findingsOf({ area, name: 'resolvers' }, () => resolvers(network)),
    network.externalInterface.length > 0
      ? findingsOf({ area, name: 'external interface' }, () => uplinks(network.externalInterface))
      : findingsOf({ area, name: 'way out' }, () => way(network)),
  ];
}

async function forwarding(): Promise<readonly Finding[]> {
  const place = { area, name: 'forwarding' };
  if ((await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8')).trim() === '1') return [wellAt(place, 'net.ipv4.ip_forward is on.')];
  const what = 'net.ipv4.ip_forward is off; the service turns it on when it starts';
  return [faultAt(place, { what, remedy: 'set it to 1 for good, in /etc/sysctl.d' }, 'warning')];
}

async function resolvers(network: DriverNetwork): Promise<readonly Finding[]> {
  const place = { area, name: 'resolvers' };
  const found = await resolversOf(network);
  const fault = resolversFault(found);
  return [fault === undefined ? wellAt(place, `Machines ask ${found.join(', ')} for names.`) : faultAt(place, fault, 'warning')];
}

/** One that comes and goes, as those of a VPN do, keeps no service from starting; without any, no machine reaches anything. */
async function uplinks(names: readonly string[]): Promise<readonly Finding[]> {
  const place = { area, name: 'external interface' };
  const missing = await missingInterfaces(names);
  if (missing.length === 0) return [wellAt(place, `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} there.`)];
  const what = `${missing.join(', ')} of network.externalInterface ${missing.length === 1 ? 'does' : 'do'} not exist`;
  const remedy = 'bring it up, or name one that `ip link` lists';
  return [faultAt(place, { what, remedy }, missing.length === names.length ? 'failed' : 'warning')];
}

/** A host with IPv6 alone runs jobs that need nothing of the internet, and a forge on it. */
async function way(network: DriverNetwork): Promise<readonly Finding[]> {
  const place = { area, name: 'way out' };
  const [route, mtu] = await Promise.all([wayOut(), machineMtu(network)]);
  if (route !== undefined) return [wellAt(place, `Machines leave by ${route.name}, as the routes are now, with an MTU of ${mtu}.`)];
  const what = 'This host has no IPv4 route to the internet, and machines have IPv4 only';
  return [faultAt(place, { what, remedy: 'give it one, be it by NAT64 (464XLAT), if jobs are to reach more than this host' }, 'warning')];
}

async function ruleset(): Promise<unknown> {
  const { code, stdout, trouble } = await tryRun('nft', ['-j', 'list', 'ruleset'], { timeoutMs: 10_000 });
  if (code !== 0 || trouble !== undefined) return undefined;
  try {
    return JSON.parse(stdout);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

type Entry = Readonly<Record<string, unknown>>;

/** Chains of others that drop or refuse what is forwarded unless they know it, and have never heard of interfaces of machines. */
export function firewallFindings(listed: unknown): readonly Finding[] {
  const place = { area, name: 'firewalls' };
  const entries = isEntry(listed) && Array.isArray(listed['nftables']) ? listed['nftables'].filter(isEntry) : undefined;
  if (entries === undefined) return [skippedAt(place, 'nft did not list what is in force on this host.')];
  const rules = entries.map(({ rule }) => rule).filter(isEntry);
  const closed = entries
    .map(({ chain }) => chain)
    .filter(isEntry)
    .filter(({ family, type, hook }) => (family === 'ip' || family === 'inet') && type === 'filter' && hook === 'forward')
    .filter(({ table }) => !String(table).startsWith('forgejo-runner-'))
    .filter((chain) => chain['policy'] === 'drop' || endsClosed(rules.filter((rule) => isOf(chain, rule))))
    .filter((chain) => !knowsMachines(chain, rules));
  if (closed.length === 0)
    return [wellAt(place, "No firewall of this host's own, as nft lists them, keeps machines from what is beyond it.")];
  return closed.map(({ family, table, name }) => {
    const what = `The chain ${String(name)} of ${String(family)} ${String(table)} drops what is forwarded unless it knows it, and does not name machines`;
    const docker = table === 'filter' && entries.some(({ chain }) => isEntry(chain) && chain['name'] === 'DOCKER-USER');
    const remedy = docker
      ? 'iptables -I DOCKER-USER -i fr-+ -j ACCEPT; iptables -I DOCKER-USER -o fr-+ -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT; both for good'
      : 'let it accept what comes from fr-* and what is established; whom machines may reach is held by a table of the service';
    return faultAt(place, { what, remedy }, 'warning');
  });
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOf(chain: Entry, rule: Entry): boolean {
  return rule['family'] === chain['family'] && rule['table'] === chain['table'] && rule['chain'] === chain['name'];
}

/** In its rules, or in those of chains that it goes to. */
function knowsMachines(chain: Entry, rules: readonly Entry[]): boolean {
  const names = new Set([chain['name']]);
  // A set goes on to what is added to it meanwhile.
  for (const name of names) {
    const text = JSON.stringify(rules.filter((rule) => isOf({ ...chain, name }, rule)));
    if (text.includes('"fr-')) return true;
    for (const [, next] of text.matchAll(/"(?:jump|goto)":\{"target":"([^"]+)"\}/g)) names.add(next);
  }
  return false;
}

/** By a last rule without a condition, as firewalld has it. */
function endsClosed(rules: readonly Entry[]): boolean {
  const last = rules.at(-1)?.['expr'];
  if (!Array.isArray(last)) return false;
  const words = last.filter(isEntry).flatMap((part) => Object.keys(part));
  const left = words.filter((word) => word !== 'counter' && word !== 'log');
  return left.length === 1 && (left[0] === 'drop' || left[0] === 'reject');
}
