// Promises that a machine's namespace and addresses exist before it starts and are seen gone before its marker goes, and that our one
// nftables table says what the configuration says. Touches names and link groups of ours only.

import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { ControllerError } from '../errors.ts';
import { run } from './exec.ts';
import { hostBatchOf, isIpv4, machineBatchOf, namespaceSettings, rulesOf } from './network.ts';
import type { Endpoint, LinkInput, RulesInput } from './network.ts';
import { namespaceOf } from './nspawn-unit.ts';

const timeoutMs = 10_000;

/** Makes the namespace, the veth pair and the host's end of it. */
export async function makeLink(input: LinkInput): Promise<void> {
  try {
    await run('ip', ['-batch', '-'], { input: hostBatchOf(input), timeoutMs });
  } catch (error) {
    throw new ControllerError(
      'DRIVER_FAILED',
      `The network of ${input.id} (slot ${input.slot}) could not be made. ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

/** Makes the machine's end: addresses, default route, settings. */
export async function configureLink(input: LinkInput): Promise<void> {
  // nsenter, not `ip -n`: that one makes a mount namespace and a /sys of its own each time.
  const args = [`--net=/run/netns/${namespaceOf(input.controllerId, input.id)}`, '/bin/sh', '-ec', namespaceSettings];
  await run('nsenter', args, { input: machineBatchOf(input), timeoutMs });
}

export async function applyRules(input: RulesInput): Promise<void> {
  await run('nft', ['-f', '-'], { input: rulesOf(input), timeoutMs });
}

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
