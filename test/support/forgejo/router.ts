// Promises the way from a method and a path to the one handler that answers, with the names in the path taken out. A route's template is
// also the name under which its requests are counted.

import type { Caller, Category } from './access.ts';
import type { Reply } from './reply.ts';
import type { World } from './world.ts';

export type Call = {
  readonly world: World;
  readonly caller: Caller | undefined;
  readonly method: string;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly contentType: string;
  readonly body: Buffer;
};

export type Route = {
  readonly method: string;
  /** Below the root of the server; `{name}` is one part of the path, `{name...}` the rest of it. */
  readonly path: string;
  /** What the token must have a scope for; undefined = nothing. */
  readonly category?: Category;
  readonly answer: (call: Call) => Reply;
};

export type Found = { readonly route: Route; readonly params: Readonly<Record<string, string>> };
export type Router = { find(method: string, path: string): Found | undefined };

export function createRouter(routes: readonly Route[]): Router {
  const compiled = routes.map((route) => ({ route, pattern: patternOf(route.path) }));
  return {
    find: (method, path) => {
      for (const { route, pattern } of compiled) {
        const match = route.method === method ? pattern.exec(path) : null;
        if (match !== null) return { route, params: paramsOf(match.groups ?? {}) };
      }
      return undefined;
    },
  };
}

function patternOf(template: string): RegExp {
  const source = template.replaceAll('.', String.raw`\.`).replaceAll(/\{(\w+)(\\\.\\\.\\\.)?\}/g, (_, name: string, rest?: string) => {
    return rest === undefined ? `(?<${name}>[^/]+)` : `(?<${name}>.+)`;
  });
  return new RegExp(`^${source}$`);
}

function paramsOf(groups: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]));
}

/** The name in the path; every route names what its handler asks for. */
export function param(call: Call, name: string): string {
  return call.params[name] ?? '';
}

/** As Go's ParseInt with its error ignored: what is no number is 0. */
export function idParam(call: Call, name = 'id'): number {
  const text = param(call, name);
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}
