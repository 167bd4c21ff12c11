// The page at / as an answer: whole in one text, under a policy that names what is in it and allows nothing else, and refused to whoever reading
// is refused to. What it does in a browser is in test/browser.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { page } from '../../src/page/page.ts';
import { anApi } from '../support/api.ts';

const directivesOf = (policy: string | null): Map<string, string> =>
  new Map((policy ?? '').split('; ').map((directive) => [directive.split(' ')[0] ?? '', directive.slice(directive.indexOf(' ') + 1)]));
const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

test('is one text that needs nothing else, and its policy allows exactly its own script and style', async () => {
  const answer = await anApi({ page }).request('/');
  const html = await answer.text();
  expect([answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([
    200,
    'text/html; charset=utf-8',
    'no-store',
  ]);
  const policy = directivesOf(answer.headers.get('content-security-policy'));
  const scripts = [...html.matchAll(/<script>(.*?)<\/script>/gs)].map(([, text = '']) => text);
  const styles = [...html.matchAll(/<style>(.*?)<\/style>/gs)].map(([, text = '']) => text);
  expect(Object.fromEntries(policy)).toEqual({
    'default-src': "'none'",
    'script-src': scripts.map(hashOf).join(' '),
    'style-src': styles.map(hashOf).join(' '),
    'img-src': 'data:',
    'connect-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'none'",
    'frame-ancestors': "'none'",
    'require-trusted-types-for': "'script'",
    'trusted-types': "'none'",
  });
  expect([scripts.length, styles.length]).toEqual([1, 1]);
  const frame = html.replaceAll(/<(script|style)>.*?<\/\1>/gs, '');
  expect(frame).not.toMatch(/\s(?:on\w+|style|src)\s*=|<(?:base|iframe|object|embed|form[^>]*action)/i);
  expect(html.replaceAll('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:\/\//);
  for (const [name, value] of [
    ['x-frame-options', 'DENY'],
    ['x-content-type-options', 'nosniff'],
    ['referrer-policy', 'no-referrer'],
    ['cross-origin-opener-policy', 'same-origin'],
  ] as const)
    expect(answer.headers.get(name)).toBe(value);
  // What needs no script keeps the policy that allows nothing.
  expect((await anApi({ page }).request('/status')).headers.get('content-security-policy')).toBe(
    "default-src 'none'; frame-ancestors 'none'",
  );
  expect(html.length).toBeLessThan(60_000);
});

test('is read by who may read: any loopback name, no other; from elsewhere with the token alone; nobody sends it anything', async () => {
  const local = anApi({ page });
  expect((await local.request('/', { method: 'HEAD' })).status).toBe(200);
  expect((await local.request('/', { headers: { host: 'evil.example' } })).status).toBe(421);
  const post = await local.request('/', { method: 'POST' });
  expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  expect((await anApi({ page, host: '0.0.0.0' }).request('/')).status).toBe(403);
  expect((await anApi({ page, host: 'socket' }).request('/')).status).toBe(200);
  expect((await anApi().request('/')).status).toBe(404);
});

test('below a base path is there and nowhere else, and is found without its last slash', async () => {
  const app = anApi({ page, basePath: '/ci/runners' });
  expect((await app.request('/ci/runners/')).status).toBe(200);
  const redirect = await app.request('/ci/runners');
  expect(redirect.status).toBe(308);
  // Behind a proxy that calls it something else, too.
  for (const before of ['', '/inner'])
    expect(new URL(redirect.headers.get('location') ?? '', `http://a${before}/ci/runners`).pathname).toBe(`${before}/ci/runners/`);
  for (const path of ['/', '/ci', '/ci/']) expect((await app.request(path)).status).toBe(404);
});
