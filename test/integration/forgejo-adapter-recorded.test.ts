// Promises that the Forgejo adapter understands what a real Forgejo 16.0.1 answered: the recorded exchanges are replayed over a socket, and
// each must end in the value or the refusal that its status stands for.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Scope } from '../../src/core/model.ts';
import { forgejoUnderTest, refusalFrom } from '../support/forgejo-under-test.ts';
import type { Heard, Scripted } from '../support/scripted-server.ts';

type Body = { readonly json?: unknown; readonly text?: string } | null;
type Exchange = {
  readonly name: string;
  readonly request: { readonly method: string; readonly path: string; readonly body?: Body };
  readonly response?: { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body?: Body };
};
type Row = { readonly id: number; readonly name: string; readonly description: string; readonly ephemeral: boolean };

const recorded = (file: string): readonly Exchange[] =>
  JSON.parse(readFileSync(new URL(`../support/recorded/${file}.json`, import.meta.url), 'utf8')) as Exchange[];

const everything = ['jobs', 'register', 'runner', 'runners', 'scope', 'misc'].flatMap(recorded);
const codes: Readonly<Record<number, string>> = {
  401: 'FORGE_UNAUTHORIZED',
  403: 'FORGE_UNAUTHORIZED',
  404: 'FORGE_INCOMPATIBLE',
  422: 'FORGE_INCOMPATIBLE',
};

const statusOf = (exchange: Exchange): number => exchange.response?.status ?? 0;
const jsonOf = (exchange: Exchange): unknown => exchange.response?.body?.json;

/** The answer as it was, less its length: the body is written anew. */
function replay({ response }: Exchange): Scripted {
  const { 'content-length': _, ...headers } = response?.headers ?? {};
  return { status: response?.status ?? 500, headers, ...response?.body };
}

function scopeOf(path: string): Scope {
  const [, , , area, owner = '', name = ''] = path.split('/');
  if (area === 'repos') return { kind: 'repository', owner, name };
  if (area === 'orgs') return { kind: 'organization', name: owner };
  return area === 'user' ? { kind: 'user' } : { kind: 'instance' };
}

/** The recorded exchanges of one operation with this status, by name. */
function of(method: string, path: RegExp, wanted: (status: number) => boolean): readonly (readonly [string, Exchange])[] {
  return everything
    .filter((exchange) => exchange.request.method === method && path.test(exchange.request.path) && wanted(statusOf(exchange)))
    .map((exchange) => [exchange.name, exchange] as const);
}

const ok = (status: number): boolean => status === 200;
const refused = (status: number): boolean => status >= 400;
const absent = (status: number): boolean => status === 404;

function named(name: string): Exchange {
  const exchange = everything.find((one) => one.name === name);
  if (exchange === undefined) throw new Error(`${name} is not recorded`);
  return exchange;
}

const jobsRoute = /^(?!\/api\/v1\/admin\/runners)\/.*\/actions\/runners\/jobs(\?|$)/;
const listRoute = /\/actions\/runners(\?visible=true)?$/;
const oneRoute = /\/actions\/runners\/\d+$/;
const idOf = (exchange: Exchange): number => Number(exchange.request.path.split('/').at(-1));

type JobRow = { readonly id: number; readonly handle: string; readonly runs_on: readonly string[]; readonly status: string };

test.each(of('GET', jobsRoute, ok))('the jobs of %s are read as they are, turned round', async (_, exchange) => {
  const { forge } = await forgejoUnderTest(() => replay(exchange), { scope: scopeOf(exchange.request.path) });
  const rows = (jsonOf(exchange) ?? []) as readonly JobRow[];
  const expected = rows.toReversed().map(({ id, handle, runs_on: labels, status: state }) => ({ id, handle, labels, state }));
  expect((await forge.jobs()).map(({ id, handle, labels, state }) => ({ id, handle, labels, state }))).toEqual(expected);
});

test.each(of('GET', jobsRoute, refused))('%s is refused by its status, not taken for no jobs', async (_, exchange) => {
  const { forge } = await forgejoUnderTest(() => replay(exchange), { scope: scopeOf(exchange.request.path) });
  const status = statusOf(exchange);
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: codes[status], details: { status } });
});

test.each(of('GET', listRoute, ok))('the registrations of %s are read whole', async (_, exchange) => {
  const { forge } = await forgejoUnderTest(() => replay(exchange), { scope: scopeOf(exchange.request.path) });
  const essence = ({ id, name, description, ephemeral }: Row): Row => ({ id, name, description, ephemeral });
  const expected = (jsonOf(exchange) as readonly Row[]).map(essence).toSorted((a, b) => a.id - b.id);
  expect((await forge.registrations()).map(essence)).toEqual(expected);
});

