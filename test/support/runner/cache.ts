// The cache server that forgejo-runner opens unless its config turns it off: two listeners on all interfaces, at random ports. The stand-in
// opens them too (they serve nothing), so that a test can see whether a config closes them.

import { closeSync, mkdirSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';

import type { Settings } from './settings.ts';

function listen(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(0, '::', () => resolve(server));
  });
}

/** Opens the listeners and the cache folder; they stay until the process ends. */
export async function openCache({ cache }: Settings): Promise<void> {
  if (!cache.enabled) return;
  mkdirSync(join(cache.folder, 'cache'), { recursive: true });
  closeSync(openSync(join(cache.folder, 'bolt.db'), 'a'));
  await Promise.all([listen(), listen()]);
}
