// Promises the read-only API: /health and /status, from the one Snapshot. Every other answer is problem+json with a code of ours, and none
// shows a secret or the inside of a bug. Bound to loopback it answers only to loopback names, so that no web page can rebind its way in.

import { Hono, type Context, type MiddlewareHandler } from 'hono';
import type { Clock } from '../clock.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { isControllerError } from '../errors.ts';
import { visible } from '../log-visible.ts';
import type { Log } from '../log.ts';
import { healthOf } from './health.ts';
import { maskedOf, statusOf, type ApiSettings } from './status.ts';
import type { Health, Problem, Status } from './wire.ts';

export { serveHttp, type Serving } from './serve.ts';
export type { ApiSettings } from './status.ts';

export type AppOptions = {
  /** The picture of the last tick; called once per answer. */
  readonly snapshot: () => Snapshot;
  /** Of the configuration in force; called once per answer. */
  readonly settings: () => ApiSettings;
  /** Where the API is bound; it decides whether Host headers are checked. */
  readonly host: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Masks secrets in messages of errors (the text of the log's redactor); what is named a secret is never shown anyway. */
  readonly mask?: (text: string) => string;
};

const headers: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** The API as a hono app; `app.request('/status')` answers in process. */
export function createApp({ snapshot, settings, host, clock, log, mask = asItIs }: AppOptions): Hono {
  const app = new Hono();
  const picture = (): Snapshot => maskedOf(snapshot(), mask);
  app.use(secured);
  if (isLoopback(host)) app.use(loopbackNamesOnly);

  app.get('/health', (c) => {
    const health = healthOf(picture(), settings(), clock.now());
    return json(c, health, health.status === 'ok' ? 200 : 503);
  });
  app.get('/status', (c) => json(c, statusOf(picture(), settings(), clock.now(), clock.wallOf), 200));
  for (const path of ['/health', '/status'])
    app.all(path, (c) => {
      c.header('allow', 'GET, HEAD');
      return answer(c, 405, 'METHOD_NOT_ALLOWED', 'Method not allowed', `${path} is only read: use GET.`);
    });
  app.notFound((c) => answer(c, 404, 'NOT_FOUND', 'Not found', 'There are /health and /status here.'));
  app.onError((error, c) => {
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

function answer(c: Context, status: number, code: string, title: string, detail: string): Response {
  const problem: Problem = { type: 'about:blank', title, status, code, detail };
  return json(c, problem, status, 'application/problem+json');
}

function json(c: Context, value: Health | Status | Problem, status: number, type = 'application/json'): Response {
  return c.body(visible(JSON.stringify(value)), status as 404, { 'content-type': type });
}
