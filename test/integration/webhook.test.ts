// Promises webhooks over real sockets: deliveries as a real Forgejo sent them are taken by their signature alone and wake the poll of their
// forge; everything else is refused, counted, and costs neither memory nor the log.

import { createHmac } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serveHttp, type AppOptions, type Serving } from '../../src/http/app.ts';
import { problemSchema } from '../../src/http/wire.ts';
import { createLog } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { anApi, reconcilingOf, withSecretFile } from '../support/api.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { busy, settings } from '../support/snapshot-fixture.ts';

type Delivery = { readonly headers: Readonly<Record<string, string>>; readonly text: string };

const secret = 'webhook-secret-0123456789';
let remove: () => Promise<void>;
let secretFile: string;
let kicked: string[];
let lines: string[];
let clock: TestClock;
const open: Serving[] = [];

beforeEach(async () => {
  ({ file: secretFile, remove } = await withSecretFile(secret));
  [kicked, lines, clock] = [[], [], createTestClock()];
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.close()));
  await remove();
});

async function serve(over: Partial<AppOptions> = {}): Promise<string> {
  const log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } });
  const forges = [
    { name: 'forge', pollIntervalMs: 1_000, webhook: { secretFile, pollIntervalMs: 30_000 } },
    { name: 'plain', pollIntervalMs: 1_000 },
  ];
  const reconciler = reconcilingOf(() => busy, { kick: (forge) => void kicked.push(forge) });
  const app = anApi({ reconciler, settings: () => ({ ...settings, forges }), log, clock, ...over });
  const serving = await serveHttp({ app, host: '127.0.0.1', port: 0 });
  open.push(serving);
  return serving.url;
}

/** What a real Forgejo 16 sent; its secret was a shorter one. */
async function recorded(name: string): Promise<Delivery> {
  const all = JSON.parse(await readFile(new URL('../support/recorded/webhook.json', import.meta.url), 'utf8'));
  const found = all.find((exchange: { readonly name: string }) => exchange.name === name);
  return { headers: found.request.headers, text: found.request.body.text };
}

const sign = (text: string, key = secret): string => createHmac('sha256', key).update(text).digest('hex');
const deliver = (url: string, text: string, headers: Readonly<Record<string, string>>, forge = 'forge'): Promise<Response> =>
  fetch(`${url}/webhook/${forge}`, { method: 'POST', body: text, headers: { 'content-type': 'application/json', ...headers } });
const codeOf = async (response: Response): Promise<string> => problemSchema.parse(await response.json()).code;
const body = '{"ref":"refs/heads/main"}';

