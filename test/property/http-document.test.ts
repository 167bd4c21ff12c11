// Promises that whoever makes up requests from /openapi.json alone, well formed or spoilt, meets only what it describes: a described status with
// a body of its schema, and never an error of ours. Over a real socket.

import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as z from 'zod';
import type { AppOptions, Serving } from '../../src/http/app.ts';
import { reconcilingOf, serveAnApi, token } from '../support/api.ts';
import { busy, quiet, rememberingLog } from '../support/snapshot-fixture.ts';

const schemaOf = z.object({
  type: z.enum(['string', 'integer']),
  enum: z.array(z.string()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
});
const parameterOf = z.object({ name: z.string(), in: z.enum(['path', 'query']), required: z.boolean().optional(), schema: schemaOf });
const operationOf = z.object({
  operationId: z.string(),
  parameters: z.array(parameterOf),
  responses: z.record(z.string(), z.object({ content: z.record(z.string(), z.object({ schema: z.object({ $ref: z.string() }) })) })),
});
const documentOf = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationOf)),
  components: z.object({ schemas: z.record(z.string(), z.record(z.string(), z.unknown())) }),
});
type Parameter = z.infer<typeof parameterOf>;
type Operation = z.infer<typeof operationOf> & { readonly method: string; readonly path: string };

const log = rememberingLog();
let serving: Serving;
let operations: readonly Operation[];
let schemas: ReadonlyMap<string, z.ZodType>;
beforeAll(async () => {
  const logs: AppOptions['logs'] = { open: (id) => Promise.resolve(id === 'j0000041abc' ? { text: 'a line\n' } : 'unknown') };
  const reconciler = reconcilingOf(() => ({ ...busy, host: quiet.host }));
  serving = await serveAnApi({ reconciler, log, logs });
  const document = documentOf.parse(await (await fetch(`${serving.url}/openapi.json`)).json());
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })),
  );
  schemas = new Map(Object.entries(document.components.schemas).map(([name, schema]) => [name, z.fromJSONSchema(schema)]));
});
afterAll(() => serving.close());

/** A value that the document allows. */
function allowed({ name, schema }: Parameter): fc.Arbitrary<string> {
  if (name === 'id') return fc.oneof(fc.constant('j0000041abc'), fc.stringMatching(/^[a-z0-9]{1,12}$/));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.type === 'integer') {
    return fc.integer({ min: schema.minimum ?? 0, max: Math.min(schema.maximum ?? 1_000, Number.MAX_SAFE_INTEGER) }).map(String);
  }
  return fc.string({ unit: 'binary', minLength: schema.minLength ?? 0, maxLength: Math.min(schema.maxLength ?? 40, 40) });
}

/** A value of any kind, most often one that the document does not allow. */
const spoilt = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.double().map(String),
  fc.bigInt().map(String),
  fc.constantFrom('', 'null', 'true,false', '[]', '{}', '../..', '%00', '٣', '1e3', ' 1', '+1', '0x10'),
);

type Question = { readonly path: string; readonly query: string };

function questionOf(operation: Operation): fc.Arbitrary<Question> {
  const parameters = fc.tuple(
    ...operation.parameters.map((parameter) => {
      const chosen = fc.oneof({ weight: 3, arbitrary: allowed(parameter) }, { weight: 1, arbitrary: spoilt });
      return fc.tuple(fc.constant(parameter), parameter.required === true ? chosen : fc.option(chosen, { nil: undefined }));
    }),
  );
  return parameters.map((pairs) => {
    let { path } = operation;
    const query = new URLSearchParams();
    for (const [{ name, in: place }, chosen] of pairs) {
      if (chosen === undefined) continue;
      const value = chosen.toWellFormed();
      if (place === 'query') query.append(name, value);
      else path = path.replace(`{${name}}`, encodeURIComponent(value));
    }
    const text = query.toString();
    return { path, query: text === '' ? '' : `?${text}` };
  });
}

/** Of a stream, that it is one. */
async function bodyOf(response: Response, type: string): Promise<unknown> {
  if (type === 'text/plain') return response.text();
  if (type !== 'text/event-stream') return response.json();
  await response.body?.cancel();
  return { id: 1, at: '2030-01-01T00:00:00.000Z', level: 'info', event: 'x', message: null, facts: {} };
}

test('whatever is asked by the document is answered as the document says, and never with an error of ours', async () => {
  const asked = fc.constantFrom(...operations).chain((operation) => questionOf(operation).map((question) => ({ operation, ...question })));
  const body = fc.oneof(fc.constant(undefined), fc.json({ maxDepth: 2 }), fc.string({ unit: 'binary', maxLength: 200 }));
  const authorization = fc.oneof(fc.constant(`Bearer ${token}`), fc.constant(''), fc.stringMatching(/^[ -~]{0,30}$/));
  const answered = new Set<string>();
  await fc.assert(
    fc.asyncProperty(asked, body, authorization, async ({ operation, path, query }, body, authorization) => {
      const { method, responses, operationId } = operation;
      const headers = { 'content-type': 'application/json', ...(authorization.trim() === '' ? {} : { authorization }) };
      const sent = method === 'POST' && body !== undefined ? { body } : {};
      const response = await fetch(serving.url + path + query, { method, headers, ...sent, redirect: 'manual' });
      const { status } = response;
      const type = response.headers.get('content-type')?.split(';')[0] ?? 'none';
      const described = (responses[String(status)] ?? responses['default'])?.content[type]?.schema.$ref.split('/').at(-1);
      if (!(status === 503 && operationId === 'health')) expect(status, `${method} ${path}${query}`).toBeLessThan(500);
      const schema = schemas.get(described ?? '');
      if (schema === undefined) throw new Error(`${method} ${path}${query}: nothing describes ${status} ${type}`);
      const { error } = schema.safeParse(await bodyOf(response, type));
      expect(error?.issues ?? [], `${method} ${path}${query} ${status}`).toEqual([]);
      if (status === 200) answered.add(operationId);
    }),
    { numRuns: 600 },
  );
  expect(log.lines.filter(([level]) => level === 'error')).toEqual([]);
  // Not a run of refusals alone; that each route can answer well is shown in http-openapi.test.ts.
  expect(answered.size).toBeGreaterThan(operations.length / 2);
});
