// Promises the API: every route of the table, from the one Snapshot or a look at the world. Every other answer is problem+json with a code of
// ours, and none shows a secret or the inside of a bug. Bound to loopback it answers only to loopback names, so that no web page can rebind
// its way in; whoever changes anything, and whoever asks from elsewhere, has to be admitted.

import { Hono, type Context, type MiddlewareHandler } from 'hono';
import type { Clock } from '../clock.ts';
import { isControllerError } from '../errors.ts';
import type { Log } from '../log.ts';
import { visible } from '../log-visible.ts';
import { createAdmittance, type Admittance, type Reach } from './admittance.ts';
import { bodyOf } from './dispatch.ts';
import type { Following } from './follow.ts';
import { handlersOf, type Handlers, type Reconciling, type Refusal } from './handlers.ts';
import { countedBy, metricsPath, mountMetrics, type Metering } from './metering.ts';
import { mountPage, pagePath, type Pages } from './page.ts';
import type { RunnerLogs } from './runner-log.ts';
import { routes, type Answers, type Route, type RouteName } from './routes.ts';
import type { ApiSettings } from './status.ts';
import { mountWebhook, webhookPath } from './webhook.ts';
import type { Problem } from './wire.ts';

export { createRunnerLogs, type RunnerLogs } from './runner-log.ts';
export { createFollowing } from './follow.ts';
export type { Page } from './page.ts';
import type { App, Bindings } from './serve.ts';

export { serveHttp, serveSocket, type Serving } from './serve.ts';
export type { ApiSettings } from './status.ts';

