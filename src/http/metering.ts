// Promises GET /metrics as whoever measures renders it, and that every answer of the API is counted by the pattern of its route: a path may
// be anything, a pattern is one of ours.

import type { MiddlewareHandler } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { App } from './serve.ts';

export type Metering = {
  /** The text of the moment, and its content type. */
  render(): Promise<{ readonly type: string; readonly text: string }>;
  requestAnswered(route: string, status: number): void;
};

export const metricsPath = '/metrics';

/** To be used before everything that answers. */
export function countedBy(metering: Metering): MiddlewareHandler {
  return async (c, next) => {
    await next();
    const pattern = matchedRoutes(c).at(-1)?.path ?? '/*';
    metering.requestAnswered(pattern === '/*' ? 'other' : pattern, c.res.status);
  };
}

export function mountMetrics(app: App, basePath: string, metering: Metering): void {
  app.get(basePath + metricsPath, async (c) => {
    const { type, text } = await metering.render();
    return c.body(text, 200, { 'content-type': type });
  });
}
