// Promises what the network of machines needs to know of this host: the way out of it, and what that takes.

import { tryRun } from './exec.ts';
import type { DriverNetwork } from './network.ts';
import { exists } from './presence.ts';
import { readText } from './template.ts';

/** Any address of the internet: the kernel is asked for the way there, and nothing is sent. */
const faraway = '9.9.9.9';

/**
 * What is configured; else the smallest MTU of the named interfaces; else that of the way to the internet, by whatever routes and rules lead
 * there; 1500 when there is none. Packets of machines need not be cut on their way out, nor be lost where that is not told to them.
 */
export async function machineMtu({ mtu, externalInterface: names }: DriverNetwork): Promise<number> {
  if (mtu !== undefined) return mtu;
  const missing = await missingInterfaces(names);
  const route = names.length > 0 ? undefined : await wayOut();
  const uplinks = names.length > 0 ? names.filter((name) => !missing.includes(name)) : route === undefined ? [] : [route.name];
  const found = await Promise.all(uplinks.map(async (name) => Number(await readText(`/sys/class/net/${name}/mtu`))));
  const usable = [...found, ...(route?.mtu === undefined ? [] : [route.mtu])].filter((one) => Number.isInteger(one) && one >= 576);
  return usable.length === 0 ? 1500 : Math.min(...usable, 65_535);
}

export async function wayOut(): Promise<ReturnType<typeof wayIn>> {
  return wayIn((await tryRun('ip', ['-4', 'route', 'get', faraway], { timeoutMs: 5_000 })).stdout);
}

/** The interface, and the MTU of the route where it has one, as `ip route get` tells; undefined where there is no way. */
export function wayIn(said: string): { readonly name: string; readonly mtu?: number } | undefined {
  const name = / dev (\S+)/.exec(said)?.[1];
  const mtu = / mtu (?:lock )?(\d+)/.exec(said)?.[1];
  if (name === undefined || name === 'lo') return undefined;
  return { name, ...(mtu === undefined ? {} : { mtu: Number(mtu) }) };
}

/** Those that this host has no interface of, now. */
export async function missingInterfaces(names: readonly string[]): Promise<readonly string[]> {
  const there = await Promise.all(names.map((name) => exists(`/sys/class/net/${name}`)));
  return names.filter((_, index) => there[index] !== true);
}
