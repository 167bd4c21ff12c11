// Promises how the Forgejo adapter behaves towards a slow, broken, busy or endless server: bounded in time, size and number of tries, and
// always with an error that says what happened.

import { expect, test } from 'vitest';
import { forgejoUnderTest, jobRow, refusalFrom, wholeTextOf } from '../support/forgejo-under-test.ts';
import type { Script, Scripted } from '../support/scripted-server.ts';

const good: Scripted = { status: 200, json: [jobRow(1)] };
/** These answers in turn; the last one for ever. */
const inTurn =
  (...answers: readonly Scripted[]): Script =>
  (_, nth) =>
    answers[Math.min(nth, answers.length) - 1] ?? good;

test.each<[string, Scripted]>([
  ['502', { status: 502 }],
  ['503', { status: 503 }],
  ['504', { status: 504, text: '<html>gateway time-out</html>' }],
  ['a dropped connection', { kind: 'reset' }],
  ['a cut body', { kind: 'cut', text: '[{"id":1' }],
])('a read is tried again after %s', async (_, bad) => {
  const { forge, server, pauses, lines } = await forgejoUnderTest(inTurn(bad, bad, good));
  await expect(forge.jobs()).resolves.toHaveLength(1);
  expect(server.heard).toHaveLength(3);
  expect(pauses).toEqual([100, 200]);
  expect(lines.filter((line) => line.startsWith('["retry"'))).toHaveLength(2);
});

test('tries are bounded, and the last error is the one that is told', async () => {
  const { forge, server } = await forgejoUnderTest(() => ({ status: 503 }));
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_UNREACHABLE', details: { status: 503, method: 'GET' } });
  expect(server.heard).toHaveLength(3);
});

test('the pause between tries is anything between nothing and a bound that doubles up to a cap', async () => {
  const limits = { tries: 6, pauseMs: 200, pauseMaxMs: 1000 };
  const least = await forgejoUnderTest(() => ({ status: 503 }), { limits, random: () => 0 });
  await refusalFrom(least.forge.jobs());
  expect(least.pauses).toEqual([0, 0, 0, 0, 0]);
  const most = await forgejoUnderTest(() => ({ status: 503 }), { limits, random: () => 1 });
  await refusalFrom(most.forge.jobs());
  expect(most.pauses).toEqual([200, 400, 800, 1000, 1000]);
});

test.each([400, 401, 403, 404, 409, 422, 500, 501])('a read is not tried again after %i', async (status) => {
  const { forge, server } = await forgejoUnderTest(() => ({ status, json: { message: 'no' } }));
  await refusalFrom(forge.jobs());
  expect(server.heard).toHaveLength(1);
});

test('a deletion is tried once', async () => {
  const { forge, server } = await forgejoUnderTest(() => ({ status: 503 }));
  await expect(refusalFrom(forge.unregister(1))).resolves.toMatchObject({ code: 'FORGE_UNREACHABLE' });
  expect(server.heard).toHaveLength(1);
});

test('a server that is not there is unreachable', async () => {
  const { forge, server } = await forgejoUnderTest(() => good);
  await server.close();
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_UNREACHABLE', message: expect.stringContaining('ECONNREFUSED') });
});

test('a short Retry-After is obeyed to the letter', async () => {
  const { forge, pauses } = await forgejoUnderTest(inTurn({ status: 429, headers: { 'retry-after': '2' } }, good));
  await expect(forge.jobs()).resolves.toHaveLength(1);
  expect(pauses).toEqual([2000]);
});

const now = Date.parse('Sat, 21 Nov 2026 10:00:00 GMT');
test.each<[string, number, Readonly<Record<string, string>>, number]>([
  ['429 for a minute', 429, { 'retry-after': '60' }, 60_000],
  ['503 for a minute', 503, { 'retry-after': '60' }, 60_000],
  ['429 until a date', 429, { 'retry-after': 'Sat, 21 Nov 2026 10:05:00 GMT' }, 300_000],
  ['429 for no stated time', 429, {}, 30_000],
  ['429 until something unreadable', 429, { 'retry-after': 'soon' }, 30_000],
  ['429 for years', 429, { 'retry-after': '999999999' }, 3_600_000],
])('%s is handed on as throttled, with the time', async (_, status, headers, retryAfterMs) => {
  const { forge, server, pauses } = await forgejoUnderTest(() => ({ status, headers }), { now });
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_THROTTLED', details: { retryAfterMs, status } });
  expect(server.heard).toHaveLength(1);
  expect(pauses).toEqual([]);
});

test('a server that asks for short waits without end is throttled after the last try', async () => {
  const { forge, server } = await forgejoUnderTest(() => ({ status: 429, headers: { 'retry-after': '1' } }));
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: 'FORGE_THROTTLED', details: { retryAfterMs: 1000 } });
  expect(server.heard).toHaveLength(3);
});

