// Promises a stand-in for a Forgejo 16 on a real socket: `startForgejo()` gives its URL, an admin's token and the control of it. What it
// says is checked against exchanges with a real one (test/integration/standin-replay.test.ts). Nothing of it is in the product.

import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createControl, type Control } from './control.ts';
import { createFaults } from './faults.ts';
import { emptyReply, jsonReply, textReply, type Reply } from './reply.ts';
import { createRouter } from './router.ts';
import { hookRoutes } from './routes-hooks.ts';
import { repositoryRoutes } from './routes-repositories.ts';
import { runnerRoutes } from './routes-runners.ts';
import { runRoutes } from './routes-runs.ts';
import { createRpc } from './rpc.ts';
import { endZombies } from './runs.ts';
import { controlPrefix, createHttpServer } from './server.ts';
import { createWorld } from './world.ts';

export type { Control, QueuedJob } from './control.ts';
export type { Fault } from './faults.ts';
export { controlAt } from './control-client.ts';

export type ForgejoOptions = {
  /** Default 127.0.0.1; 0.0.0.0 to be reached from machines. */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
  /** How the server names itself in its answers; default: what it listens on. */
  readonly rootUrl?: string;
  readonly version?: string;
  /** Name of the site admin who is there from the start. */
  readonly admin?: string;
  /** The admin's token; default: a random one with all rights. */
  readonly token?: string;
  /** From a commit to its jobs; 0.75 to 2.45 s on a real one. Default 0. */
  readonly listingDelayMs?: number;
  /** Default 10 minutes, as on a real one. */
  readonly zombieTimeoutMs?: number;
};

export type ForgejoStandIn = {
  readonly url: string;
  /** Base for controlAt() in another process. */
  readonly controlUrl: string;
  readonly admin: string;
  readonly token: string;
  readonly control: Control;
  /** Ends every connection; afterwards nothing of it runs. */
  close(): Promise<void>;
};

export async function startForgejo(options: ForgejoOptions = {}): Promise<ForgejoStandIn> {
  const { host = '127.0.0.1', port = 0, version = '16.0.1+gitea-1.22.0', admin = 'root1', listingDelayMs = 0 } = options;
  const { zombieTimeoutMs = 600_000 } = options;
  const world = createWorld(version);
  const faults = createFaults();
  const counts = new Map<string, number>();
  const control = createControl({ world, faults, counts, zombieTimeoutMs });
  const closing = new AbortController();
  const later = (action: () => void): void => {
    if (listingDelayMs === 0) action();
    else sleep(listingDelayMs, undefined, { signal: closing.signal }).then(action, () => undefined);
  };
  const server = createHttpServer({
    world,
    faults,
    counts,
    router: createRouter([...repositoryRoutes(later), ...runnerRoutes, ...runRoutes, ...hookRoutes]),
    rpc: createRpc(world),
    control: (name, body) => controlReply(control, name, body),
    tick: () => endZombies(world, zombieTimeoutMs),
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { port: actual } = server.address() as AddressInfo;
  const url = `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${actual}`;
  world.rootUrl = (options.rootUrl ?? url).replace(/\/$/, '');
  const userId = await control.addUser({ name: admin, admin: true });
  const token = options.token ?? (await control.addToken({ user: admin, scopes: ['all'] }));
  world.tokens.set(token, { text: token, userId, scopes: new Set(['all']) });
  const close = (): Promise<void> => {
    closing.abort();
    return new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  };
  return { url, controlUrl: `${url}${controlPrefix}`, admin, token, control, close };
}

async function controlReply(control: Control, name: string, body: string): Promise<Reply> {
  if (!Object.hasOwn(control, name)) return textReply(404, `no control call "${name}"\n`);
  const method = control[name as keyof Control] as (argument: unknown) => Promise<unknown>;
  try {
    const value = await method(JSON.parse(body || 'null') ?? undefined);
    return value === undefined ? emptyReply(204) : jsonReply(200, value);
  } catch (error) {
    return textReply(400, `${error instanceof Error ? error.message : String(error)}\n`);
  }
}
