// Promises the one HTTP server of the stand-in: REST, runner RPC and control behind one port, every request counted under the name of its
// route, every fault done to the real socket. Nothing waits for anything but the faults.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { callerOf, requireScope } from './access.ts';
import { refusedBy, spoilt, type Fault, type Faults } from './faults.ts';
import { refusalReply, Refusal, textReply, unknownRouteReply, type Reply } from './reply.ts';
import type { Router } from './router.ts';
import type { Rpc } from './rpc.ts';
import type { World } from './world.ts';

export type Parts = {
  readonly world: World;
  readonly router: Router;
  readonly rpc: Rpc;
  readonly faults: Faults;
  /** By `METHOD template`. */
  readonly counts: Map<string, number>;
  /** Answers below `/_control/`; faults and counts do not touch it. */
  readonly control: (name: string, body: string) => Promise<Reply>;
  /** Called before every request, so that time-outs of the world are seen. */
  readonly tick: () => void;
};

export const controlPrefix = '/_control/';
const maxBodyBytes = 64 * 1024 * 1024;

export function createHttpServer(parts: Parts): Server {
  return createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
    serve(parts, request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) response.destroy();
      else send(response, textReply(500, error instanceof Error ? `${error.stack ?? error.message}\n` : 'unknown error\n'), undefined);
    });
  });
}

async function serve(parts: Parts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://stand-in');
  const method = request.method ?? 'GET';
  const body = await bodyOf(request);
  if (path.startsWith(controlPrefix)) {
    send(response, await parts.control(path.slice(controlPrefix.length), body.toString()), undefined);
    return;
  }
  parts.tick();
  const fault = parts.faults.strike(method, path);
  const route = parts.router.find(method, path);
  const name = `${method} ${route?.route.path ?? path}`;
  parts.counts.set(name, (parts.counts.get(name) ?? 0) + 1);
  parts.world.changed();
  if (fault?.kind === 'latency') await sleep(fault.ms);
  if (fault?.kind === 'cut' && fault.when === 'before') {
    response.destroy();
    return;
  }
  const refused = refusedBy(fault);
  if (refused !== undefined) {
    send(response, refused, undefined);
    return;
  }
  const reply = await answer(parts, { method, path, query, headers: request.headers, body });
  parts.world.changed();
  if (fault?.kind === 'hang') return;
  if (fault?.kind === 'cut') response.destroy();
  else send(response, spoilt(reply, fault), fault);
}

type Request = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
};

async function answer({ world, router, rpc }: Parts, { method, path, query, headers, body }: Request): Promise<Reply> {
  const called = method === 'POST' ? rpc.answer({ method, path, headers: headersOf(headers), body }) : undefined;
  if (called !== undefined) return called;
  const found = router.find(method, path);
  if (found === undefined) return unknownRouteReply();
  const { route, params } = found;
  try {
    const caller = callerOf(world, headers.authorization);
    if (route.category !== undefined) requireScope(caller, route.category, method);
    return route.answer({ world, caller, method, path, params, query, contentType: headers['content-type'] ?? '', body });
  } catch (error) {
    if (error instanceof Refusal) return refusalReply(world.rootUrl, error);
    throw error;
  }
}

function headersOf(headers: IncomingMessage['headers']): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers))
    if (value !== undefined) all.set(name, Array.isArray(value) ? value.join(', ') : value);
  return all;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error(`a request of more than ${maxBodyBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function send(response: ServerResponse, { status, headers, body }: Reply, fault: Fault | undefined): void {
  const length = status === 204 || status === 304 ? {} : { 'content-length': String(body.length) };
  response.writeHead(status, { ...headers, ...length });
  if (fault?.kind !== 'truncate') {
    response.end(body);
    return;
  }
  response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
}
