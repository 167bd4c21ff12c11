// Promises what the network of machines needs to know of this host: the uplink, and the forges' addresses as they resolve now.

import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIpv4 } from './network.ts';
import type { Endpoint } from './network.ts';

/** MTU of the interface with the default route; 1500 when there is none. */
export async function uplinkMtu(): Promise<number> {
  const routes = await readFile('/proc/net/route', 'utf8');
  const name = routes
    .split('\n')
    .map((line) => line.split('\t'))
    .find((fields) => fields[1] === '00000000' && fields[7] === '00000000')?.[0];
  if (name === undefined) return 1500;
  const mtu = Number(await readFile(`/sys/class/net/${name}/mtu`, 'utf8'));
  return Number.isInteger(mtu) && mtu >= 576 ? Math.min(mtu, 65_535) : 1500;
}

/** Addresses and ports that these URLs mean now. A name that does not resolve is left out and told. */
export async function resolveEndpoints(
  urls: readonly string[],
  failed: (url: string, error: unknown) => void,
): Promise<readonly Endpoint[]> {
  const found = await Promise.all(
    urls.map(async (url): Promise<readonly Endpoint[]> => {
      const parsed = new URL(url);
      const port = parsed.port === '' ? (parsed.protocol === 'https:' ? 443 : 80) : Number(parsed.port);
      if (isIpv4(parsed.hostname)) return [{ address: parsed.hostname, port }];
      try {
        const addresses = await lookup(parsed.hostname, { all: true, family: 4 });
        return addresses.map(({ address }) => ({ address, port }));
      } catch (error) {
        failed(url, error);
        return [];
      }
    }),
  );
  return found.flat();
}
