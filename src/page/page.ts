// Promises the page of the service: one self-contained HTML text with the policy it is to be served under, made once.

import { fileURLToPath } from 'node:url';
import type { Page } from '../http/app.ts';

/** JSON of the page; there is one in a bundle only. */
declare const madePage: string | undefined;

let made: Promise<Page> | undefined;

export function page(): Promise<Page> {
  made ??= found();
  return made;
}

async function found(): Promise<Page> {
  if (typeof madePage === 'undefined') {
    const { makePage } = await import('./making.ts');
    return makePage(fileURLToPath(new URL('../../node_modules/.bin/esbuild', import.meta.url)));
  }
  return JSON.parse(madePage) as Page;
}
