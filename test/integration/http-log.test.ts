// The console of a machine over the API: plain text, followed on a real socket, refused in a sentence.

import { expect, test } from 'vitest';
import { serveHttp, type AppOptions } from '../../src/http/app.ts';
import { anApi } from '../support/api.ts';

const path = '/api/v1/runners/j0000001abc/log';

function logsOf(text: string) {
  const asked: (readonly [string, boolean])[] = [];
  const logs: AppOptions['logs'] = {
    open(id, following) {
      asked.push([id, following]);
      return Promise.resolve(following ? { stream: new Blob([text]).stream() } : { text });
    },
  };
  return { asked, logs };
}

test('is plain text, control characters and all, and nothing in it is taken for a page', async () => {
  const { asked, logs } = logsOf('\u001b[31mlast words\n<script>\n');
  const answer = await anApi({ logs }).request(path);
  expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
    200,
    'text/plain; charset=utf-8',
    '\u001b[31mlast words\n<script>\n',
  ]);
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  expect(asked).toEqual([['j0000001abc', false]]);
});

test('is followed on a real socket when that is asked for, and a mere look at the head follows nothing', async ({ onTestFinished }) => {
  const { asked, logs } = logsOf('one\ntwo\n');
  const serving = await serveHttp({ app: anApi({ logs }), host: '127.0.0.1', port: 0 });
  onTestFinished(() => serving.close());
  const answer = await fetch(`${serving.url}${path}?follow=true`);
  expect(await answer.text()).toBe('one\ntwo\n');
  expect((await fetch(`${serving.url}${path}?follow=true`, { method: 'HEAD' })).status).toBe(200);
  expect(asked.map(([, following]) => following)).toEqual([true, false]);
});

test.each([
  ['unknown', '', 404, 'NOT_FOUND', 'none is kept'],
  ['too-many', '?follow=true', 503, 'TOO_MANY_FOLLOWERS', 'come again later'],
  ['unknown', '?follow=maybe', 400, 'PARAMETER_INVALID', 'follow'],
] as const)('%s is refused in a sentence: %s %i', async (found, query, status, code, words) => {
  const answer = await anApi({ logs: { open: () => Promise.resolve(found) } }).request(path + query);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([status, 'application/problem+json']);
  expect(await answer.json()).toMatchObject({ code, detail: expect.stringContaining(words) });
});
