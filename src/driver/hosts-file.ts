// Promises the /etc/hosts of one machine: itself, the names of its profile, and then what its template has there. Pure.

import type { HostName } from '../core/addresses.ts';
import { subnetOf, type Pool } from '../core/subnets.ts';

/** Lines for the names of a profile, in a machine of that slot; '' where there are none. */
export function extraHostsOf(names: readonly HostName[] = [], pool: Pool, slot: number): string {
  const { host } = subnetOf(pool, slot);
  return names.map(({ name, address }) => `${address === 'host-gateway' ? host : address} ${name}\n`).join('');
}

/** Who looks a name up takes the first line that has it. */
export function hostsFileOf(id: string, extra: string, own = ''): string {
  return `127.0.0.1 localhost ${id}\n::1 localhost\n${extra}${own}`;
}

/** Of a template's own file, without comments and what every machine has anyway. */
export function hostsOfTemplate(text: string): string {
  const lines = text.split('\n').map((line) => line.replace(/#.*/, '').trim().split(/\s+/));
  return lines
    .map(([address = '', ...names]) => [address, ...names.filter((name) => name !== 'localhost')])
    .filter(({ length }) => length > 1)
    .map((fields) => `${fields.join(' ')}\n`)
    .join('');
}
