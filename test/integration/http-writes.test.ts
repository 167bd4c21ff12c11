// Promises who may change anything by the API, and what then happens: the token or the socket, one line of the log for each order and for each
// refusal, no page of another site, no body. Over real sockets.

import { once } from 'node:events';
import { chmod, link, lstat, rm, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLog, createRedactor, type Log } from '../../src/log.ts';
import { serveHttp, serveSocket, type AppOptions, type Serving } from '../../src/http/app.ts';
import { orderSchema, sweepSchema } from '../../src/http/wire-v1.ts';
import { problemSchema } from '../../src/http/wire.ts';
import { anApi, previewed, reconcilingOf, token, withSecretFile } from '../support/api.ts';
import { busy, quiet } from '../support/snapshot-fixture.ts';

let folder: string;
let tokenFile: string;
let remove: () => Promise<void>;
let asked: unknown[][];
let lines: string[];
let log: Log;
const open: Serving[] = [];

beforeEach(async () => {
  ({ folder, file: tokenFile, remove } = await withSecretFile());
  asked = [];
  lines = [];
  log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) }, redactor: createRedactor() });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.close()));
  await remove();
});

const reconciler = reconcilingOf(() => ({ ...busy, host: quiet.host }), {
  drain: (...args) => asked.push(['drain', ...args]) < 2,
  stop: (...args) => asked.push(['stop', ...args]) < 2,
  wake: (...args) => void asked.push(['wake', ...args]),
  maintain: () => void asked.push(['maintain']),
  preview(registrations) {
    asked.push(['preview', registrations]);
    return Promise.resolve(previewed);
  },
});

async function serve(over: Partial<AppOptions> = {}): Promise<string> {
  const serving = await serveHttp({ app: anApi({ reconciler, log, tokenFile, ...over }), host: '127.0.0.1', port: 0 });
  open.push(serving);
  return serving.url;
}

async function serveOn(path: string): Promise<Serving> {
  const serving = await serveSocket({ app: anApi({ reconciler, log, host: 'socket' }), path });
  open.push(serving);
  return serving;
}

const post = (url: string, headers: Readonly<Record<string, string>> = { authorization: `Bearer ${token}` }): Promise<Response> =>
  fetch(url, { method: 'POST', headers });
const linesOf = (event: string): Record<string, unknown>[] =>
  lines.map((line) => JSON.parse(line) as Record<string, unknown>).filter((line) => line['event'] === event);

