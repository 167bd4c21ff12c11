// Promises a name of this host that one process at a time has: an abstract Unix socket. The kernel frees it with its process, however that
// ends, so that no stale file is left to judge. Whoever shares the network can read such names, and take one: a lock among friends.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** What an address has room for. */
const mostBytes = 107;

/** Gives the name back. Undefined when somebody has it. */
export async function claim(name: string): Promise<(() => void) | undefined> {
  const server = createServer((connection) => connection.destroy());
  const held = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
    server.listen({ path: `\0${fitting(name)}` }, () => resolve(true));
  });
  if (!held) return undefined;
  server.unref();
  return () => void server.close();
}

/** Every name that somebody has, whoever that is. */
export function claimedNames(): readonly string[] {
  const sockets = readFileSync('/proc/net/unix', 'utf8');
  return [...sockets.matchAll(/^(?:\S+ +){7}@(.+?)@*$/gm)].map((hit) => hit[1] ?? '');
}

function fitting(name: string): string {
  if (Buffer.byteLength(name) <= mostBytes) return name;
  return `forgejo-runner-controller#${createHash('sha256').update(name).digest('hex')}`;
}
