// Promises the API over a real socket: it listens or says clearly why not, and neither slow nor idle clients hold it up.

import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { isControllerError } from '../../src/errors.ts';
import { createApp, serveHttp, type Serving } from '../../src/http/app.ts';
import { statusSchema } from '../../src/http/wire.ts';
import { busy, fixedClock, quiet, rememberingLog, settings } from '../support/snapshot-fixture.ts';

const open: Serving[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.close()));
});

const app = createApp({ snapshot: () => busy, settings: () => settings, host: '127.0.0.1', clock: fixedClock, log: rememberingLog() });

async function serve(host = '127.0.0.1', port = 0): Promise<Serving> {
  const serving = await serveHttp({ app, host, port });
  open.push(serving);
  return serving;
}

async function raw(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.end(text);
  const parts: Buffer[] = [];
  socket.on('data', (part) => parts.push(part));
  await once(socket, 'close');
  return Buffer.concat(parts).toString();
}

test('port 0 takes a free port, and /status is answered there', async () => {
  const { url } = await serve();
  const response = await fetch(`${url}/status`);
  expect(response.status).toBe(200);
  expect(statusSchema.parse(await response.json()).controller_id).toBe(quiet.controllerId);
});

test('a POST with a body is refused without being read', async () => {
  const { url } = await serve();
  const response = await fetch(`${url}/status`, { method: 'POST', body: 'x'.repeat(100_000) });
  expect(response.status).toBe(405);
});

test('a foreign Host header is refused on loopback', async () => {
  const { url } = await serve();
  expect(await raw(url, 'GET /status HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 421 /);
});

test.each([
  ['no HTTP at all', 'hello\r\n\r\n', 400],
  ['no Host header', 'GET /status HTTP/1.1\r\nConnection: close\r\n\r\n', 400],
  ['a Host header that is none', 'GET /status HTTP/1.1\r\nHost: a b/c\r\nConnection: close\r\n\r\n', 400],
  ['headers without end', `GET /status HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`, 431],
])('%s is answered with an error that shows nothing', async (_, text, status) => {
  const { url } = await serve();
  const reply = await raw(url, text);
  expect(reply).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(reply).not.toContain('ci-1');
});

test('an absolute request target cannot smuggle another Host past the check', async () => {
  const { url } = await serve();
  const reply = await raw(url, 'GET http://localhost/status HTTP/1.1\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n');
  expect(reply).toMatch(/^HTTP\/1\.1 421 /);
});

test('a taken port is told by number, with the remedy', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const error: unknown = await serve('127.0.0.1', port).catch((reason: unknown) => reason);
  expect(isControllerError(error, 'CONFIG_INVALID')).toBe(true);
  expect(String(error)).toContain(
    `127.0.0.1:${port} is in use, perhaps by another copy of this service: stop what uses it, or set http.port`,
  );
  other.close();
});

test('an address that is not of this host is told', async () => {
  await expect(serve('192.0.2.1')).rejects.toThrow('is no address of this host');
});

test('close does not wait for a client that keeps its connection, and may be called twice', async () => {
  const serving = await serve();
  const agent = new Agent({ keepAlive: true });
  const [response] = (await once(request(`${serving.url}/health`, { agent }).end(), 'response')) as [IncomingMessage];
  response.resume();
  await once(response, 'end');
  await Promise.all([serving.close(), serving.close()]);
  await expect(fetch(`${serving.url}/health`)).rejects.toThrow('fetch failed');
  agent.destroy();
});

test('close does not wait for a client that never finishes its request', async () => {
  const serving = await serve();
  const socket = connect(Number(new URL(serving.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET /status HTTP/1.1\r\nHost: local');
  await once(socket, 'connect');
  await serving.close();
  socket.destroy();
  await expect(fetch(`${serving.url}/health`)).rejects.toThrow('fetch failed');
});
