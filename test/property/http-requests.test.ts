// Promises that no request that anybody can make up, with the token or without, is answered with an error of ours. Over a real socket.

import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Serving } from '../../src/http/app.ts';
import { routes } from '../../src/http/routes.ts';
import { serveAnApi, token } from '../support/api.ts';
import { rememberingLog } from '../support/snapshot-fixture.ts';

const log = rememberingLog();
let serving: Serving;
beforeAll(async () => {
  serving = await serveAnApi({ log });
});
afterAll(() => serving.close());

async function ask(method: string, path: string, headers: Readonly<Record<string, string>>): Promise<{ status: number; text: string }> {
  const { port } = new URL(serving.url);
  const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  const [response] = (await once(sent.end(), 'response')) as [IncomingMessage];
  if (response.headers['content-type'] === 'text/event-stream') {
    sent.destroy();
    return { status: response.statusCode ?? 0, text: '{}' };
  }
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += String(part);
  return { status: response.statusCode ?? 0, text };
}

test('no request is answered with a 500, every answer is JSON, and none is a bug in the log', async () => {
  const names = ['limit', 'state', 'job', 'labels', 'after', 'dry_run', '__proto__', 'constructor'];
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('', '0', '-1', '1e9', 'done', 'NaN', '%', ' ', 'a,b,,'),
  );
  const word = text.map((value) => encodeURIComponent(value.toWellFormed()));
  const raw = fc.stringMatching(/^[!-~]{0,40}$/);
  const known = fc.constantFrom(...Object.values(routes).map(({ path }) => path.replace('{id}', 'j0000041abc')));
  const path = fc.oneof(
    known,
    fc.tuple(known, word).map(([known, more]) => `${known}/${more}`),
    word.map((id) => `/api/v1/runners/${id}/stop`),
    raw.map((tail) => `/${tail}`),
  );
  const query = fc.oneof(
    fc.constant(''),
    raw.map((tail) => `?${tail}`),
    fc
      .array(fc.tuple(fc.oneof(fc.constantFrom(...names), word), word), { maxLength: 3 })
      .map((pairs) => `?${pairs.map((pair) => pair.join('=')).join('&')}`),
  );
  const value = fc.stringMatching(/^[ -~]{0,60}$/);
  const headers = fc.dictionary(
    fc.constantFrom(
      'authorization',
      'origin',
      'last-event-id',
      'accept',
      'x-forwarded-host',
      'sec-fetch-site',
      'range',
      'if-none-match',
      'content-type',
    ),
    fc.oneof(value, fc.constant(`Bearer ${token}`)),
  );
  const method = fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'QUERY');
  await fc.assert(
    fc.asyncProperty(method, path, query, headers, async (method, path, query, headers) => {
      const { status, text } = await ask(method, path + query, headers);
      expect([200, 400, 401, 403, 404, 405, 503]).toContain(status);
      if (method !== 'HEAD') expect(() => JSON.parse(text) as unknown).not.toThrow();
    }),
    { numRuns: 400 },
  );
  expect(log.lines.filter(([level]) => level === 'error')).toEqual([]);
});