describe('a delivery', () => {
  test('as Forgejo sends it, with its own headers and its own sum, wakes the poll of its forge', async () => {
    await writeFile(secretFile, 's3cret-s3cret-s3cret');
    const { headers, text } = await recorded('webhook-delivery-push');
    // That the sum is made as Forgejo makes it is shown with the secret of the recording.
    expect(headers['x-forgejo-signature']).toBe(sign(text, 's3cret'));
    const { host: _, 'content-length': __, 'accept-encoding': ___, ...sent } = headers;
    const own = sign(text, 's3cret-s3cret-s3cret');
    const url = await serve();
    const response = await deliver(url, text, {
      ...sent,
      'x-forgejo-signature': own,
      'x-gitea-signature': own,
      'x-hub-signature-256': `sha256=${own}`,
    });
    expect([response.status, await response.text(), kicked]).toEqual([204, '', ['forge']]);
    expect(lines).toEqual([]);
  });

  test.each([
    ['x-forgejo-signature', (sum: string) => sum],
    ['x-gitea-signature', (sum: string) => sum],
    ['x-hub-signature-256', (sum: string) => `sha256=${sum}`],
    ['x-forgejo-signature', (sum: string) => sum.toUpperCase()],
  ])('is taken by %s', async (name, write) => {
    expect((await deliver(await serve(), body, { [name]: write(sign(body)) })).status).toBe(204);
    expect(kicked).toEqual(['forge']);
  });

  test.each([
    ['of another secret', (text: string) => sign(text, 'another-secret-0123456789'), 'SIGNATURE_WRONG'],
    ['of another text', (text: string) => sign(`${text} `), 'SIGNATURE_WRONG'],
    ['that is the secret itself', () => secret, 'SIGNATURE_MISSING'],
    ['that is empty, as without a secret', () => '', 'SIGNATURE_MISSING'],
    ['that is cut', (text: string) => sign(text).slice(0, 63), 'SIGNATURE_MISSING'],
  ])('with a signature %s is 401, counted and logged, and wakes nothing', async (_, signatureOf, code) => {
    const metrics = createMetrics({ now: () => 0, perRepository: false });
    const url = await serve({
      metering: {
        render: () => Promise.resolve({ type: 'text/plain', text: '' }),
        requestAnswered: (route, status) => metrics.requestAnswered(route, status),
      },
    });
    const response = await deliver(url, body, { 'x-forgejo-signature': signatureOf(body) });
    expect([response.status, await codeOf(response), kicked]).toEqual([401, code, []]);
    const { text } = await metrics.render(busy, clock);
    expect(text).toContain('http_requests_total{route="/webhook/:forge",code="401"} 1');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { event: 'webhook', level: 'warn', forge: 'forge', by: '127.0.0.1', code, status: 401 },
    ]);
    expect(lines.join('\n')).not.toContain(secret);
  });

  test('of a flood of bad ones the log says a few a minute, and how many more there were', async () => {
    const url = await serve();
    for (let index = 0; index < 20; index += 1) await (await deliver(url, body, {})).text();
    clock.advance(60_000);
    await deliver(url, body, {});
    expect(lines.map((line) => JSON.parse(line)).map(({ event, leftOut }) => [event, leftOut])).toEqual([
      ...Array.from({ length: 5 }, () => ['webhook', undefined]),
      ['http', 15],
      ['webhook', undefined],
    ]);
  });

  test('that is cut off is no bug of this service: one warning, and no more of a flood than of other bad ones', async () => {
    const answered: number[] = [];
    const url = await serve({
      metering: {
        render: () => Promise.resolve({ type: 'text/plain', text: '' }),
        requestAnswered: (_, status) => void answered.push(status),
      },
    });
    for (let index = 0; index < 20; index += 1)
      await new Promise<void>((resolve) => {
        const headers = { 'content-type': 'application/json', 'content-length': '1000', 'x-forgejo-signature': sign(body) };
        const call = request(`${url}/webhook/forge`, { method: 'POST', headers });
        call.on('error', () => undefined).once('close', resolve);
        call.write('{', () => call.destroy());
      });
    await expect.poll(() => answered, { timeout: 10_000 }).toEqual(Array.from({ length: 20 }, () => 400));
    clock.advance(60_000);
    await deliver(url, body, {});
    const told = lines.map((line) => JSON.parse(line)).map(({ level, event, code, leftOut }) => [level, event, code, leftOut]);
    expect(told.slice(0, -1)).toEqual([
      ...Array.from({ length: 5 }, () => ['warn', 'webhook', 'BODY_CUT', undefined]),
      ['warn', 'http', undefined, 15],
    ]);
    expect(kicked).toEqual([]);
  });

  test('a secret that is changed in its file counts at once; one that is too short or gone lets nobody in', async () => {
    const url = await serve();
    await writeFile(secretFile, 'another-secret-0123456789');
    expect((await deliver(url, body, { 'x-forgejo-signature': sign(body) })).status).toBe(401);
    expect((await deliver(url, body, { 'x-forgejo-signature': sign(body, 'another-secret-0123456789') })).status).toBe(204);
    for (const spoil of [() => writeFile(secretFile, 'short'), () => writeFile(secretFile, ''), () => rm(secretFile)]) {
      await spoil();
      const response = await deliver(url, body, { 'x-forgejo-signature': sign(body, 'short') });
      expect([response.status, await codeOf(response)]).toEqual([503, 'TOKEN_FILE_UNUSABLE']);
    }
    expect(kicked).toEqual(['forge']);
  });

  test.each(['plain', 'nobody', '%20', 'forge%2Fx'])('for %s, which has no webhook, there is nothing', async (forge) => {
    const response = await deliver(await serve(), body, { 'x-forgejo-signature': sign(body) }, forge);
    expect([response.status, await codeOf(response), kicked]).toEqual([404, 'NOT_FOUND', []]);
  });

  test('only POST and only JSON are taken', async () => {
    const url = await serve();
    const get = await fetch(`${url}/webhook/forge`);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
    const form = await deliver(url, 'payload=%7B%7D', {
      'content-type': 'application/x-www-form-urlencoded',
      'x-forgejo-signature': sign('{}'),
    });
    expect([form.status, await codeOf(form)]).toEqual([415, 'CONTENT_TYPE_REFUSED']);
  });

  test('more than eight megabytes are refused, told beforehand or not', async () => {
    const url = await serve();
    const told = await deliver(url, 'x'.repeat(8 * 1024 * 1024 + 1), { 'x-forgejo-signature': sign('x') }).then(
      (response) => response.status,
      // Refused unread: the connection may be gone before all was sent.
      () => 413,
    );
    expect(told).toBe(413);
    const status = await new Promise<number>((resolve) => {
      const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked', 'x-forgejo-signature': sign('x') };
      const call = request(`${url}/webhook/forge`, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      call.on('error', () => resolve(413));
      const chunk = Buffer.alloc(1024 * 1024);
      for (let index = 0; index < 9; index += 1) call.write(chunk);
      call.end();
    });
    expect([status, kicked]).toEqual([413, []]);
  });
});

describe('where deliveries come from', () => {
  test('through a proxy that asks for a loopback name, below a base path', async () => {
    const url = await serve({ basePath: '/runners' });
    const response = await fetch(`${url}/runners/webhook/forge`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', 'x-forwarded-host': 'ci.example.org', 'x-forgejo-signature': sign(body) },
    });
    expect([response.status, kicked]).toEqual([204, ['forge']]);
  });

  test('bound to a network a delivery needs its signature and no token, while all the rest needs the token', async () => {
    const url = await serve({ host: '0.0.0.0' });
    expect((await deliver(url, body, { 'x-forgejo-signature': sign(body) })).status).toBe(204);
    expect((await deliver(url, body, {})).status).toBe(401);
    expect((await fetch(`${url}/status`)).status).toBe(403);
  });

  test('over the socket of root there is none', async () => {
    const app = anApi({ host: 'socket' });
    expect((await app.request('/webhook/forge', { method: 'POST' })).status).toBe(404);
  });
});
