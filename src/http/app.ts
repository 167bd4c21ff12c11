// Promises the API: every route of the table, from the one Snapshot or a look at the world. Every other answer is problem+json with a code of ours, and none
// shows a secret or the inside of a bug. Bound to loopback it answers only to loopback names, so that no web page can rebind its way in.

import { Hono, type Context, type MiddlewareHandler } from 'hono';
import type { Clock } from '../clock.ts';
import { isControllerError } from '../errors.ts';
import { visible } from '../log-visible.ts';
import type { Log } from '../log.ts';
import type { Following } from './follow.ts';
import { handlersOf, type Handlers, type Reconciling } from './handlers.ts';
import { countedBy, metricsPath, mountMetrics, type Metering } from './metering.ts';
import { routes, type Answers, type Route, type RouteName } from './routes.ts';
import type { ApiSettings } from './status.ts';
import type { Problem } from './wire.ts';

export { createFollowing } from './follow.ts';
export { serveHttp, type Serving } from './serve.ts';
export type { ApiSettings } from './status.ts';

export type AppOptions = {
  readonly reconciler: Reconciling;
  readonly following: Following;
  /** Of the configuration in force; called once per answer. */
  readonly settings: () => ApiSettings;
  /** Where the API is bound; it decides whether Host headers are checked. */
  readonly host: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Masks secrets in messages of errors (the text of the log's redactor); what is named a secret is never shown anyway. */
  readonly mask?: (text: string) => string;
  /** Who measures; without it there is no /metrics. */
  readonly metering?: Metering;
};

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

/** The API as a hono app; `app.request('/status')` answers in process. */
export function createApp({ reconciler, following, settings, host, clock, log, mask = asItIs, metering }: AppOptions): Hono {
  const app = new Hono();
  if (metering !== undefined) app.use(countedBy(metering));
  app.use(secured);
  if (isLoopback(host)) app.use(loopbackNamesOnly);
  const handlers = handlersOf({ reconciler, following, settings, clock, mask });
  for (const name of Object.keys(routes).filter(isRouteName)) mount(app, name, handlers);
  if (metering !== undefined) mountMetrics(app, metering);
  for (const [path, methods] of methodsByPath(metering === undefined ? [] : [metricsPath]))
    app.all(path, (c) => {
      c.header('allow', methods.join(', '));
      return answer(c, 405, 'METHOD_NOT_ALLOWED', 'Method not allowed', `${path} takes ${methods.join(' and ')}.`);
    });
  app.notFound((c) => answer(c, 404, 'NOT_FOUND', 'Not found', 'There is nothing here; /openapi.json lists what there is.'));
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

function asItIs(text: string): string {
  return text;
}

/** True for addresses that only this host can reach. */
function isLoopback(host: string): boolean {
  return /^(?:127\.\d+\.\d+\.\d+|localhost|\[?::1\]?)$/.test(host);
}

const secured: MiddlewareHandler = async (c, next) => {
  await next();
  for (const [name, value] of Object.entries(headers)) c.header(name, value);
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

function mount(app: Hono, name: RouteName, handlers: Handlers): void {
  const { method, path }: Route = routes[name];
  app.on(method, inHono(path), async (c) => {
    const reply = await handlers[name]({
      url: c.req.url,
      header: (header) => c.req.header(header),
      headOnly: c.req.method === 'HEAD',
    });
    if ('stream' in reply) return new Response(reply.stream, { headers: streamHeaders });
    if ('value' in reply) return json(c, reply.value, reply.status ?? 200);
    const { status: refusedWith, code, title, detail, headers: more = {} } = reply.refusal;
    for (const [header, value] of Object.entries(more)) c.header(header, value);
    return answer(c, refusedWith, code, title, detail);
  });
}

function inHono(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ':$1');
}

/** `more` are paths beside those of the table that are only read. */
function methodsByPath(more: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const methods = new Map<string, string[]>(more.map((path) => [path, ['GET', 'HEAD']]));
  for (const { method, path } of Object.values(routes)) {
    const known = methods.get(inHono(path)) ?? [];
    methods.set(inHono(path), [...known, ...(method === 'GET' ? ['GET', 'HEAD'] : [method])]);
  }
  return methods;
}
