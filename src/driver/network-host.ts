// Promises what the network of machines needs to know of this host: the uplink, and the forges' addresses as they resolve now.

import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import type { HostName } from '../core/addresses.ts';
import type { Profile } from '../core/model.ts';
import { isIpv4 } from './network.ts';
import type { Endpoint } from './network.ts';
import { exists } from './presence.ts';

/** The smallest MTU of these interfaces, or that of the one with the default route where none is named; 1500 when there is none. */
export async function uplinkMtu(names: readonly string[]): Promise<number> {
  const missing = await missingInterfaces(names);
  const uplinks = names.length > 0 ? names.filter((name) => !missing.includes(name)) : await defaultUplinks();
  const found = await Promise.all(uplinks.map(async (name) => Number(await readFile(`/sys/class/net/${name}/mtu`, 'utf8'))));
  const usable = found.filter((mtu) => Number.isInteger(mtu) && mtu >= 576);
  return usable.length === 0 ? 1500 : Math.min(...usable, 65_535);
}

async function defaultUplinks(): Promise<readonly string[]> {
  const routes = await readFile('/proc/net/route', 'utf8');
  const lines = routes.split('\n').map((line) => line.split('\t'));
  const name = lines.find((fields) => fields[1] === '00000000' && fields[7] === '00000000')?.[0];
  return name === undefined ? [] : [name];
}

/** Those that this host has no interface of, now. */
export async function missingInterfaces(names: readonly string[]): Promise<readonly string[]> {
  const there = await Promise.all(names.map((name) => exists(`/sys/class/net/${name}`)));
  return names.filter((_, index) => there[index] !== true);
}

/** What machines are told of names beside what resolvers say; profiles may tell them different things. */
export function namesOf(profiles: readonly Profile[]): readonly HostName[] {
  return profiles.flatMap(({ extraHosts = [] }) => extraHosts);
}

/**
 * Addresses and ports that these URLs mean now, here and to machines that are told otherwise. A name that has no address anywhere is left out and
 * told.
 */
export async function resolveEndpoints(
  urls: readonly string[],
  names: readonly HostName[],
  failed: (url: string, error: unknown) => void,
): Promise<readonly Endpoint[]> {
  const found = await Promise.all(
    urls.map(async (url): Promise<readonly Endpoint[]> => {
      const parsed = new URL(url);
      const port = parsed.port === '' ? (parsed.protocol === 'https:' ? 443 : 80) : Number(parsed.port);
      if (isIpv4(parsed.hostname)) return [{ address: parsed.hostname, port }];
      const told = names.filter(({ name }) => name === parsed.hostname).map(({ address }) => address);
      const others = told.filter(isIpv4).map((address) => ({ address, port }));
      try {
        const addresses = await lookup(parsed.hostname, { all: true, family: 4 });
        return [...addresses.map(({ address }) => ({ address, port })), ...others];
      } catch (error) {
        if (told.length === 0) failed(url, error);
        return others;
      }
    }),
  );
  return found.flat();
}
