// Promises that /openapi.json says what the API does: every route of it is asked over a real socket and answers as described, also what is
// wrong.

import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import type { AppOptions, Serving } from '../../src/http/app.ts';
import { anApi, reconcilingOf, serveAnApi, token } from '../support/api.ts';
import { busy, quiet, rememberingLog } from '../support/snapshot-fixture.ts';

const operationSchema = z.object({
  operationId: z.string(),
  parameters: z.array(
    z.object({
      name: z.string(),
      in: z.enum(['query', 'path']),
      schema: z.record(z.string(), z.unknown()),
      required: z.boolean().optional(),
    }),
  ),
  security: z.array(z.record(z.string(), z.array(z.string()))),
  responses: z.record(
    z.string(),
    z.object({ description: z.string(), content: z.record(z.string(), z.object({ schema: z.object({ $ref: z.string() }) })) }),
  ),
});
const documentSchema = z.object({
  openapi: z.literal('3.1.0'),
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.object({ schemas: z.record(z.string(), z.record(z.string(), z.unknown())) }),
});
type Document = z.infer<typeof documentSchema>;

const log = rememberingLog();
let serving: Serving;
let document: Document;
beforeAll(async () => {
  const reconciler = reconcilingOf(() => ({ ...busy, host: quiet.host }));
  const logs: AppOptions['logs'] = { open: () => Promise.resolve({ text: 'a line\n' }) };
  serving = await serveAnApi({ reconciler, log, logs });
  document = documentSchema.parse(await (await fetch(`${serving.url}/openapi.json`)).json());
});
afterAll(() => serving.close());

type Operation = { readonly method: string; readonly path: string } & z.infer<typeof operationSchema>;
const operations = (): Operation[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path: path.replace('{id}', 'j0000041abc'),
      ...operation,
    })),
  );

/** As the document describes that answer; what it does not describe is an error. */
async function expectAsDescribed({ responses }: Operation, response: Response): Promise<void> {
  const described = responses[String(response.status)] ?? responses['default'];
  const type = response.headers.get('content-type')?.split(';')[0] ?? 'none';
  const name = described?.content[type]?.schema.$ref.split('/').at(-1) ?? `nothing described for ${response.status} ${type}`;
  const schema = document.components.schemas[name];
  if (schema === undefined) throw new Error(name);
  z.fromJSONSchema(schema).parse(await valueOf(response, type));
}

/** Of a stream, the first event. */
async function valueOf(response: Response, type: string): Promise<unknown> {
  if (type === 'text/plain') return response.text();
  if (type !== 'text/event-stream') return response.json();
  await response.body?.cancel();
  return { id: 1, at: '2030-01-01T00:00:00.000Z', level: 'info', event: 'x', message: null, facts: {} };
}

/** One query with which the route answers well. */
/** A body for each operation that takes one. */
const goodBody: Readonly<Record<string, unknown>> = { dispatch: { labels: ['debian'], count: 2, ttl: '20m' } };
const goodQuery: Readonly<Record<string, string>> = {
  explain: '?labels=ci',
  jobs: '?state=done&limit=5',
  events: '?after=0',
  sweep: '?dry_run=false',
};
const authorization = `Bearer ${token}`;

const jobsStatus = async (query: string): Promise<number> => (await fetch(`${serving.url}/api/v1/jobs?${query}`)).status;

async function isValid(text: string): Promise<boolean> {
  const document = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  return (await new Validator().validate(document)).valid;
}

describe('the document', () => {
  test('it describes every route there is, each once, below its base path', async () => {
    expect(
      operations()
        .map(({ method, path }) => `${method} ${path}`)
        .toSorted(),
    ).toEqual([
      'GET /api/v1/events',
      'GET /api/v1/explain',
      'GET /api/v1/jobs',
      'GET /api/v1/plan',
      'GET /api/v1/runners',
      'GET /api/v1/runners/j0000041abc/log',
      'GET /health',
      'GET /openapi.json',
      'GET /status',
      'POST /api/v1/dispatch',
      'POST /api/v1/drain',
      'POST /api/v1/poll',
      'POST /api/v1/resume',
      'POST /api/v1/runners/j0000041abc/stop',
      'POST /api/v1/sweep',
    ]);
    const below = await anApi({ basePath: '/ci' }).request('/ci/openapi.json');
    expect(await below.json()).toMatchObject({ servers: [{ url: '/ci' }] });
  });

  test('a public validator of OpenAPI 3.1 accepts it, and would not accept one with a mistake', async () => {
    const text = await (await fetch(`${serving.url}/openapi.json`)).text();
    expect(await isValid(text)).toBe(true);
    expect(await isValid(text.replace('"in":"query"', '"in":"somewhere"'))).toBe(false);
  });

  test('it is whole: every name that it refers to is in it, and every schema can be read by a validator', () => {
    const text = JSON.stringify(document);
    for (const [, name = ''] of text.matchAll(/#\/components\/schemas\/(\w+)/g)) expect(document.components.schemas).toHaveProperty(name);
    for (const schema of Object.values(document.components.schemas)) expect(() => z.fromJSONSchema(schema)).not.toThrow();
  });

  test('every route answers as it describes: well, to a bad question, to a wrong method, and to who may not', async () => {
    for (const operation of operations()) {
      const { method, path, operationId, security } = operation;
      const ask = (query: string, headers: Readonly<Record<string, string>>, how = method): Promise<Response> =>
        fetch(serving.url + path + query, {
          method: how,
          headers: { ...headers, ...(operationId in goodBody ? { 'content-type': 'application/json' } : {}) },
          ...(operationId in goodBody ? { body: JSON.stringify(goodBody[operationId]) } : {}),
        });
      const good = await ask(goodQuery[operationId] ?? '', { authorization });
      expect([operationId, good.status]).toEqual([operationId, 200]);
      await expectAsDescribed(operation, good);
      const needsToken = security.every((way) => Object.keys(way).length > 0);
      const bare = await ask(goodQuery[operationId] ?? '', {});
      expect([operationId, bare.status]).toEqual([operationId, needsToken ? 401 : 200]);
      await expectAsDescribed(operation, bare);
      const wrong = await ask('', { authorization }, 'DELETE');
      expect(wrong.status).toBe(405);
      await expectAsDescribed(operation, wrong);
      if (operationId === 'health' || operationId === 'status') continue;
      const odd = await ask('?nonsense=1', { authorization });
      expect([operationId, odd.status]).toEqual([operationId, 400]);
      await expectAsDescribed(operation, odd);
    }
  });

  test('every value that a described parameter may have is taken, and those just beside it are not', async () => {
    const parameters = document.paths['/api/v1/jobs']?.['get']?.parameters ?? [];
    for (const { name, schema } of parameters) {
      const {
        enum: words,
        minimum,
        maximum,
      } = z.object({ enum: z.array(z.string()).optional(), minimum: z.number().optional(), maximum: z.number().optional() }).parse(schema);
      const taken = [...(words ?? []), minimum, maximum].filter((value) => value !== undefined);
      for (const value of taken) expect(await jobsStatus(`${name}=${value}`)).toBe(200);
      const refused = [minimum === undefined ? 'x' : minimum - 1, maximum === undefined ? 'x' : maximum + 1];
      for (const value of refused) expect(await jobsStatus(`${name}=${value}`)).toBe(400);
    }
  });
});
