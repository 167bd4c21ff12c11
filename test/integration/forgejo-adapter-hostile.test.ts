// Promises that no answer of a server, however large, deep, slow or broken, does more than fail its own call: in bounded time and memory,
// with an error of the forge that never shows the token, and the next call works.

import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { leftOutLabel } from '../../src/core/match.ts';
import { forgejoUnderTest, jobRow, refusalFrom, runnerRow, secretToken, uuidOf, wholeTextOf } from '../support/forgejo-under-test.ts';
import type { Scripted } from '../support/scripted-server.ts';

const ok = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';
const raw = (text: string): Scripted => ({ kind: 'raw', text });
const json = (text: string): Scripted => ({ status: 200, text, headers: { 'content-type': 'application/json' } });
const gone = 'HTTP/1.1 204 No Content\r\n\r\n';

const answers: readonly (readonly [string, Scripted])[] = [
  ['JSON nested 100,000 lists deep', json('['.repeat(100_000) + ']'.repeat(100_000))],
  ['JSON nested 100,000 maps deep', json(`[${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}]`)],
  ['a list that is never closed', json('['.repeat(1_000_000))],
  ['a byte order mark', json('\ufeff[]')],
  ['UTF-16', { kind: 'bytes', headers: {}, bytes: Buffer.from('[]', 'utf16le') }],
  ['a number that is none', json(JSON.stringify([jobRow(1)]).replace('"id":1,', '"id":1e400,'))],
  ['a gzip bomb', { kind: 'bytes', headers: { 'content-encoding': 'gzip' }, bytes: gzipSync(Buffer.alloc(50_000_000, ' ')) }],
  ['a header flood', raw(`${ok}${'x-flood: 1\r\n'.repeat(50_000)}\r\n[]`)],
  ['one header of 1 MB', raw(`${ok}x-long: ${'x'.repeat(1_000_000)}\r\n\r\n[]`)],
  ['a length that is no number', raw(`${ok}content-length: 1e9\r\n\r\n[]`)],
  ['a length that no number holds', raw(`${ok}content-length: 99999999999999999999999\r\n\r\n[]`)],
  ['two lengths', raw(`${ok}content-length: 2\r\ncontent-length: 3\r\n\r\n[]x`)],
  ['a length and chunks', raw(`${ok}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n`)],
  ['a chunk of a size that no number holds', raw(`${ok}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n[]`)],
  ['chunks that stop short', raw(`${ok}transfer-encoding: chunked\r\n\r\n5\r\n[]`)],
  ['a protocol that nobody asked for', raw('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n[]')],
  ['hints without end', raw('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(1_000))],
  ['a status that is none', raw('HTTP/1.1 99999 What\r\n\r\n')],
  ['HTTP/2', raw('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')],
  ['another protocol', raw('SSH-2.0-OpenSSH_9.9\r\n')],
  ['a header with a NUL', raw(`${ok}x: a\0b\r\n\r\n[]`)],
  ['nothing with 204', { status: 204 }],
  ['a body with 204', raw(`${gone}[{"id":1}]`)],
  ['a second answer at once', raw(`HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\n{}${ok}content-length: 4\r\n\r\nnull`)],
  ['a redirect to nowhere', { status: 302, headers: { location: 'http://[' } }],
  ['a redirect with a line break', raw('HTTP/1.1 302 Found\r\nlocation: http://a/%0d%0ax: y\r\ncontent-length: 0\r\n\r\n')],
  ['a page of HTML', { status: 200, text: `<html>${secretToken}`, headers: { 'content-type': `text/html; ${secretToken}` } }],
  ['an error that repeats the token in the head', { status: 403, headers: { 'x-token': secretToken }, json: { message: secretToken } }],
  ['a body that trickles for ever', { kind: 'trickle', text: ' ' }],
  ['nothing at all', { kind: 'silence' }],
];

test.each(answers)('%s fails its own call in bounded time, and the next one works', async (_, answer) => {
  let bad = true;
  const { forge, lines } = await forgejoUnderTest(() => (bad ? answer : { status: 200, json: null }), { limits: { callMs: 1_500 } });
  const reads = [forge.jobs(), forge.registrations(), forge.registration(7), forge.registered(7)];
  const own = { id: 7, uuid: uuidOf(7), token: secretToken };
  const calls = [...reads, forge.register('j7', 'ours'), forge.reportFailure(own, 9, ['it died']), forge.withhold(own)];
  for (const error of await Promise.all(calls.map(async (call) => refusalFrom(call)))) {
    expect(error.code).toMatch(/^FORGE_/);
    expect(wholeTextOf(error)).not.toContain(secretToken);
    expect(error.message.length).toBeLessThan(1_500);
    expect(error.message).not.toMatch(/\p{Cc}/u);
  }
  bad = false;
  await expect(forge.jobs()).resolves.toEqual([]);
  expect(lines.join('')).not.toContain(secretToken);
});

test.each([
  ['hints before the answer', `${'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(3)}${ok}content-length: 4\r\n\r\nnull`],
  ['a chunk extension of 1 MB', `${ok}transfer-encoding: chunked\r\n\r\n2;${'x'.repeat(1_000_000)}\r\n[]\r\n0\r\n\r\n`],
])('%s is passed over, and the answer counts', async (_, text) => {
  const { forge } = await forgejoUnderTest(() => raw(text));
  await expect(forge.jobs()).resolves.toEqual([]);
});

test('100 MB of rows that only a workflow could have made are sieved, not refused: the good job among them is served', async () => {
  const labels = Array.from({ length: 100_000 }, (_, index) => `label-${index}`);
  const rows = Array.from({ length: 100 }, (_, index) => jobRow(index + 2, { runs_on: labels }));
  const text = JSON.stringify([...rows, jobRow(1)]);
  expect(text.length).toBeGreaterThan(100_000_000);
  const { forge } = await forgejoUnderTest(() => json(text));
  const jobs = await forge.jobs();
  expect(jobs[0]).toMatchObject({ id: 1, labels: ['docker'] });
  expect(jobs.slice(1).map((job) => job.labels)).toEqual(rows.map(() => [leftOutLabel]));
});

test.each([
  ['100 MB that are no rows', '1,', 50_000_000],
  ['rows without anything in them', '{},', 5_000_000],
])('%s are dropped at the cap', async (_, row, count) => {
  const { forge } = await forgejoUnderTest(() => json(`[${row.repeat(count)}1]`));
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_INCOMPATIBLE', details: { maxBytes: 32 * 1024 * 1024 } });
});

test('a server that counts more registrations than it has is left after a few questions', async () => {
  const empty = await forgejoUnderTest(() => ({ status: 200, json: [], headers: { 'x-total-count': '49999' } }));
  await expect(refusalFrom(empty.forge.registrations())).resolves.toMatchObject({ code: 'FORGE_UNREACHABLE' });
  expect(empty.server.heard.length).toBeLessThan(6);
  const many = await forgejoUnderTest(({ path }, nth) => ({
    status: 200,
    json: path.includes('page') ? [runnerRow(nth)] : [],
    headers: { 'x-total-count': '999999999' },
  }));
  await expect(refusalFrom(many.forge.registrations())).resolves.toMatchObject({ details: { total: 999_999_999 } });
  expect(many.server.heard).toHaveLength(1);
});
