// Promises an HTTP server on a real socket that answers exactly what a test scripts, well-behaved or not, and remembers what it heard.
// It has no behaviour of its own: what a Forgejo would do is written in the test.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';

export type Heard = {
  readonly method: string;
  /** Path and query as they stood on the request line. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Which connection it came over, from 1. */
  readonly connection: number;
};

export type Scripted =
  | { readonly status: number; readonly json?: unknown; readonly text?: string; readonly headers?: Readonly<Record<string, string>> }
  /** Says nothing, ever. */
  | { readonly kind: 'silence' }
  /** Drops the connection without a word. */
  | { readonly kind: 'reset' }
  /** Promises more bytes than it sends, then drops the connection. */
  | { readonly kind: 'cut'; readonly text: string }
  /** Begins a body and stops there, with the connection open. */
  | { readonly kind: 'stall'; readonly text: string }
  /** Goes on sending until the other side has enough. */
  | { readonly kind: 'endless'; readonly status: number; readonly text: string }
  /** These bytes and no others. */
  | { readonly kind: 'raw'; readonly text: string }
  /** A good head with these bytes as its body, whatever the head says of them. */
  | { readonly kind: 'bytes'; readonly headers: Readonly<Record<string, string>>; readonly bytes: Buffer }
  /** One byte after the other, without end. */
  | { readonly kind: 'trickle'; readonly text: string };

/** The answer to a request; `nth` counts all requests from 1. */
export type Script = (heard: Heard, nth: number) => Scripted;

export type ScriptedServer = {
  /** http://127.0.0.1:PORT */
  readonly url: string;
  readonly heard: readonly Heard[];
  /** Method and path of everything heard, in order. */
  asked(): readonly string[];
  close(): Promise<void>;
};

/** Closed by itself at the end of the test, with whatever hangs on it. */
export async function createScriptedServer(script: Script): Promise<ScriptedServer> {
  const heard: Heard[] = [];
  const sockets = new Map<Socket, number>();
  let connections = 0;
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const body = await text(request);
    const one = { method, path: url, headers, body, connection: sockets.get(request.socket) ?? 0 };
    heard.push(one);
    play(script(one, heard.length), response);
  }
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : new Error(String(error))));
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.set(socket, connections);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const close = (): Promise<void> => {
    for (const socket of sockets.keys()) socket.destroy();
    return new Promise((resolve) => {
      server.close(() => resolve());
    });
  };
  onTestFinished(close);
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, heard, asked: () => heard.map(({ method, path }) => `${method} ${path}`), close };
}

function play(scripted: Scripted, response: ServerResponse): void {
  if (!('kind' in scripted)) {
    const body = scripted.json === undefined ? (scripted.text ?? '') : JSON.stringify(scripted.json);
    const type = scripted.json === undefined ? 'text/plain; charset=utf-8' : 'application/json;charset=utf-8';
    response.writeHead(scripted.status, { 'content-type': type, ...scripted.headers });
    response.end(body);
    return;
  }
  switch (scripted.kind) {
    case 'silence':
      break;
    case 'reset':
      response.socket?.resetAndDestroy();
      break;
    case 'cut':
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': String(scripted.text.length + 100) });
      response.write(scripted.text, () => response.socket?.destroy());
      break;
    case 'stall':
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write(scripted.text);
      break;
    case 'endless': {
      response.writeHead(scripted.status, { 'content-type': 'application/json' });
      const send = (): void => {
        while (!response.destroyed && response.write(scripted.text));
      };
      response.on('drain', send);
      send();
      break;
    }
    case 'raw':
      response.socket?.end(scripted.text, 'latin1');
      break;
    case 'bytes':
      response.writeHead(200, { 'content-type': 'application/json', ...scripted.headers });
      response.end(scripted.bytes);
      break;
    case 'trickle': {
      response.writeHead(200, { 'content-type': 'application/json' });
      const again = (): void => {
        if (!response.destroyed) response.write(scripted.text, () => setImmediate(again));
      };
      again();
      break;
    }
  }
}