export type AppOptions = {
  readonly reconciler: Reconciling;
  readonly following: Following;
  readonly logs: RunnerLogs;
  /** Of the configuration in force; called once per answer. */
  readonly settings: () => ApiSettings;
  /** Where the API is bound: it decides who has to name the token, and whether Host headers are checked. `socket`: one that only root may open. */
  readonly host: string;
  /** Whoever names the token in it may change things, and ask from elsewhere; absent = nobody may, but over the socket. */
  readonly tokenFile?: string;
  /** What every path begins with. */
  readonly basePath?: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Masks secrets in messages of errors (the text of the log's redactor); what is named a secret is never shown anyway. */
  readonly mask?: (text: string) => string;
  /** Who measures; without it there is no /metrics. */
  readonly metering?: Metering;
  /** Without it there is no page at /. */
  readonly page?: Pages;
};

type Ask = Context<{ Bindings: Bindings }>;

const headers: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** A proxy that gathers what it passes on would hold events back. */
const streamHeaders = { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' };
const textHeaders = { ...streamHeaders, 'content-type': 'text/plain; charset=utf-8' };

/** The API as a hono app; `app.request('/status')` answers in process. */
export function createApp(options: AppOptions): App {
  const { host, tokenFile, basePath = '', clock, log, mask = asItIs, metering, page } = options;
  const app: App = new Hono();
  const reach: Reach = host === 'socket' ? host : isLoopback(host) ? 'loopback' : 'network';
  const admittance = createAdmittance(reach, tokenFile, log, clock);
  if (metering !== undefined) app.use(countedBy(metering));
  app.use(secured);
  if (reach === 'loopback') app.use(loopbackNamesOnly);
  // Before who may ask is judged: a delivery bears a signature, and no token.
  if (reach !== 'socket') mountWebhook(app, basePath, { ...options, kick: (forge) => options.reconciler.kick(forge), refuse });
  if (reach === 'network') app.use(admittedOnly(admittance));
  const handlers = handlersOf({ ...options, mask, basePath });
  for (const name of Object.keys(routes).filter(isRouteName)) {
    const { method, path, body }: Route = routes[name];
    const at = basePath + inHono(path);
    if (method === 'POST' && reach !== 'network') app.on(method, at, admittedOnly(admittance));
    if (method === 'POST' && body === undefined) app.on(method, at, withoutBody);
    app.on(method, at, (c) => replyOf(c, handlers, name, body !== undefined));
  }
  if (metering !== undefined) mountMetrics(app, basePath, metering);
  if (page !== undefined) mountPage(app, basePath, page);
  if (reach !== 'socket') app.all(basePath + inHono(webhookPath), (c) => notAllowed(c, webhookPath, ['POST']));
  for (const [path, methods] of methodsByPath([
    ...(metering === undefined ? [] : [metricsPath]),
    ...(page === undefined ? [] : [pagePath]),
  ]))
    app.all(basePath + inHono(path), (c) => notAllowed(c, path, methods));
  app.notFound((c) => answer(c, 404, 'NOT_FOUND', 'Not found', `There is nothing here; ${basePath}/openapi.json lists what there is.`));
  app.onError((error, c) => {
    if (isControllerError(error, 'PARAMETER_INVALID'))
      return answer(c, error.httpStatus, error.code, 'A parameter does not fit', error.message, String(error.details['parameter']));
    if (isControllerError(error)) {
      log.warn('http', { error, path: c.req.path });
      return answer(c, error.httpStatus, error.code, 'The request could not be answered', mask(error.message));
    }
    log.error('http', { error, path: c.req.path });
    return answer(c, 500, 'INTERNAL', 'Internal error', 'This is a bug; the log of the service says more.');
  });
  return app;
}

function notAllowed(c: Context, path: string, methods: readonly string[]): Response {
  c.header('allow', methods.join(', '));
  return answer(c, 405, 'METHOD_NOT_ALLOWED', 'Method not allowed', `${path} takes ${methods.join(' and ')}.`);
}

async function replyOf(c: Ask, handlers: Handlers, name: RouteName, takes: boolean): Promise<Response> {
  const body = takes ? await bodyOf(c.req.header('content-type'), c.req.header('content-length'), c.req.raw.body) : '';
  if (typeof body !== 'string') return refuse(c, body);
  const reply = await handlers[name]({
    url: c.req.url,
    header: (header) => c.req.header(header),
    headOnly: c.req.method === 'HEAD',
    id: c.req.param('id') ?? '',
    body,
    by: byOf(c),
  });
  if ('text' in reply) return new Response(reply.text, { headers: textHeaders });
  if ('stream' in reply) return new Response(reply.stream, { headers: streamHeaders });
  return 'value' in reply ? json(c, reply.value, reply.status ?? 200) : refuse(c, reply.refusal);
}

/** Who gives an order, for the log. */
function byOf(c: Ask): string {
  const address = addressOf(c);
  return address === undefined ? 'operator (socket)' : `operator (http ${address})`;
}

/** Undefined over a Unix socket. */
function addressOf(c: Ask): string | undefined {
  // A request that is made in process has nothing of this.
  const { incoming } = { ...c.env };
  return incoming?.socket.remoteAddress?.replace(/^::ffff:/, '');
}

function refuse(c: Context, { status, code, title, detail, headers: more = {} }: Refusal): Response {
  for (const [header, value] of Object.entries(more)) c.header(header, value);
  return answer(c, status, code, title, detail);
}

function admittedOnly(admittance: Admittance): MiddlewareHandler<{ Bindings: Bindings }> {
  return async (c, next) => {
    const { method, path } = c.req;
    const refusal = await admittance.refusalOf({ method, path, header: (name) => c.req.header(name), address: addressOf(c) });
    return refusal === undefined ? next() : refuse(c, refusal);
  };
}

/** Most orders have none, and none is read. */
const withoutBody: MiddlewareHandler = async (c, next) => {
  const length = c.req.header('content-length') ?? '0';
  if (length === '0' && c.req.header('transfer-encoding') === undefined) return next();
  return answer(c, 413, 'BODY_REFUSED', 'No body, please', 'This takes no body: what it needs stands in the address.');
};

function asItIs(text: string): string {
  return text;
}

/** True for addresses that only this host can reach. */
function isLoopback(host: string): boolean {
  return /^(?:127\.\d+\.\d+\.\d+|localhost|\[?::1\]?)$/.test(host);
}

const secured: MiddlewareHandler = async (c, next) => {
  await next();
  // The page brings its own policy.
  for (const [name, value] of Object.entries(headers)) if (!c.res.headers.has(name)) c.header(name, value);
};

const loopbackNamesOnly: MiddlewareHandler = async (c, next) => {
  // A request made in process has no Host header; its URL has one.
  const name = (c.req.header('host') ?? new URL(c.req.url).host).toLowerCase().replace(/:\d*$/, '');
  if (isLoopback(name)) return next();
  return answer(c, 421, 'HOST_REFUSED', 'Misdirected request', 'This API answers only to localhost, 127.0.0.1 and [::1].');
};

function answer(c: Context, status: number, code: string, title: string, detail: string, parameter?: string): Response {
  const problem: Problem = { type: 'about:blank', title, status, code, detail, ...(parameter === undefined ? {} : { parameter }) };
  return json(c, problem, status, 'application/problem+json');
}

function json(c: Context, value: Answers[keyof Answers] | Problem, status: number, type = 'application/json'): Response {
  return c.body(visible(JSON.stringify(value)), status as 404, { 'content-type': type });
}

function isRouteName(name: string): name is RouteName {
  return Object.hasOwn(routes, name);
}

/** `{name}` as hono writes it. */
function inHono(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

/** `more` are paths beside those of the table that are only read. */
function methodsByPath(more: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const methods = new Map<string, string[]>(more.map((path) => [path, ['GET', 'HEAD']]));
  for (const { method, path } of Object.values(routes)) {
    const known = methods.get(path) ?? [];
    methods.set(path, [...known, ...(method === 'GET' ? ['GET', 'HEAD'] : [method])]);
  }
  return methods;
}
