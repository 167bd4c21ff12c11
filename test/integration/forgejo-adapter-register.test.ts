// Promises what the Forgejo adapter changes: a registration is asked for once, believed when read back, and taken back otherwise.

import { expect, test } from 'vitest';
import { forgejoUnderTest, refusalFrom, runnerRow, uuidOf, wholeTextOf } from '../support/forgejo-under-test.ts';
import type { Script, Scripted } from '../support/scripted-server.ts';

const runners = '/api/v1/repos/acme/demo/actions/runners';
const runnerToken = 'f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0';
const created: Scripted = { status: 201, json: { id: 6, uuid: uuidOf(6), token: runnerToken } };
const gone: Scripted = { status: 404, json: { message: 'runner with ID 6: resource does not exist', url: '' } };

/** Answers by method. */
function byMethod(answers: { readonly POST?: Scripted; readonly GET?: Scripted; readonly DELETE?: Scripted }): Script {
  return ({ method }) => answers[method as 'GET' | 'POST' | 'DELETE'] ?? { status: 500, json: { message: '' } };
}

test('a registration is made once, ephemeral, with its name and mark, and read back', async () => {
  const { forge, server } = await forgejoUnderTest(byMethod({ POST: created, GET: { status: 200, json: runnerRow(6) } }));
  await expect(forge.register('j6', 'ours')).resolves.toEqual({ id: 6, uuid: uuidOf(6), token: runnerToken });
  expect(server.asked()).toEqual([`POST ${runners}`, `GET ${runners}/6`]);
  expect(JSON.parse(server.heard[0]?.body ?? '')).toEqual({ name: 'j6', description: 'ours', ephemeral: true });
});

test.each([
  ['is not ephemeral', { ephemeral: false }, 'not ephemeral'],
  ['does not say whether it is ephemeral', { ephemeral: null }, 'not ephemeral'],
  ['has another name', { name: 'j' }, 'another name'],
  ['has lost our mark', { description: '' }, 'another description'],
  ['has another uuid', { uuid: uuidOf(7) }, 'another one'],
  ['has another id', { id: 7 }, 'another one'],
])('a new registration that %s when read back is deleted and refused', async (_, fields, words) => {
  const script = byMethod({ POST: created, GET: { status: 200, json: runnerRow(6, fields) }, DELETE: { status: 204 } });
  const { forge, server } = await forgejoUnderTest(script);
  const error = await refusalFrom(forge.register('j6', 'ours'));
  expect(error).toMatchObject({ code: 'FORGE_INCOMPATIBLE', message: expect.stringContaining(words) });
  expect(server.asked().at(-1)).toBe(`DELETE ${runners}/6`);
});

test('a new registration that cannot be read back is deleted and refused', async () => {
  const { forge, server } = await forgejoUnderTest(byMethod({ POST: created, GET: gone, DELETE: gone }));
  await expect(refusalFrom(forge.register('j6', 'ours'))).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
  expect(server.asked()).toEqual([`POST ${runners}`, `GET ${runners}/6`, `DELETE ${runners}/6`]);
});

test('a new registration that can be neither read back nor deleted is named in the error', async () => {
  const { forge } = await forgejoUnderTest(byMethod({ POST: created }));
  const error = await refusalFrom(forge.register('j6', 'ours'));
  expect(error).toMatchObject({ code: 'FORGE_UNREACHABLE', details: { registrationId: 6, method: 'GET' } });
});

test('a registration is taken back even when the caller gave up in the middle', async () => {
  const giveUp = new AbortController();
  const { forge, server } = await forgejoUnderTest(({ method }) => {
    if (method === 'GET') giveUp.abort();
    if (method === 'POST') return created;
    return method === 'GET' ? { kind: 'silence' } : { status: 204 };
  });
  const error = await refusalFrom(forge.register('j6', 'ours', giveUp.signal));
  expect(error.details).toMatchObject({ cancelled: true });
  expect(server.asked().at(-1)).toBe(`DELETE ${runners}/6`);
});

test.each<[string, Scripted]>([
  ['a lost reply', { kind: 'reset' }],
  ['a cut reply', { kind: 'cut', text: '{"id":6,' }],
  ['502', { status: 502 }],
  ['503 with Retry-After', { status: 503, headers: { 'retry-after': '1' } }],
  ['429', { status: 429, headers: { 'retry-after': '0' } }],
  ['500', { status: 500, json: { message: '' } }],
])('a registration is never asked for twice: %s rejects at once', async (_, reply) => {
  const { forge, server, pauses } = await forgejoUnderTest(() => reply);
  await expect(refusalFrom(forge.register('j6', 'ours'))).resolves.toMatchObject({ retry: true });
  expect(server.asked()).toEqual([`POST ${runners}`]);
  expect(pauses).toEqual([]);
});

