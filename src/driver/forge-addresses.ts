// Promises where machines reach the forges: by what this host knows of their names and, where that is no use to a machine, by what machines are
// told of them. What no machine can reach is said in a sentence with its remedy, once for each check.

import { lookup, Resolver } from 'node:dns/promises';
import { createConnection } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { HostName } from '../core/addresses.ts';
import type { Profile } from '../core/model.ts';
import type { Log } from '../log.ts';
import { isIpv4, type Endpoint } from './network.ts';

/** What machines are told of names beside what resolvers say; profiles may tell them different things. */
export function namesOf(profiles: readonly Profile[]): readonly HostName[] {
  return profiles.flatMap(({ extraHosts = [] }) => extraHosts);
}

export type Sources = {
  readonly names: readonly HostName[];
  readonly resolvers: readonly string[];
  readonly log: Pick<Log, 'warn'>;
};

/** Addresses and ports that these URLs mean now, here and to machines. A name that leads no machine anywhere is left out and told. */
export async function resolveEndpoints(urls: readonly string[], sources: Sources): Promise<readonly Endpoint[]> {
  const found = await Promise.all(
    urls.map(async (url): Promise<readonly Endpoint[]> => {
      const { hostname, port: given, protocol } = new URL(url);
      const port = given === '' ? (protocol === 'https:' ? 443 : 80) : Number(given);
      const addresses = isIpv4(hostname) ? [hostname] : await addressesOf(hostname, url, sources);
      return addresses.map((address) => ({ address, port }));
    }),
  );
  return found.flat();
}

async function addressesOf(name: string, url: string, { names, resolvers, log }: Sources): Promise<readonly string[]> {
  const told = names.filter((one) => one.name === name).map(({ address }) => address);
  const known = told.filter((address) => address === 'host-gateway' || isIpv4(address));
  const [here] = await Promise.allSettled([lookup(name, { all: true, family: 4 })]);
  const own = here.status === 'fulfilled' ? here.value.map(({ address }) => address) : [];
  const outside = own.filter((address) => !address.startsWith('127.'));
  const looped = own.length > 0 && outside.length === 0;
  // As hosts have it that know their own name by /etc/hosts: machines ask resolvers, and go where those say.
  const asked = looped && known.length === 0 ? await ask(name, resolvers) : [];
  const all = [...new Set([...outside, ...known, ...asked])];
  if (all.length > 0) return all;
  if (looped)
    log.warn(
      'host-error',
      { url },
      'a forge name is loopback on this host, and the resolvers of machines have no other address of it: no machine reaches it; give it one there, or in extraHosts of the profiles',
    );
  else
    log.warn(
      'host-error',
      { url, error: here.status === 'rejected' ? here.reason : undefined },
      'a forge name has no IPv4 address here; machines, which have IPv4 only, cannot reach it until it has, or extraHosts of a profile gives it one',
    );
  return [];
}

async function ask(name: string, resolvers: readonly string[]): Promise<readonly string[]> {
  if (resolvers.length === 0 || name === 'localhost') return [];
  const resolver = new Resolver({ timeout: 2_000, tries: 2 });
  resolver.setServers(resolvers);
  const [found] = await Promise.allSettled([resolver.resolve4(name)]);
  return found.status === 'fulfilled' ? found.value.filter((address) => !address.startsWith('127.')) : [];
}

/** Of those that are to be on this host, each at which nothing listens is told: loopback is not enough. */
export async function tellOfDeafForges(endpoints: readonly Endpoint[], log: Pick<Log, 'warn'>): Promise<void> {
  const own = new Set(Object.values(networkInterfaces()).flatMap((entries) => (entries ?? []).map(({ address }) => address)));
  const local = endpoints.filter(({ address }) => own.has(address) && !address.startsWith('127.'));
  const deaf = await Promise.all(local.map(refuses));
  for (const { address, port } of local.filter((_, index) => deaf[index] === true))
    log.warn(
      'host-error',
      { address, port },
      `nothing listens at ${address}:${port} of this host, where machines are to reach a forge; if it listens on loopback alone, let it listen there (HTTP_ADDR in [server] of its app.ini), or a proxy before it`,
    );
}

function refuses({ address, port }: Endpoint): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port, timeout: 2_000 });
    const end = (refused: boolean): void => {
      socket.destroy();
      resolve(refused);
    };
    socket.once('connect', () => end(false));
    socket.once('timeout', () => end(false));
    socket.once('error', (error) => end('code' in error && error.code === 'ECONNREFUSED'));
  });
}
