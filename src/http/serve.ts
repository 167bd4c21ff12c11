// Promises a listening server for the API that starts clearly or fails clearly, is not held up by slow or idle clients, and closes at once.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { Hono } from 'hono';
import { systemClock, type Clock } from '../clock.ts';
import { ControllerError } from '../errors.ts';

export type Serving = {
  /** Where it listens, with the real port. */
  readonly url: string;
  /** Stops listening, lets answers under way end for a second, then cuts what is left. Twice = once. */
  close(): Promise<void>;
};

export type ServeOptions = {
  readonly app: Hono;
  readonly host: string;
  readonly port: number;
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
export async function serveHttp({ app, host, port, clock = systemClock, idleMs = 15_000 }: ServeOptions): Promise<Serving> {
  const respond = getRequestListener(app.fetch, { overrideGlobalObjects: false, hostname: host, errorHandler: refused });
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
  await listen(server, host, port);
  const address = server.address() as AddressInfo;
  const name = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  let closing: Promise<void> | undefined;
  return {
    url: `http://${name}:${address.port}`,
    close() {
      closing ??= shut(server, clock);
      return closing;
    },
  };
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

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => reject(listenError(error, host, port));
    server.once('error', refuse);
    server.listen({ host, port }, () => {
      server.off('error', refuse);
      // What goes wrong from here on concerns one connection, and node answers that itself.
      resolve();
    });
  });
}

function listenError(error: Error, host: string, port: number): ControllerError {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const [message, remedy] = listenTroubles[code] ?? [`cannot be listened on (${code})`, 'choose another http.port or http.host'];
  const mistake = { path: 'http', message: `${host}:${port} ${message}`, remedy };
  return new ControllerError('CONFIG_INVALID', `The API's address ${mistake.message}: ${remedy}`, {
    cause: error,
    details: { mistakes: [mistake] },
  });
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
