// Promises that two controllers which run on one host never give out the same addresses, also before either has a machine. A claim is an
// abstract Unix socket that bears the pool in its name: all processes of the network can read it, and the kernel frees it with its process.

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { addressToNumber, type Pool } from '../core/subnets.ts';
import { ControllerError } from '../errors.ts';

const mark = 'forgejo-runner-controller-pool';
const claims = new RegExp(`@${mark}:([a-z0-9-]+):([0-9.]+)-([0-9.]+)@*$`, 'gm');

/** Gives the claim back. Rejects with DRIVER_UNAVAILABLE while another controller's pool overlaps: then both of them may refuse. */
export async function claimPool(controllerId: string, { first, last }: Pick<Pool, 'first' | 'last'>): Promise<() => void> {
  const socket = await holding(`\0${mark}:${controllerId}:${first}-${last}`);
  try {
    // Looked at after it is held: of two that start at once at least one sees the other.
    const rival = rivalIn(await readFile('/proc/net/unix', 'utf8'), controllerId, first, last);
    if (rival === undefined) return () => void socket?.close();
    throw new ControllerError(
      'DRIVER_UNAVAILABLE',
      `The address pool ${first}-${last} overlaps with ${rival.pool} of the controller \`${rival.id}\`, which runs on this host: give each its own network.pool.`,
    );
  } catch (error) {
    socket?.close();
    throw error;
  }
}

/** Undefined when it is held already: by this controller, for the id is in the name, and its state directory is locked by now. */
async function holding(path: string): Promise<Server | undefined> {
  const server = createServer((connection) => connection.destroy());
  const held = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
    server.listen({ path }, () => resolve(true));
  });
  if (!held) return undefined;
  server.unref();
  return server;
}

function rivalIn(
  sockets: string,
  controllerId: string,
  first: string,
  last: string,
): { readonly id: string; readonly pool: string } | undefined {
  for (const [, id = '', from = '', to = ''] of sockets.matchAll(claims)) {
    const shared = addressToNumber(to) >= addressToNumber(first) && addressToNumber(from) <= addressToNumber(last);
    if (id !== controllerId && shared) return { id, pool: `${from}-${to}` };
  }
  return undefined;
}
