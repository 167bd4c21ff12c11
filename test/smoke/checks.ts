// Promises one look at a running service from outside: every question of the API is answered as its schema says, what must be refused is
// refused, and it is well. Changes nothing there; an order is only tried where it has to be refused.

import * as z from 'zod';
import { routes, type Route } from '../../src/http/routes.ts';
import * as v1 from '../../src/http/wire-v1.ts';
import { healthSchema, problemSchema, statusSchema } from '../../src/http/wire.ts';

export type Checked = { readonly name: string; readonly ok: boolean; readonly said: string };

export type SmokeOptions = {
  /** With the base path, if it has one. */
  readonly url: string;
  /** The API's, where reading needs it: a service that is bound to another address than loopback. */
  readonly token?: string | undefined;
};

type Ask = (path: string, init?: RequestInit) => Promise<Response>;
/** What there is to say when it is as promised; throws when it is not. */
type Check = readonly [name: string, look: (ask: Ask) => Promise<string>];

const answerMs = 15_000;

export async function smoke({ url, token }: SmokeOptions): Promise<readonly Checked[]> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const ask: Ask = (path, init = {}) =>
    fetch(`${url.replace(/\/$/, '')}${path}`, { headers, redirect: 'manual', signal: AbortSignal.timeout(answerMs), ...init });
  const checked: Checked[] = [];
  for (const [name, look] of checks) {
    try {
      checked.push({ name, ok: true, said: await look(ask) });
    } catch (error) {
      checked.push({ name, ok: false, said: reasonOf(error) });
    }
  }
  return checked;
}

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError) return `the answer is of another shape: ${z.prettifyError(error).replaceAll('\n', ' ')}`;
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

async function json<S extends z.ZodType>(response: Response, schema: S, statuses: readonly number[] = [200]): Promise<z.infer<S>> {
  const text = await response.text();
  must(statuses.includes(response.status), `answered ${response.status}: ${text.slice(0, 200)}`);
  const wanted = response.status < 300 || statuses.includes(503) ? 'application/json' : 'application/problem+json';
  must(
    response.headers.get('content-type')?.startsWith(wanted) === true,
    `is ${response.headers.get('content-type') ?? 'nothing'}, not ${wanted}`,
  );
  must(response.headers.get('x-content-type-options') === 'nosniff', 'lacks the headers that keep browsers from guessing');
  return schema.parse(JSON.parse(text));
}

async function refused(response: Response, status: number, code: RegExp): Promise<string> {
  const problem = await json(response, problemSchema, [status]);
  must(code.test(problem.code), `its code is ${problem.code}`);
  return `${problem.status} ${problem.code}`;
}

/** GETs that need no more than their path, and that are answered whole. */
const reads = [
  '/openapi.json',
  '/health',
  '/status',
  '/api/v1/runners',
  '/api/v1/jobs',
  '/api/v1/plan',
  '/api/v1/explain',
  '/api/v1/events',
];