test.each<[string, Scripted]>([
  ['never answers', { kind: 'silence' }],
  ['stops in the middle of a body', { kind: 'stall', text: '[' }],
])('a server that %s is given up when the whole call has had its time', async (_, reply) => {
  const { forge, server } = await forgejoUnderTest(() => reply, { limits: { callMs: 60 } });
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_UNREACHABLE', message: expect.stringContaining('60 ms'), details: { cancelled: false } });
  expect(server.heard).toHaveLength(1);
});

test.each<[string, Scripted, object, string]>([
  ['headers', { kind: 'silence' }, { headersMs: 50 }, 'UND_ERR_HEADERS_TIMEOUT'],
  ['the next piece of a body', { kind: 'stall', text: '[' }, { bodyMs: 50 }, 'UND_ERR_BODY_TIMEOUT'],
])('waiting for %s has a bound of its own, and a slow server is not asked again', async (_, reply, limits, errno) => {
  const { forge, server } = await forgejoUnderTest(() => reply, { limits });
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: 'FORGE_UNREACHABLE', details: { errno } });
  expect(server.heard).toHaveLength(1);
});

test('a caller who gives up is heard at once, also between tries', async () => {
  const before = await forgejoUnderTest(() => good);
  await expect(refusalFrom(before.forge.jobs(AbortSignal.abort()))).resolves.toMatchObject({ details: { cancelled: true } });
  expect(before.server.heard).toHaveLength(0);

  const during = new AbortController();
  const hanging = await forgejoUnderTest(() => {
    during.abort();
    return { kind: 'silence' };
  });
  await expect(refusalFrom(hanging.forge.jobs(during.signal))).resolves.toMatchObject({ details: { cancelled: true } });

  const between = new AbortController();
  const pausing = await forgejoUnderTest(() => ({ status: 503 }), { onPause: () => between.abort() });
  await expect(refusalFrom(pausing.forge.jobs(between.signal))).resolves.toMatchObject({ details: { cancelled: true } });
  expect(pausing.server.heard).toHaveLength(1);
});

test('a body without end is dropped at the cap of 1 MiB', async () => {
  const { forge } = await forgejoUnderTest(() => ({ kind: 'endless', status: 200, text: ' '.repeat(100_000) }));
  const error = await refusalFrom(forge.registration(1));
  expect(error).toMatchObject({ code: 'FORGE_INCOMPATIBLE', details: { maxBytes: 1024 * 1024 } });
});

test('a list may be far larger than that', async () => {
  const rows = Array.from({ length: 10_000 }, (_, index) => jobRow(index + 1, { name: 'n'.repeat(200) }));
  const { forge } = await forgejoUnderTest(() => ({ status: 200, json: rows }));
  await expect(forge.jobs()).resolves.toHaveLength(10_000);
});

test('a refusal with a body without end is still told by its status', async () => {
  const { forge } = await forgejoUnderTest(() => ({ kind: 'endless', status: 403, text: 'no '.repeat(10_000) }));
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: 'FORGE_UNAUTHORIZED', details: { status: 403 } });
});

test('a sign-in page instead of JSON is named as such', async () => {
  const { forge } = await forgejoUnderTest(() => ({ status: 200, text: '<html>Sign in</html>', headers: { 'content-type': 'text/html' } }));
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_INCOMPATIBLE', message: expect.stringContaining('text/html instead of JSON') });
});

test('damaged JSON is no answer, and is not quoted', async () => {
  const { forge } = await forgejoUnderTest(() => ({
    status: 200,
    text: '[{"id":1,"handle":"confidential',
    headers: { 'content-type': 'application/json' },
  }));
  const error = await refusalFrom(forge.jobs());
  expect(error.code).toBe('FORGE_UNREACHABLE');
  expect(wholeTextOf(error)).not.toContain('confidential');
});

test('a redirect is an error that names the new place without its query', async () => {
  const location = 'https://user:pass@new.example.org/git/api/v1/x?token=1';
  const { forge } = await forgejoUnderTest(() => ({ status: 301, headers: { location } }));
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_INCOMPATIBLE', details: { status: 301, location: 'https://new.example.org/git/api/v1/x' } });
  expect(error.message).not.toContain('pass');
});

test('a redirect to nowhere is an error too', async () => {
  const { forge } = await forgejoUnderTest(() => ({ status: 302 }));
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
});

test('one connection serves one poll after the other', async () => {
  const { forge, server } = await forgejoUnderTest(() => good);
  for (let poll = 0; poll < 5; poll += 1) await forge.jobs();
  expect(new Set(server.heard.map(({ connection }) => connection)).size).toBe(1);
});

test('after close every call is refused, and closing twice is fine', async () => {
  const { forge } = await forgejoUnderTest(() => good);
  await forge.close();
  await forge.close();
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: 'FORGE_UNREACHABLE' });
});

test('every try is told to whoever counts, with the status of its answer', async () => {
  const { forge, answers } = await forgejoUnderTest(inTurn({ status: 503 }, { kind: 'reset' }, good));
  await forge.jobs();
  await refusalFrom(forge.unregister(7));
  expect(answers).toEqual(['home list-jobs 503', 'home list-jobs none', 'home list-jobs 200', 'home unregister 200']);
});
