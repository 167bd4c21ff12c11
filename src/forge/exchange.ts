// Promises one authorized exchange with a Forgejo, the token looked up anew for each, and what its answer is worth: a value that was checked, or
// a ControllerError with the remedy.

import type { Clock } from '../clock.ts';
import type { ForgeName, Job, Scope } from '../core/model.ts';
import type { Log } from '../log.ts';
import type { ForgeListener } from './forge.ts';
import { type Asked, notJsonOf, refusalOf, unreadableOf } from './forgejo-refusal.ts';
import { jsonOf, type Parsed, refusalMessageOf } from './forgejo-wire.ts';
import { createHttpClient, type HttpClient, type HttpLimits, type HttpReply } from './http-client.ts';
import { createListSieve } from './list-sieve.ts';
import { operationOf } from './operation.ts';
import { createTokenFile } from './token-file.ts';

export type ForgejoOptions = {
  readonly name: ForgeName;
  /** Root of the server as the controller reaches it; a sub-path is fine. */
  readonly url: string;
  readonly instanceUrl: string;
  readonly scope: Scope;
  /** Who must have signed the server's certificate; absent = whom Node trusts. */
  readonly ca?: { readonly pem: string };
  readonly tokenFile: string;
  /** What is to be delivered where, if anything is to be made sure of. */
  readonly webhook?: {
    readonly secretFile: string;
    readonly ensureUrl?: string;
    /** Of what; absent = of what may make jobs wait. */
    readonly events?: readonly string[];
    readonly inactive?: true;
  };
  /** Of which waiting jobs it is to be found out where they come from; none unless said. */
  readonly asksOrigin?: (job: Job) => boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** 0 <= random() < 1; for the pauses between tries. */
  readonly random?: () => number;
  readonly limits?: Partial<HttpLimits>;
  /** Hears of every question that was put to the server, again or for the first time; without a status there was no answer. */
  readonly onAnswer?: ForgeListener;
};

/** Lists may be long (10,000 jobs are 2 MB), and are sieved when they are; nothing else is. */
const listBytes = 32 * 1024 * 1024;
const otherBytes = 1024 * 1024;
export type Call = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: string;
  /** It may be long. */
  readonly list?: boolean;
  readonly signal: AbortSignal | undefined;
};
export type Answer = { readonly asked: Asked; readonly reply: HttpReply };
export type Ask = (call: Call) => Promise<Answer>;

/** One authorized exchange; the token is looked up anew for each. */
export function createAsk(options: ForgejoOptions): { readonly ask: Ask; readonly http: HttpClient } {
  const { name: forge, scope, log } = options;
  const tokenFile = createTokenFile({ forge, path: options.tokenFile, log });
  const http = createHttpClient({
    baseUrl: options.url,
    ca: options.ca?.pem,
    clock: options.clock,
    random: options.random ?? Math.random,
    limits: options.limits,
    onRetry: (error, pauseMs) =>
      log.debug('retry', { forge, code: error.code, ...error.details, pauseMs: Math.round(pauseMs) }, error.message),
    onAnswer: ({ method, path }, status) => options.onAnswer?.(forge, operationOf(method, path), status),
  });
  const ask: Ask = async ({ method, path, body, list = false, signal }) => {
    const token = await tokenFile.read();
    const headers = { authorization: `token ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const bounds = list ? { maxBytes: listBytes, sieve: createListSieve } : { maxBytes: otherBytes };
    const reply = await http.send({ method, path, headers, ...bounds, signal, ...(body === undefined ? {} : { body }) });
    return { asked: { forge, scope, method, path, token }, reply };
  };
  return { ask, http };
}

export function pathOf(scope: Scope): string {
  if (scope.kind === 'repository') return `/repos/${encodeURIComponent(scope.owner)}/${encodeURIComponent(scope.name)}`;
  if (scope.kind === 'organization') return `/orgs/${encodeURIComponent(scope.name)}`;
  return scope.kind === 'user' ? '/user' : '/admin';
}

/** The checked body of an answer that must have this very status. */
export function valueOf<T>({ asked, reply }: Answer, status: 200 | 201, parse: (json: unknown) => Parsed<T>): T {
  if (reply.status !== status) throw refusalOf(asked, reply);
  const json = jsonOf(reply.text);
  if (json === undefined) throw notJsonOf(asked, reply);
  const parsed = parse(json);
  if (!parsed.ok) throw unreadableOf(asked, reply, parsed.problem);
  return parsed.value;
}

/** Forgejo's own "not there"; a 404 without its message comes from a proxy or an older server and says nothing. */
export function isAbsent(reply: HttpReply): boolean {
  return reply.status === 404 && refusalMessageOf(reply.text) !== undefined;
}