const checks: readonly Check[] = [
  [
    'GET /health',
    async (ask) => {
      const { status, reasons, version } = await json(await ask('/health'), healthSchema, [200, 503]);
      must(status === 'ok', `it is not well: ${reasons.join('; ')}`);
      return `well, version ${version}`;
    },
  ],
  [
    'GET /status',
    async (ask) => {
      const status = await json(await ask('/status'), statusSchema);
      must(/^[0-9a-f]{12}$/.test(status.config_hash), 'it does not say which configuration is in force');
      const away = status.forges.filter(({ error }) => error !== null).map(({ name }) => name);
      must(away.length === 0, `forges that do not answer: ${away.join(', ')}`);
      const { used, max } = status.capacity;
      return `${status.controller_id}, configuration ${status.config_hash}, ${used} of ${max} machines in use, ${status.forges.length} forges`;
    },
  ],
  ['GET /api/v1/runners', async (ask) => `${(await json(await ask('/api/v1/runners'), v1.runnersSchema)).runners.length} runners`],
  [
    'GET /api/v1/jobs',
    async (ask) => {
      const { jobs, total } = await json(await ask('/api/v1/jobs?limit=1000'), v1.jobsSchema);
      const mute = jobs.filter((job) => job.state === 'waiting' && job.sentence === '').length;
      must(mute === 0, `${mute} jobs wait without a reason`);
      return `${total.waiting} waiting, ${total.running} running, ${total.done} done`;
    },
  ],
  ['GET /api/v1/plan', async (ask) => `${(await json(await ask('/api/v1/plan'), v1.planSchema)).actions.length} actions`],
  [
    'GET /api/v1/explain',
    async (ask) => {
      const explained = await json(await ask('/api/v1/explain?labels=smoke-test'), v1.explainSchema);
      must(explained.about === 'labels' && explained.sentence !== '', 'it explains nothing');
      await refused(await ask('/api/v1/explain?job=x'), 400, /^PARAMETER_INVALID$/);
      return explained.about === 'labels' ? explained.sentence : '';
    },
  ],
  [
    'GET /api/v1/events',
    async (ask) => {
      const leave = new AbortController();
      const response = await ask('/api/v1/events', { signal: AbortSignal.any([leave.signal, AbortSignal.timeout(answerMs)]) });
      const type = response.headers.get('content-type') ?? '';
      must(response.status === 200 && type.startsWith('text/event-stream'), `answered ${response.status} ${type}`);
      const { value } = (await response.body?.getReader().read()) ?? {};
      leave.abort();
      must(new TextDecoder().decode(value).startsWith('retry:'), 'the stream does not begin as events do');
      return 'a stream';
    },
  ],
  ['GET /api/v1/runners/ID/log', async (ask) => refused(await ask('/api/v1/runners/j0000000smk/log'), 404, /^NOT_FOUND$/)],
  [
    'GET /openapi.json',
    async (ask) => {
      const { paths, info } = await json(
        await ask('/openapi.json'),
        z.object({ openapi: z.literal('3.1.0'), info: z.object({ version: z.string() }), paths: z.record(z.string(), z.unknown()) }),
      );
      const missing = Object.values<Route>(routes).filter(({ path }) => !(path in paths));
      must(missing.length === 0, `it does not describe ${missing.map(({ path }) => path).join(', ')}`);
      return `${Object.keys(paths).length} paths, version ${info.version}`;
    },
  ],
  [
    'GET /metrics',
    async (ask) => {
      const response = await ask('/metrics');
      const text = await response.text();
      must(
        response.status === 200 && response.headers.get('content-type')?.startsWith('text/plain') === true,
        `answered ${response.status}`,
      );
      const odd = text.split('\n').find((line) => !/^(?:#.*|[a-z_]+(?:\{.*\})? [-+\w.]+|)$/i.test(line));
      must(odd === undefined, `a line that is no metric: ${odd}`);
      must(/^forgejo_runner_controller_build_info\{.*\} 1$/m.test(text), 'it does not say which version it is');
      return `${text.split('\n').filter((line) => line.startsWith('# TYPE')).length} metrics`;
    },
  ],
  [
    'GET /',
    async (ask) => {
      const response = await ask('/');
      const html = await response.text();
      must(
        response.status === 200 && response.headers.get('content-type')?.startsWith('text/html') === true,
        `answered ${response.status}`,
      );
      must(response.headers.get('content-security-policy')?.startsWith("default-src 'none'") === true, 'the page has no policy of its own');
      must(!/<(?:script|link|img)[^>]+(?:src|href)="?(?:https?:)?\/\//i.test(html), 'the page needs something from elsewhere');
      return `the page, ${Math.ceil(html.length / 1024)} KiB, by itself`;
    },
  ],
  ['what is not there', async (ask) => refused(await ask('/api/v1/nothing'), 404, /^NOT_FOUND$/)],
  [
    'methods',
    async (ask) => {
      for (const path of reads) await refused(await ask(path, { method: 'POST' }), 405, /^METHOD_NOT_ALLOWED$/);
      return `${reads.length} paths take no other`;
    },
  ],
  [
    'orders without a token',
    async (ask) => {
      const orders = Object.values<Route>(routes).filter(({ method }) => method === 'POST');
      // Of one that would not be refused, the least that it could do.
      must(orders.length > 0, 'there are none');
      const response = await ask('/api/v1/poll', { method: 'POST', headers: {} });
      must(response.status === 401 || response.status === 403, `answered ${response.status}: it was obeyed`);
      return refused(response, response.status, /^(?:TOKEN_MISSING|NO_TOKEN_CONFIGURED)$/);
    },
  ],
];
