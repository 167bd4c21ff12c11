// Promises a listening server for the API, on an address or on a socket that only this user may open, that starts clearly or fails clearly,
// is not held up by slow or idle clients, and closes at once.

import { lstat, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { systemClock, type Clock } from '../clock.ts';
import { ControllerError, errnoOf } from '../errors.ts';

/** What the server gives with each request; nothing of it is there for one that is made in process. */
export type Bindings = { readonly incoming?: { readonly socket: { readonly remoteAddress?: string | undefined } } };
export type App = Hono<{ Bindings: Bindings }>;

export type Serving = {
  /** Where it listens, with the real port. */
  readonly url: string;
  /** Stops listening, lets answers under way end for a second, then cuts what is left. Twice = once. */
  close(): Promise<void>;
};

type ServerOptions = {
  readonly app: App;
  /** For the grace of close. */
  readonly clock?: Clock;
  /** How long a connection may neither take nor send a byte; 15 s unless said otherwise. */
  readonly idleMs?: number;
};

const closeGraceMs = 1_000;

/**
 * Listens; port 0 = any free one. Rejects with CONFIG_INVALID when the address cannot be had: a service that its operator cannot ask
 * anything is not started, and a taken port usually means that another copy runs.
 */
export async function serveHttp(options: ServerOptions & { readonly host: string; readonly port: number }): Promise<Serving> {
  const { host, port, clock = systemClock } = options;
  const server = serverOf(options, host);
  await listening(server, () => server.listen({ host, port })).catch((error: unknown) => {
    throw addressError(error, host, port);
  });
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return servingOf(server, `http://${name}:${address.port}`, clock);
}

/** The same on a Unix socket, which replaces one that nobody listens to any more. */
export async function serveSocket(options: ServerOptions & { readonly path: string }): Promise<Serving> {
  const { path, clock = systemClock } = options;
  const server = serverOf(options, 'localhost');
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await removeStale(path);
    await listening(server, () => {
      // The socket is made before listen returns; nobody else may open it from its first moment on.
      const before = process.umask(0o177);
      try {
        server.listen({ path });
      } finally {
        process.umask(before);
      }
    });
  } catch (error) {
    throw socketError(error, path);
  }
  return servingOf(server, `unix:${path}`, clock);
}

function servingOf(server: Server, url: string, clock: Clock): Serving {
  let closing: Promise<void> | undefined;
  return {
    url,
    close() {
      closing ??= shut(server, clock);
      return closing;
    },
  };
}

function serverOf({ app, idleMs = 15_000 }: ServerOptions, hostname: string): Server {
  const respond = getRequestListener(app.fetch, { overrideGlobalObjects: false, hostname, errorHandler: refused });
  const server = createServer(
    {
      requestTimeout: 10_000,
      headersTimeout: 5_000,
      keepAliveTimeout: 5_000,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: 16_384,
    },
    (incoming, outgoing) => {
      // Only a connection that is gone gets here: the app answers its own errors.
      respond(incoming, outgoing).catch((error: unknown) => outgoing.destroy(error instanceof Error ? error : undefined));
    },
  );
  server.maxConnections = 128;
  // The others bound who does not ask to the end; this one, who does not read the answer.
  server.timeout = idleMs;
  return server;
}

/** What never reached the app: a request line or a Host header that is none. */
function refused(): Response {
  const problem = {
    type: 'about:blank',
    title: 'Bad request',
    status: 400,
    code: 'BAD_REQUEST',
    detail: 'The request cannot be understood.',
  };
  return new Response(JSON.stringify(problem), { status: 400, headers: { 'content-type': 'application/problem+json' } });
}

function listening(server: Server, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      // What goes wrong from here on concerns one connection, and node answers that itself.
      resolve();
    });
    begin();
  });
}

/** A socket outlives the process that was killed. One that is listened to, and what is no socket, stays. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw Object.assign(new Error('no socket'), { code: 'ENOTSOCK' });
  if (!(await isAnswered(path))) await rm(path, { force: true });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const tell = (answered: boolean): void => {
      probe.destroy();
      resolve(answered);
    };
    probe.once('connect', () => tell(true));
    probe.once('error', () => tell(false));
  });
}

function socketError(error: unknown, path: string): ControllerError {
  const code = errnoOf(error) ?? String(error);
  const [message, remedy] = socketTroubles[code] ?? [`cannot be made (${code})`, 'choose another http.socket, or none'];
  return invalid(error, 'socket', { path: 'http.socket', message: `${path} ${message}`, remedy });
}

const socketTroubles: Readonly<Record<string, readonly [message: string, remedy: string]>> = {
  EADDRINUSE: ['is in use by another copy of this service', 'stop that, or give each its own http.socket'],
  ENOTSOCK: ['is there and is no socket', 'remove it, or choose another http.socket'],
  EROFS: [
    'is in a folder that is read-only here',
    'name the folder in ReadWritePaths= of the unit, or choose another http.socket, or none',
  ],
  EACCES: ['may not be made by this user', 'choose an http.socket that this user may make, or none'],
};

function addressError(error: unknown, host: string, port: number): ControllerError {
  const code = errnoOf(error) ?? String(error);
  const [message, remedy] = listenTroubles[code] ?? [`cannot be listened on (${code})`, 'choose another http.port or http.host'];
  return invalid(error, 'address', { path: 'http', message: `${host}:${port} ${message}`, remedy });
}

type Mistake = { readonly path: string; readonly message: string; readonly remedy: string };

function invalid(cause: unknown, what: 'address' | 'socket', mistake: Mistake): ControllerError {
  const { message, remedy } = mistake;
  return new ControllerError('CONFIG_INVALID', `The API's ${what} ${message}: ${remedy}`, { cause, details: { mistakes: [mistake] } });
}

const listenTroubles: Readonly<Record<string, readonly [message: string, remedy: string]>> = {
  EADDRINUSE: [
    'is in use, perhaps by another copy of this service',
    'stop what uses it, or set http.port (HTTP_PORT) to another port; 0 takes any free one',
  ],
  EACCES: ['may not be used by this user', 'set http.port (HTTP_PORT) to 1024 or above'],
  EADDRNOTAVAIL: ['is no address of this host', 'set http.host to an address of this host, such as 127.0.0.1'],
};

async function shut(server: Server, clock: Clock): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    // The only error is that it was not listening any more, which is what was wanted.
    server.close(() => resolve());
  });
  server.closeIdleConnections();
  const done = new AbortController();
  await Promise.race([closed, clock.sleep(closeGraceMs, done.signal)]);
  done.abort();
  server.closeAllConnections();
  await closed;
}
