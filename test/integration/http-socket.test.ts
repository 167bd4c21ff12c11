// Promises the API over a real socket: it listens or says clearly why not, and neither slow nor idle clients hold it up.

import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { isControllerError } from '../../src/errors.ts';
import { serveHttp, type Serving } from '../../src/http/app.ts';
import { statusSchema } from '../../src/http/wire.ts';
import { anApi } from '../support/api.ts';
import { quiet } from '../support/snapshot-fixture.ts';

const open: Serving[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.close()));
});

const app = anApi();

async function serve(host = '127.0.0.1', port = 0, idleMs?: number): Promise<Serving> {
  const serving = await serveHttp({ app, host, port, ...(idleMs === undefined ? {} : { idleMs }) });
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
  ['a method that is none', 'BREW /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 400],
  ['a method in small letters', 'get /status HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
  ['a path upwards', 'GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 404],
  ['a path upwards in disguise', 'GET /status/%2e%2e/%2e%2e/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 404],
  ['a path with a broken escape', 'GET /%zz%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', 404],
  ['a path of 15 KB', `GET /${'x'.repeat(15_000)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, 404],
  ['a target that is a port', 'CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n', undefined],
  ['a target that is a star', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', undefined],
  ['two Host headers', 'GET /status HTTP/1.1\r\nHost: localhost\r\nHost: evil.example.org\r\nConnection: close\r\n\r\n', undefined],
  ['a Host of 10 KB', `GET /status HTTP/1.1\r\nHost: ${'a'.repeat(10_000)}\r\nConnection: close\r\n\r\n`, 421],
  ['a Host with a user', 'GET /status HTTP/1.1\r\nHost: localhost@evil.example.org\r\nConnection: close\r\n\r\n', undefined],
  ['a body of two lengths', 'POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
  [
    'a body of a length and chunks',
    'POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    400,
  ],
  [
    'a protocol change',
    'GET /status HTTP/1.1\r\nHost: evil.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n',
    undefined,
  ],
  ['HTTP/2 at once', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['a TLS greeting', '\u0016\u0003\u0001\u0002\0\u0001\0\u0001', 400],
  ['2,000 headers', `GET /status HTTP/1.1\r\nHost: evil.example.org\r\n${'a: b\r\n'.repeat(2_000)}\r\n`, undefined],
  ['a header with a bare line feed', 'GET /status HTTP/1.1\r\nHost: evil.example.org\nX: y\r\n\r\n', undefined],
])('%s is answered with an error that shows nothing', async (_, text, status) => {
  const { url } = await serve();
  const reply = await raw(url, text);
  // Where no status is named, the parser may also just hang up.
  expect(reply).toMatch(status === undefined ? /^(?:HTTP\/1\.1 [345]|$)/ : new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(reply).not.toContain('ci-1');
  expect((await fetch(`${url}/health`)).headers.get('content-type')).toBe('application/json');
});

test('rubbish after a good request costs its own connection and no other', async () => {
  const { url } = await serve();
  const reply = await raw(url, `GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n${'\0garbage\r\n'.repeat(1_000)}`);
  expect(reply).toMatch(/^HTTP\/1\.1 (?:200|400) /);
  expect((await fetch(`${url}/status`)).status).toBe(200);
});

test('who asks without end and never reads is let go, and holds nobody up', async () => {
  const { url } = await serve('127.0.0.1', 0, 100);
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
  });
  socket.write('GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(2_000));
  // Only who writes learns that the other side has gone without reading.
  const knock = setInterval(() => socket.write('G'), 20);
  await closed;
  clearInterval(knock);
  expect((await fetch(`${url}/status`)).status).toBe(200);
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
