// Promises GET / as the one page that shows what the API says, under its own strict policy: nothing runs in it and nothing styles it but what
// it was made with, and it asks nobody but this service. It is no part of the API, so the table of routes and /openapi.json do not have it.

import type { App } from './serve.ts';

export type Page = {
  /** All of it: whoever has this needs nothing else. */
  readonly html: string;
  /** Its Content-Security-Policy, which names what is in it by hash. */
  readonly policy: string;
};

/** Made or loaded when somebody asks for it. */
export type Pages = () => Promise<Page>;

export const pagePath = '/';

export function mountPage(app: App, basePath: string, pages: Pages): void {
  app.get(basePath + pagePath, async (c) => {
    const { html, policy } = await pages();
    return c.body(html, 200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy,
      'cross-origin-opener-policy': 'same-origin',
    });
  });
  // Everything in it is asked for below where it stands. Written so that it also holds behind a proxy that calls this path something else.
  if (basePath !== '') app.get(basePath, (c) => c.redirect(`${basePath.slice(basePath.lastIndexOf('/') + 1)}/`, 308));
}
