// Promises the API described for other programs, as OpenAPI 3.1: every route of the table with its parameters and the schema of its answer.
// Loaded when somebody asks for it, and with it the schemas.

import * as z from 'zod';
import { routes, type Answers, type Route } from './routes.ts';
import { healthSchema, problemSchema, statusSchema } from './wire.ts';
import * as v1 from './wire-v1.ts';

type Json = Readonly<Record<string, unknown>>;

const schemas = {
  Health: healthSchema,
  Status: statusSchema,
  Runners: v1.runnersSchema,
  Jobs: v1.jobsSchema,
  Plan: v1.planSchema,
  Explain: v1.explainSchema,
  Event: v1.eventSchema,
  Order: v1.orderSchema,
  Dispatched: v1.dispatchedSchema,
  Sweep: v1.sweepSchema,
  Log: z.string(),
  OpenApi: z.looseObject({ openapi: z.literal('3.1.0') }),
} satisfies Readonly<Record<keyof Answers, z.ZodType>>;

const problem = { content: { 'application/problem+json': { schema: ref('Problem') } } };

/** Those that are not JSON. */
const types: Partial<Record<keyof Answers, string>> = { Event: 'text/event-stream', Log: 'text/plain' };

/** Beside what each route says: any may be refused, as its way of asking says. */
const refusals: Readonly<Record<string, string>> = {
  400: 'The request, or the parameter that `parameter` names, does not fit.',
  default: 'A problem, with a `code` that says which: 401 and 403 for who may not, 404, 405, 421 for a foreign Host, 5xx for the service.',
};

export function openApiOf(version: string, basePath: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const [operationId, route] of Object.entries<Route>(routes))
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operationOf(operationId, route) };
  const named = Object.entries({ ...schemas, DispatchWish: v1.dispatchWishSchema, Problem: problemSchema }).map(([name, schema]) => {
    const { $schema: _, ...json } = z.toJSONSchema(schema);
    return [name, json];
  });
  return {
    openapi: '3.1.0',
    info: {
      title: 'forgejo-runner-controller',
      version,
      description: 'What runs, what waits and why, and orders. Reads are open on loopback; orders need the token, or the Unix socket.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: basePath === '' ? '/' : basePath }],
    paths,
    components: {
      schemas: Object.fromEntries(named),
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'What the file of http.tokenFile holds.' } },
    },
  };
}

function operationOf(operationId: string, { method, path, summary, query, body: taken, answer, also = [] }: Route): Json {
  const body = { description: summary, content: { [types[answer] ?? 'application/json']: { schema: ref(answer) } } };
  return {
    operationId,
    summary,
    parameters: [
      ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...Object.values(query).map(({ name, description, schema }) => ({ name, in: 'query', description, schema })),
    ],
    ...(taken === undefined ? {} : { requestBody: { required: true, content: { 'application/json': { schema: ref(taken) } } } }),
    security: method === 'POST' ? [{ token: [] }] : [{}, { token: [] }],
    responses: {
      ...Object.fromEntries([200, ...also].map((status) => [String(status), body])),
      ...Object.fromEntries(Object.entries(refusals).map(([status, description]) => [status, { description, ...problem }])),
    },
  };
}

function ref(name: string): Json {
  return { $ref: `#/components/schemas/${name}` };
}