test('200 is no registration: it is what a list looks like after a redirect', async () => {
  const { forge, server } = await forgejoUnderTest(() => ({ status: 200, json: [runnerRow(6)] }));
  await expect(refusalFrom(forge.register('j6', 'ours'))).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
  expect(server.heard).toHaveLength(1);
});

test.each([301, 302, 307, 308])('a registration that is redirected with %i is not followed', async (status) => {
  const location = '/api/v1/repos/new/demo/actions/runners?x=1';
  const { forge, server } = await forgejoUnderTest(() => ({ status, headers: { location } }));
  const error = await refusalFrom(forge.register('j6', 'ours'));
  expect(error).toMatchObject({ code: 'FORGE_INCOMPATIBLE', details: { location: `${server.url}/api/v1/repos/new/demo/actions/runners` } });
  expect(error.message).toContain('put the new URL, owner or repository name into the configuration');
  expect(server.heard).toHaveLength(1);
});

test('a registration that Forgejo finds invalid is refused with its words', async () => {
  const { forge } = await forgejoUnderTest(() => ({ status: 422, json: { message: '[Name]: Required', url: '' } }));
  const error = await refusalFrom(forge.register('', 'ours'));
  expect(error).toMatchObject({ code: 'FORGE_INCOMPATIBLE', message: expect.stringContaining('[Name]: Required') });
});

test.each<[string, Scripted]>([
  ['cut JSON', { status: 201, text: `{"token":"${runnerToken}","uuid":` }],
  ['JSON of another shape', { status: 201, json: { token: runnerToken, uuid: 7 } }],
  ['a token of two lines', { status: 201, json: { id: 6, uuid: uuidOf(6), token: `${runnerToken}\nx` } }],
  ['a token of 1 MB', { status: 201, json: { id: 6, uuid: uuidOf(6), token: runnerToken.repeat(25_000) } }],
  ['no token', { status: 201, json: { id: 6, uuid: uuidOf(6), token: '' } }],
  ['a uuid that is none', { status: 201, json: { id: 6, uuid: '--help', token: runnerToken } }],
  ['a uuid of two lines', { status: 201, json: { id: 6, uuid: `${uuidOf(6)}\n--handle`, token: runnerToken } }],
  ['an id that has lost digits', { status: 201, text: `{"id":1e400,"uuid":"${uuidOf(6)}","token":"${runnerToken}"}` }],
  ['bytes that are no HTTP', { kind: 'raw', text: `HTTP/1.1 201 Created\r\nbad header ${runnerToken}\r\n\r\n` }],
])('an unusable answer to a registration (%s) is refused without a word of it', async (_, reply) => {
  const { forge, lines } = await forgejoUnderTest(() => reply);
  const error = await refusalFrom(forge.register('j6', 'ours'));
  expect(wholeTextOf(error)).not.toContain(runnerToken.slice(0, 8));
  expect(lines.join('')).not.toContain(runnerToken);
});

test.each<[string, Scripted]>([
  ['204', { status: 204 }],
  ['a 404 that says it is gone', gone],
  ['a 404 that says it belongs to another scope', { status: 404, json: { message: 'No permission to delete this runner', url: '' } }],
])('unregister is done after %s', async (_, reply) => {
  const { forge, server } = await forgejoUnderTest(() => reply);
  await expect(forge.unregister(6)).resolves.toBeUndefined();
  expect(server.asked()).toEqual([`DELETE ${runners}/6`]);
});

test.each<[string, Scripted, string]>([
  ['200', { status: 200, json: {} }, 'FORGE_INCOMPATIBLE'],
  ['a redirect', { status: 301, headers: { location: '/' } }, 'FORGE_INCOMPATIBLE'],
  ['the 404 of a proxy', { status: 404, text: 'nothing here' }, 'FORGE_INCOMPATIBLE'],
  ['403', { status: 403, json: { message: 'token does not have' } }, 'FORGE_UNAUTHORIZED'],
  ['500', { status: 500, json: { message: '' } }, 'FORGE_UNREACHABLE'],
  ['a lost reply', { kind: 'reset' }, 'FORGE_UNREACHABLE'],
])('unregister is not done after %s', async (_, reply, code) => {
  const { forge } = await forgejoUnderTest(() => reply);
  await expect(refusalFrom(forge.unregister(6))).resolves.toMatchObject({ code, details: { method: 'DELETE', path: `${runners}/6` } });
});
