// Promises the real API on a real port and on a real Unix socket of a temporary folder, over a picture that a test chooses; both take orders,
// the port from who names the token.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { serveHttp, serveSocket, type AppOptions, type Serving } from '../../src/http/app.ts';
import { anApi, reconcilingOf } from './api.ts';

export type Answering = {
  /** The one at `url`; may be closed by itself. */
  readonly port: Serving;
  readonly url: string;
  readonly folder: string;
  readonly socket: string;
  readonly tokenFile: string;
  close(): Promise<void>;
};

export async function answering(
  snapshot: () => Snapshot,
  over: Partial<AppOptions['reconciler']> = {},
  app: Partial<AppOptions> = {},
): Promise<Answering> {
  const folder = await mkdtemp(join(tmpdir(), 'frc-cli-'));
  const [socket, tokenFile] = [join(folder, 'ci-1.sock'), join(folder, 'token')];
  await writeFile(tokenFile, `${'t'.repeat(40)}\n`, { mode: 0o600 });
  const reconciler = reconcilingOf(snapshot, over);
  const host = '127.0.0.1';
  const port = await serveHttp({ app: anApi({ ...app, reconciler, host, tokenFile }), host, port: 0 });
  const local = await serveSocket({ app: anApi({ ...app, reconciler, host: 'socket' }), path: socket });
  return {
    port,
    url: port.url,
    folder,
    socket,
    tokenFile,
    async close() {
      await Promise.all([port.close(), local.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