test('the recorded pages, which show 2 of 9 rows, are not taken for the whole list', async () => {
  const { forge } = await forgejoUnderTest(({ path }) =>
    replay(named(/page=([2-9]|\d\d)/.test(path) ? 'runners-list-repo-page-99' : 'runners-list-repo-limit2')),
  );
  await expect(refusalFrom(forge.registrations())).resolves.toMatchObject({ code: 'FORGE_UNREACHABLE', details: { total: 9, found: 2 } });
});

test.each(of('GET', oneRoute, ok))('%s is a registration', async (_, exchange) => {
  const { forge } = await forgejoUnderTest(() => replay(exchange), { scope: scopeOf(exchange.request.path) });
  const { status } = jsonOf(exchange) as { readonly status: string };
  await expect(forge.registration(idOf(exchange))).resolves.toMatchObject({ id: idOf(exchange), status });
});

test.each(of('GET', oneRoute, absent))('%s is no registration', async (_, exchange) => {
  const script = ({ path }: Heard): Scripted => (path.includes('?page=') ? { status: 200, json: [] } : replay(exchange));
  const { forge } = await forgejoUnderTest(script, { scope: scopeOf(exchange.request.path) });
  await expect(forge.registration(idOf(exchange))).resolves.toBeUndefined();
});

test.each(of('DELETE', oneRoute, (status) => status === 204 || status === 404))('%s leaves no registration', async (_, exchange) => {
  const { forge } = await forgejoUnderTest(() => replay(exchange), { scope: scopeOf(exchange.request.path) });
  await expect(forge.unregister(idOf(exchange))).resolves.toBeUndefined();
});

/** The row that a recorded listing shows for a new registration. */
const rows = of('GET', /\/actions\/runners(\?|$|\/\d+$)/, ok).flatMap(([, exchange]) => jsonOf(exchange) as Row | readonly Row[]);
const rowOf = (exchange: Exchange): Row | undefined => rows.find(({ id }) => id === (jsonOf(exchange) as { readonly id: number }).id);

function registering(exchange: Exchange) {
  const row = rowOf(exchange);
  return forgejoUnderTest(
    ({ method }) => {
      if (method === 'POST') return replay(exchange);
      if (method === 'DELETE') return { status: 204 };
      return row === undefined ? { status: 404, json: { message: 'resource does not exist' } } : { status: 200, json: row };
    },
    { scope: scopeOf(exchange.request.path) },
  );
}

const posted = of('POST', /\/actions\/runners$/, (status) => status === 201);

test.each(posted.filter(([, exchange]) => rowOf(exchange)?.ephemeral === true))('%s is a registration of one job', async (_, exchange) => {
  const { forge } = await registering(exchange);
  const { name, description } = rowOf(exchange) ?? { name: '', description: '' };
  await expect(forge.register(name, description)).resolves.toEqual(jsonOf(exchange));
});

test.each(posted.filter(([, exchange]) => rowOf(exchange)?.ephemeral !== true))(
  '%s is not ephemeral or not seen, and taken back',
  async (_, exchange) => {
    const { forge, server } = await registering(exchange);
    const { name, description } = rowOf(exchange) ?? { name: '', description: '' };
    await expect(refusalFrom(forge.register(name, description))).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
    expect(server.asked().at(-1)).toMatch(/^DELETE /);
  },
);

test.each(of('POST', /\/actions\/runners$/, refused))('%s is refused by its status', async (_, exchange) => {
  const { forge, server } = await forgejoUnderTest(() => replay(exchange), { scope: scopeOf(exchange.request.path) });
  await expect(refusalFrom(forge.register('j1', 'ours'))).resolves.toMatchObject({ code: codes[statusOf(exchange)] });
  expect(server.heard).toHaveLength(1);
});

test('the recorded version is accepted', async () => {
  const { forge } = await forgejoUnderTest(({ path }) =>
    path.endsWith('/version') ? replay(named('misc-api-v1-version')) : { status: 200, json: null },
  );
  await expect(forge.check()).resolves.toEqual({ major: 16, minor: 0, patch: 1, text: '16.0.1+gitea-1.22.0' });
});

test('the recorded answer to an unknown route reads as a server that is too old', async () => {
  const { forge } = await forgejoUnderTest(() => replay(named('misc-api-v1-nodeinfo')));
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ message: expect.stringContaining('Forgejo 15 or newer') });
});
