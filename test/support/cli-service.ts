// Promises the real API on a real port and on a real Unix socket of a temporary folder, over a picture that a test chooses.

import { createServer } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { serveHttp } from '../../src/http/app.ts';
import { anApi, reconcilingOf } from './api.ts';

export type Answering = { readonly url: string; readonly folder: string; readonly socket: string; close(): Promise<void> };

export async function answering(snapshot: () => Snapshot): Promise<Answering> {
  const host = '127.0.0.1';
  const app = anApi({ reconciler: reconcilingOf(snapshot), host });
  const serving = await serveHttp({ app, host, port: 0 });
  const folder = await mkdtemp(join(tmpdir(), 'frc-cli-'));
  const socket = join(folder, 'ci-1.sock');
  const respond = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer((incoming, outgoing) => {
    respond(incoming, outgoing).catch((error: unknown) => outgoing.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  return {
    url: serving.url,
    folder,
    socket,
    async close() {
      server.close();
      server.closeAllConnections();
      await serving.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