async function overSocket(socketPath: string, method: string, path: string): Promise<{ readonly status: number; readonly json: unknown }> {
  const [response] = (await once(request({ socketPath, method, path, agent: false }).end(), 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += String(part);
  return { status: response.statusCode ?? 0, json: JSON.parse(text) };
}

async function problemOf(response: Response): Promise<readonly [number, string]> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  return [response.status, problemSchema.parse(await response.json()).code];
}

const writes = ['/api/v1/drain', '/api/v1/resume', '/api/v1/poll', '/api/v1/runners/j0000041abc/stop', '/api/v1/sweep?dry_run=false'];

describe('with the token', () => {
  test('drain and resume say who asked, and whether it was so already', async () => {
    const url = await serve();
    const drained = await post(`${url}/api/v1/drain`);
    expect(drained.status).toBe(200);
    expect(orderSchema.strict().parse(await drained.json())).toMatchObject({ changed: true, draining: true });
    const resumed = orderSchema.parse(await (await post(`${url}/api/v1/resume`)).json());
    expect(resumed).toMatchObject({ changed: false, sentence: 'it does not drain' });
    expect(asked).toEqual([
      ['drain', true, 'operator (http 127.0.0.1)'],
      ['drain', false, 'operator (http 127.0.0.1)'],
    ]);
  });

  test('a poll is one line of the log, and asks every forge', async () => {
    const url = await serve();
    expect((await post(`${url}/api/v1/poll`)).status).toBe(200);
    expect(asked).toEqual([['wake', true]]);
    expect(linesOf('order')).toMatchObject([{ level: 'info', by: 'operator (http 127.0.0.1)', order: 'poll' }]);
  });

  test('a stop is one line of the log with runner and job; asked again it changes nothing; of no runner it is 404', async () => {
    const url = await serve();
    const at = `${url}/api/v1/runners/j0000041abc/stop`;
    expect(await (await post(at)).json()).toMatchObject({ changed: true });
    expect(await (await post(at)).json()).toMatchObject({ changed: false });
    expect(await problemOf(await post(`${url}/api/v1/runners/j0000099abc/stop`))).toEqual([404, 'NOT_FOUND']);
    expect(asked).toEqual([
      ['stop', 'j0000041abc'],
      ['stop', 'j0000041abc'],
    ]);
    expect(linesOf('order')).toMatchObject([
      { by: 'operator (http 127.0.0.1)', order: 'stop', runner: 'j0000041abc', forge: 'forge', job: 41 },
    ]);
  });

  test('a sweep only tells, unless dry_run=false', async () => {
    const url = await serve();
    const told = sweepSchema.strict().parse(await (await post(`${url}/api/v1/sweep`)).json());
    expect(told).toMatchObject({
      dry_run: true,
      sweep: [{ kind: 'sweep-machine', id: 'j0000053abc' }],
      leftovers: [{ kind: 'interface' }],
    });
    expect(asked).toEqual([['preview', true]]);
    expect(linesOf('order')).toEqual([]);
    expect(sweepSchema.parse(await (await post(`${url}/api/v1/sweep?dry_run=false`)).json())).toMatchObject({ dry_run: false });
    expect(asked.slice(1)).toEqual([['preview', true], ['maintain']]);
    expect(linesOf('order')).toMatchObject([{ order: 'sweep', seen: 1 }]);
    expect(await problemOf(await post(`${url}/api/v1/sweep?dry_run=no`))).toEqual([400, 'PARAMETER_INVALID']);
  });

  test('the file is read at each use: a new token counts at once, the old one no more', async () => {
    const url = await serve();
    await writeFile(tokenFile, 'another-token-0123456789');
    expect((await post(`${url}/api/v1/poll`)).status).toBe(401);
    expect((await post(`${url}/api/v1/poll`, { authorization: 'bearer another-token-0123456789' })).status).toBe(200);
  });
});

describe('without it', () => {
  test.each(writes)('POST %s is 401 without a token and with a wrong one, does nothing, and is logged and counted', async (path) => {
    const url = await serve();
    const bare = await post(url + path, {});
    expect(bare.headers.get('www-authenticate')).toBe('Bearer realm="forgejo-runner-controller"');
    expect(await problemOf(bare)).toEqual([401, 'TOKEN_MISSING']);
    for (const authorization of [`Bearer ${token}x`, `Bearer ${token.slice(1)}`])
      expect(await problemOf(await post(url + path, { authorization }))).toEqual([401, 'TOKEN_WRONG']);
    for (const authorization of ['Bearer', 'Bearer  ', `Basic ${token}`, token, `Bearer ${token} ${token}`, `Bearer ${'x'.repeat(5_000)}`])
      expect(await problemOf(await post(url + path, { authorization }))).toEqual([401, 'TOKEN_MISSING']);
    expect(asked).toEqual([]);
    const told = linesOf('http');
    expect(told.map(({ level, by, refused }) => [level, by, refused])).toEqual(told.map((_, index) => ['warn', '127.0.0.1', index + 1]));
    // All nine are counted; a few a minute of one address are told.
    expect(told).toHaveLength(5);
    expect(told.at(-1)).toMatchObject({ more: 'the rest of this minute is counted only' });
    expect(lines.join('')).not.toContain(token.slice(1));
  });

  test.each(writes)('without a token file POST %s is 403 and says how to allow it', async (path) => {
    const serving = await serveHttp({ app: anApi({ reconciler, log }), host: '127.0.0.1', port: 0 });
    open.push(serving);
    const response = await post(serving.url + path);
    const problem = problemSchema.parse(await response.json());
    expect([response.status, problem.code]).toEqual([403, 'NO_TOKEN_CONFIGURED']);
    expect(problem.detail).toContain('http.tokenFile');
    expect(asked).toEqual([]);
  });

  test.each([
    ['is gone', () => rm(tokenFile).then(() => writeFile(join(folder, 'x'), ''))],
    ['is empty', () => writeFile(tokenFile, '\n')],
    ['holds something short', () => writeFile(tokenFile, 'secret')],
    ['holds a placeholder', () => writeFile(tokenFile, 'PENDING-0123456789abcdef')],
    ['may be written by others', () => chmod(tokenFile, 0o666)],
  ])('a token file that %s lets nobody in, and the log says why', async (_, spoil) => {
    const url = await serve();
    await spoil();
    for (const given of [token, 'secret', 'PENDING-0123456789abcdef'])
      expect(await problemOf(await post(`${url}/api/v1/drain`, { authorization: `Bearer ${given}` }))).toEqual([
        403,
        'TOKEN_FILE_UNUSABLE',
      ]);
    expect(linesOf('http')[0]).toMatchObject({ level: 'error', error: { code: 'STORE_FAILED' } });
    expect(asked).toEqual([]);
  });

  test('I7 the token is in no line of the log and in no answer', async () => {
    const url = await serve();
    const answers = await Promise.all([
      post(`${url}/api/v1/drain`),
      post(`${url}/api/v1/runners/${token}/stop`),
      post(`${url}/api/v1/poll?x=${token}`),
      fetch(`${url}/status`, { headers: { authorization: `Bearer ${token}` } }),
    ]);
    log.warn('http', { path: `/api/v1/runners/${token}` }, token);
    for (const answer of answers) expect(await answer.text()).not.toContain('operator-token');
    expect(lines.join('')).not.toContain('operator-token');
  });
});

describe('pages of other sites, and bodies', () => {
  const good = { authorization: `Bearer ${token}` };
  test.each([
    [{ origin: 'https://evil.example.org' }],
    [{ origin: 'null' }],
    [{ origin: 'http://127.0.0.1:1' }],
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
  ])('%j may change nothing, even with the token', async (headers) => {
    const url = await serve();
    expect(await problemOf(await post(`${url}/api/v1/drain`, { ...good, ...headers }))).toEqual([403, 'ORIGIN_REFUSED']);
    expect(asked).toEqual([]);
  });

  test('our own page may, also behind a proxy that says by which name it was asked', async () => {
    const url = await serve();
    expect((await post(`${url}/api/v1/poll`, { ...good, origin: url, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
    const proxied = { ...good, origin: 'https://ci.example.org', 'x-forwarded-host': 'ci.example.org' };
    expect((await post(`${url}/api/v1/poll`, proxied)).status).toBe(200);
  });

  test('no other site is told that it may: there is no answer for its preflight', async () => {
    const url = await serve();
    const headers = { origin: 'https://evil.example.org', 'access-control-request-method': 'POST' };
    const preflight = await fetch(`${url}/api/v1/drain`, { method: 'OPTIONS', headers });
    expect(preflight.status).toBe(405);
    expect([...preflight.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  test('a body is refused unread', async () => {
    const url = await serve();
    const response = await fetch(`${url}/api/v1/drain`, { method: 'POST', headers: good, body: '{}' });
    expect(await problemOf(response)).toEqual([413, 'BODY_REFUSED']);
    expect(asked).toEqual([]);
  });
});

describe('the socket', () => {
  test('whoever may open it may change things without a token, and only its owner may open it', async () => {
    const path = join(folder, 'api', 'x.sock');
    await serveOn(path);
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
    expect((await lstat(join(folder, 'api'))).mode & 0o777).toBe(0o700);
    expect((await overSocket(path, 'POST', '/api/v1/drain')).json).toMatchObject({ changed: true });
    expect((await overSocket(path, 'GET', '/health')).status).toBe(200);
    expect(asked).toEqual([['drain', true, 'operator (socket)']]);
  });

  test('one that a killed service left is replaced, and its end takes it away', async () => {
    const path = join(folder, 'x.sock');
    const dead = createServer().listen(path);
    await once(dead, 'listening');
    const left = join(folder, 'left.sock');
    // A listener that closes removes its own path: one that was killed does not.
    await link(path, left);
    dead.close();
    await once(dead, 'close');
    const serving = await serveOn(left);
    expect((await overSocket(left, 'GET', '/health')).status).toBe(200);
    await serving.close();
    await expect(lstat(left)).rejects.toThrow('ENOENT');
  });

  test('one that somebody listens to, and a file that is none, are told and stay', async () => {
    const path = join(folder, 'x.sock');
    await serveOn(path);
    await expect(serveOn(path)).rejects.toThrow('is in use by another copy of this service');
    expect((await overSocket(path, 'GET', '/health')).status).toBe(200);
    await expect(serveOn(tokenFile)).rejects.toThrow('is there and is no socket');
    expect((await lstat(tokenFile)).isFile()).toBe(true);
  });
});

describe('bound to an address that others reach', () => {
  const host = '0.0.0.0';
  test('everything needs the token, whatever it is called there', async () => {
    const url = await serve({ host });
    for (const path of ['/health', '/status', '/api/v1/jobs', '/api/v1/events', '/nothing']) {
      expect(await problemOf(await fetch(url + path))).toEqual([401, 'TOKEN_MISSING']);
      const answer = await fetch(url + path, { headers: { authorization: `Bearer ${token}` } });
      expect(answer.status).toBe(path === '/nothing' ? 404 : 200);
      await answer.body?.cancel();
    }
  });

  test('without a token nobody is answered', async () => {
    const serving = await serveHttp({ app: anApi({ reconciler, log, host }), host: '127.0.0.1', port: 0 });
    open.push(serving);
    expect(await problemOf(await fetch(`${serving.url}/status`))).toEqual([403, 'NO_TOKEN_CONFIGURED']);
  });
});

describe('below a base path', () => {
  test('everything is there and nothing elsewhere, and links lead there', async () => {
    const url = await serve({ basePath: '/ci/runners' });
    expect((await fetch(`${url}/ci/runners/health`)).status).toBe(200);
    expect((await post(`${url}/ci/runners/api/v1/poll`)).status).toBe(200);
    expect((await post(`${url}/ci/runners/api/v1/poll`, {})).status).toBe(401);
    expect((await fetch(`${url}/ci/runners/api/v1/drain`)).status).toBe(405);
    expect((await fetch(`${url}/health`)).status).toBe(404);
    const { runners } = (await (await fetch(`${url}/ci/runners/api/v1/runners`)).json()) as { runners: { links: { explain: string } }[] };
    expect((await fetch(url + String(runners[0]?.links.explain))).status).toBe(200);
  });
});
