// Promises a proxy between everybody and a forge that does to real connections what networks and servers do: refuse, cut, lose the reply to a
// request that went through, answer 5xx, be slow, hang, end in the middle of a body. Obeys whoever holds it; the chance is handed in.

import { Agent, createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export const proxyFaults = ['cut', 'lose', 'error', 'slow', 'hang', 'truncate'] as const;
export type ProxyFault = (typeof proxyFaults)[number];

export type FaultProxy = {
  readonly port: number;
  /** From now on that share of all requests meets one of these. */
  storm(kinds: readonly ProxyFault[], share: number): void;
  /** No more faults; who was left hanging is cut off. */
  calm(): void;
  /** Refuses connections and cuts those it has, as a server that restarts with its data. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** How many requests met each fault. */
  struck(): ReadonlyMap<ProxyFault, number>;
  close(): Promise<void>;
};

type Answer = { readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: Buffer };

/** `upstream` is host and port; `random` gives 0..1. */
export async function startFaultProxy(
  upstream: { readonly host: string; readonly port: number },
  random: () => number,
): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true });
  const struck = new Map<ProxyFault, number>();
  const hanging = new Set<ServerResponse>();
  let weather: { readonly kinds: readonly ProxyFault[]; readonly share: number } = { kinds: [], share: 0 };
  let server: Server | undefined;
  let port = 0;

  function faultNow(): ProxyFault | undefined {
    if (random() >= weather.share) return undefined;
    const kind = weather.kinds[Math.floor(random() * weather.kinds.length)];
    if (kind !== undefined) struck.set(kind, (struck.get(kind) ?? 0) + 1);
    return kind;
  }

  async function pass(request: IncomingMessage): Promise<Answer> {
    const body = await bytesOf(request);
    return new Promise((resolve, reject) => {
      const { method, url, headers } = request;
      const onward = ask({ ...upstream, agent, method, path: url, headers }, (reply) => {
        bytesOf(reply).then((bytes) => resolve({ status: reply.statusCode ?? 502, headers: reply.headers, body: bytes }), reject);
      });
      onward.on('error', reject);
      onward.end(body);
    });
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault = faultNow();
    if (fault === 'cut') return void response.destroy();
    if (fault === 'error' && random() < 0.5) return refuse(response, random());
    if (fault === 'slow') await sleep(100 + random() * 1_500);
    const answer = await pass(request);
    if (fault === 'lose') return void response.destroy();
    if (fault === 'hang' && weather.share > 0) return void hanging.add(response);
    if (fault === 'hang') return void response.destroy();
    if (fault === 'error') return refuse(response, random());
    const { 'transfer-encoding': _, ...headers } = answer.headers;
    response.writeHead(answer.status, { ...headers, ...(answer.status === 204 ? {} : { 'content-length': answer.body.length }) });
    if (fault === 'truncate') response.write(answer.body.subarray(0, answer.body.length / 2), () => response.destroy());
    else response.end(answer.body);
  }

  const up = async (): Promise<void> => {
    if (server !== undefined) return;
    // Whoever asks is cut off when the forge behind cannot be asked.
    const fresh = createServer((request, response) => void serve(request, response).catch(() => response.destroy()));
    await new Promise<void>((resolve, reject) => fresh.once('error', reject).listen(port, '0.0.0.0', resolve));
    const address = fresh.address();
    if (typeof address === 'object' && address !== null) port = address.port;
    server = fresh;
  };
  const down = async (): Promise<void> => {
    const old = server;
    server = undefined;
    if (old === undefined) return;
    await new Promise<void>((resolve) => {
      old.close(() => resolve());
      old.closeAllConnections();
    });
  };
  const calm = (): void => {
    weather = { kinds: [], share: 0 };
    for (const response of hanging) response.destroy();
    hanging.clear();
  };

  await up();
  return {
    port,
    storm: (kinds, share) => void (weather = { kinds, share }),
    calm,
    down,
    up,
    struck: () => struck,
    async close() {
      calm();
      await down();
      agent.destroy();
    },
  };
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function refuse(response: ServerResponse, draw: number): void {
  const status = [500, 502, 503, 504][Math.floor(draw * 4)] ?? 500;
  response.writeHead(status, { 'content-type': 'text/html' }).end('<html><h1>the gateway has no answer</h1></html>');
}
