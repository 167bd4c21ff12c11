// Promises that a Forgejo can be reached from where it cannot: requests that arrive at an address or a Unix socket are sent on, bodies as
// they come, to a URL or a Unix socket. The Host header becomes the target's, as its proxy may go by it; `named` says by which name it was
// asked, as a proxy does.

import { createServer, request as httpRequest, type IncomingMessage, type RequestOptions, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';

export type RelayAddress = { readonly path: string } | { readonly host: string };
export type Relay = { readonly port: number; close(): void };

export type RelayTarget = URL | { readonly socketPath: string };

export async function openRelay(listen: RelayAddress, target: RelayTarget, named = false): Promise<Relay> {
  const server = createServer((request, response) => {
    if (named && request.headers.host !== undefined) request.headers['x-forwarded-host'] = request.headers.host;
    sendOn(request, response, target);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen('host' in listen ? { ...listen, port: 0 } : listen, resolve);
  });
  const address = server.address() as AddressInfo | string;
  return {
    port: typeof address === 'string' ? 0 : address.port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function sendOn(request: IncomingMessage, response: ServerResponse, target: RelayTarget): void {
  const { method, headers, url: path = '/' } = request;
  const options: RequestOptions =
    target instanceof URL
      ? { method, path: target.pathname.replace(/\/$/, '') + path, headers: { ...headers, host: target.host } }
      : { method, path, headers, ...target };
  const answered = (reply: IncomingMessage): void => {
    response.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(response);
  };
  const onward =
    target instanceof URL
      ? (target.protocol === 'https:' ? httpsRequest : httpRequest)(target, options, answered)
      : httpRequest(options, answered);
  // The caller is told in the way of a proxy; it asks again, or says so itself.
  onward.on('error', (error) => (response.headersSent ? response.destroy(error) : response.writeHead(502).end(`${error.message}\n`)));
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}
