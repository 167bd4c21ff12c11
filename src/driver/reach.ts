// Promises to tell whether a machine would reach its forges: a network like a machine's, behind the same rules, is made for the length of one
// question to each, with the names of a machine that no job can have. A service leaves it alone meanwhile; what is left of it after a kill is
// swept as any machine's.

import { networkInterfaces } from 'node:os';
import { slotCountOf, subnetOf } from '../core/subnets.ts';
import { ControllerError } from '../errors.ts';
import type { Profile } from '../core/model.ts';
import { claimDoctor, doctorsId as id } from './doctor-claim.ts';
import { fingerprint, perform, run, tryPerform } from './exec.ts';
import { namesOf, resolveEndpoints } from './forge-addresses.ts';
import { machineMtu } from './network-host.ts';
import { extraHostsOf } from './hosts-file.ts';
import { hostBatchOf, machineBatchOf, namespaceSettings, poolOf, rulesOf, tableOf, type DriverNetwork, type LinkInput } from './network.ts';
import { interfaceOf, namespaceOf } from './nspawn-unit.ts';
import { resolversIn, resolversOf } from './resolvers.ts';

export type ReachInput = { readonly controllerId: string; readonly network: DriverNetwork; readonly profiles: readonly Profile[] };

/** `status`: the forge's answer, whatever it was. `code`: why none came, in Node's or OpenSSL's word. */
export type Reached = { readonly status: number } | { readonly code: string; readonly resolvers: readonly string[] };

const stepMs = 10_000;

/** Rejects with DRIVER_FAILED when the network cannot be made; forges are told by their url. */
export async function reachFromMachine(
  { controllerId, network, profiles }: ReachInput,
  urls: readonly string[],
): Promise<ReadonlyMap<string, Reached>> {
  const names = namesOf(profiles);
  const found = await resolversOf(network);
  const silent = { warn: () => undefined };
  const [mtu, endpoints] = await Promise.all([machineMtu(network), resolveEndpoints(urls, { names, resolvers: found, log: silent })]);
  const link: LinkInput = { controllerId, id, slot: freeSlotOf(network), network, mtu };
  const resolvers = resolversIn(link.slot, found, network);
  const table = tableOf(controllerId);
  // The table of a service that runs, or of machines that run on without one, is the one to be tried.
  const made = (await fingerprint(table, stepMs)) === undefined;
  const release = await claimDoctor(controllerId);
  try {
    if (made) await perform('nft', ['-f', '-'], { input: rulesOf({ controllerId, network, endpoints, nameservers: resolvers }) });
    await perform('ip', ['-batch', '-'], { input: hostBatchOf(link), timeoutMs: stepMs });
    const inside = [`--net=/run/netns/${namespaceOf(controllerId, id)}`];
    await perform('nsenter', [...inside, '/bin/sh', '-ec', namespaceSettings], { input: machineBatchOf(link), timeoutMs: stepMs });
    const hosts = extraHostsOf(names, poolOf(network), link.slot);
    const asked = urls.map(async (url) => {
      const input = JSON.stringify({ url: new URL('api/v1/version', url.endsWith('/') ? url : `${url}/`), resolvers, hosts });
      const said = await run('nsenter', [...inside, process.execPath, '-e', question], { input, timeoutMs: 2 * stepMs });
      return [url, answerOf(said, resolvers)] as const;
    });
    return new Map(await Promise.all(asked));
  } finally {
    // By itself the kernel drops the link with its namespace, but only some time later.
    await tryPerform('ip', ['link', 'delete', interfaceOf(id)]);
    await tryPerform('ip', ['netns', 'delete', namespaceOf(controllerId, id)]);
    if (made) await tryPerform('nft', ['delete', 'table', 'inet', table]);
    release();
  }
}

/** The last subnet that no interface has: a service that runs gives it out last. */
function freeSlotOf(network: DriverNetwork): number {
  const pool = poolOf(network);
  const held = new Set(Object.values(networkInterfaces()).flatMap((entries) => (entries ?? []).map(({ address }) => address)));
  for (let slot = slotCountOf(pool) - 1; slot >= 0; slot -= 1) if (!held.has(subnetOf(pool, slot).host)) return slot;
  throw new ControllerError('DRIVER_FAILED', 'All subnets of the address pool are in use.');
}

/**
 * What node runs in there: names are looked up as a machine would, by its resolvers alone, since the files of /etc are still the host's.
 * Standard input says what to ask, standard output what came of it.
 */
const question = `
const chunks = [];
process.stdin.on('data', (chunk) => chunks.push(chunk)).on('end', () => {
  const { url, resolvers, hosts } = JSON.parse(Buffer.concat(chunks).toString());
  const { Resolver } = require('node:dns');
  const { isIPv4 } = require('node:net');
  const lookup = (name, options, done) => {
    const told = hosts.split('\\n').map((line) => line.split(' ')).filter((one) => one[1] === name && isIPv4(one[0])).map(([address]) => ({ address, family: 4 }));
    if (told.length > 0) return options.all ? done(null, told) : done(null, told[0].address, 4);
    const resolver = new Resolver({ timeout: 2000, tries: 2 });
    if (resolvers.length === 0) return done(Object.assign(new Error('no resolver'), { code: 'ENORESOLVER' }));
    resolver.setServers(resolvers);
    resolver.resolve4(name, (error, found = []) =>
      error ? done(error) : options.all ? done(null, found.map((address) => ({ address, family: 4 }))) : done(null, found[0], 4));
  };
  const say = (answer) => { process.stdout.write(JSON.stringify(answer)); process.exit(); };
  setTimeout(() => say({ code: 'ETIMEDOUT' }), ${stepMs});
  require(url.startsWith('https:') ? 'node:https' : 'node:http')
    .get(url, { lookup, agent: false }, (reply) => say({ status: reply.statusCode }))
    .on('error', (error) => say({ code: error.code || error.message }));
});`;

function answerOf(said: string, resolvers: readonly string[]): Reached {
  const found: unknown = JSON.parse(said);
  if (typeof found === 'object' && found !== null && 'status' in found && typeof found.status === 'number') return { status: found.status };
  return { code: typeof found === 'object' && found !== null && 'code' in found ? String(found.code) : 'no answer', resolvers };
}
