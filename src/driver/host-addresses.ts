// Promises that the address pool is ours alone: no interface and no route of anybody else lies in it, another controller's machines
// included, because packets of two machines with one address would go astray in silence.

import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { addressToNumber, slotCountOf } from '../core/subnets.ts';
import type { Fault } from '../doctor.ts';
import { poolOf, type DriverNetwork } from './network.ts';
import { ownerOfInterface } from './traces.ts';

/** The reasons why the pool cannot be used. */
export async function checkAddresses({
  network,
  controllerId,
}: {
  readonly network: DriverNetwork;
  readonly controllerId: string;
}): Promise<Fault[]> {
  const pool = poolOf(network);
  if (slotCountOf(pool) === 0) return [{ what: `The address pool ${pool.first}-${pool.last} has no room for a single /${pool.prefix}` }];
  const [first, last] = [addressToNumber(pool.first), addressToNumber(pool.last)];
  const inside = [...addressesIn(first, last), ...(await routesInto(first, last))];
  const names = [...new Set(inside.map(({ name }) => name))];
  const owners = new Map(await Promise.all(names.map(async (name) => [name, await ownerOfInterface(name)] as const)));
  return names
    .filter((name) => owners.get(name) !== controllerId && owners.get(name) !== false)
    .map((name) => {
      const what = inside.find((each) => each.name === name)?.what ?? name;
      const owner = owners.get(name);
      const whose = typeof owner !== 'string' ? '' : `, a machine of the controller \`${owner}\` on this host`;
      return {
        what: `The address pool ${pool.first}-${pool.last} holds ${what} of ${name}${whose}`,
        remedy: 'choose another network.pool',
      };
    });
}

type Found = { readonly name: string; readonly what: string };

function addressesIn(first: number, last: number): readonly Found[] {
  return Object.entries(networkInterfaces()).flatMap(([name, entries]) =>
    (entries ?? [])
      .filter(({ family, address }) => family === 'IPv4' && addressToNumber(address) >= first && addressToNumber(address) <= last)
      .map(({ address }) => ({ name, what: address })),
  );
}

/** Routes into the pool, the default route aside. */
async function routesInto(first: number, last: number): Promise<readonly Found[]> {
  const lines = (await readFile('/proc/net/route', 'utf8')).trim().split('\n').slice(1);
  return lines
    .map((line) => line.split('\t'))
    .filter(([, target = '0', , , , , , mask = '0']) => {
      const from = littleEndian(target);
      const to = from + (2 ** 32 - 1 - littleEndian(mask));
      return mask !== '00000000' && from <= last && to >= first;
    })
    .map(([name = '', target = '0']) => ({
      name,
      what: `a route to ${[24, 16, 8, 0].map((shift) => (littleEndian(target) >>> shift) & 255).join('.')}`,
    }));
}

function littleEndian(hex: string): number {
  return Buffer.from(hex, 'hex').readUInt32LE(0);
}
