// Promises a name of this host that one process at a time has: an abstract Unix socket. All processes of the network can read it in
// /proc/net/unix, and the kernel frees it with its process, however that ends.

import { createServer } from 'node:net';

/** Gives the name back. Undefined when somebody has it. */
export async function claim(name: string): Promise<(() => void) | undefined> {
  const server = createServer((connection) => connection.destroy());
  const held = await new Promise<boolean>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
    server.listen({ path: `\0${name}` }, () => resolve(true));
  });
  if (!held) return undefined;
  server.unref();
  return () => void server.close();
}
