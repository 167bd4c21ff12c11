// Promises one question to the service over its Unix socket or a URL, and its answer or a ControllerError that says in a sentence why not:
// nobody there, too slow, somebody else, not allowed, refused. Follows no redirect, so that a token goes
// nowhere else.

import { request, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { timeoutOf } from '../clock.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import { visible } from '../log-visible.ts';
import type { SchemaName } from './shape.ts';

export type Target = { readonly socket: string } | { readonly url: URL };

/** An answer as it came, and read. `schema` says by what it is judged when it cannot be drawn. */
export type Answer<T> = { readonly text: string; readonly value: T; readonly schema: SchemaName };

export type Ask = {
  readonly path: string;
  readonly schema: SchemaName;
  readonly method?: 'GET' | 'POST';
  readonly also?: number;
  /** Sent as JSON. */ readonly body?: unknown;
};

export type Client = {
  readonly target: Target;
  /** Where it asks, for a person. */
  readonly place: string;
  /** Resolves for 2xx (and `also`) with JSON; its type is believed until it is drawn, see draw. */
  ask<T>(ask: Ask): Promise<Answer<T>>;
  /** Hands on text as it comes, until it ends; rejects when none comes for `silenceMs`. */
  read(path: string, silenceMs: number, take: (text: string) => void): Promise<void>;
};

export type ClientOptions = {
  readonly target: Target;
  readonly ending: AbortSignal;
  readonly token?: string | undefined;
  /** How long a whole answer may take. */
  readonly answerMs?: number;
};

/** /status with a thousand waiting jobs has less than one. */
const mostBytes = 64 * 1024 * 1024;

export function createClient({ target, ending, token, answerMs = 5_000 }: ClientOptions): Client {
  const place = 'socket' in target ? target.socket : target.url.origin + target.url.pathname.replace(/\/$/, '');

  const headersOf = (method: string, body = ''): Record<string, string> => ({
    ...(method === 'POST' ? { 'content-length': String(Buffer.byteLength(body)) } : {}),
    ...(body === '' ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  });

  const exchange = async (method: string, path: string, body = ''): Promise<{ readonly status: number; readonly text: string }> => {
    const late = timeoutOf(answerMs, ending);
    const headers = { accept: 'application/json', ...headersOf(method, body) };
    try {
      const response = await send(target, { method, path, headers, signal: late.signal, agent: false }, body);
      const text = await readAll(response);
      // An answer without a length ends with its connection, and so well, also when it was this end that cut it.
      late.signal.throwIfAborted();
      return { status: response.statusCode ?? 0, text };
    } catch (error) {
      if (ending.aborted || isControllerError(error)) throw error;
      if (late.signal.aborted) throw new ControllerError('API_UNREACHABLE', `${place} did not answer within ${answerMs / 1000} s`);
      throw unreachable(place, error);
    } finally {
      late.cancel();
    }
  };

  return {
    target,
    place,
    async ask<T>({ path, schema, method = 'GET', also, body }: Ask): Promise<Answer<T>> {
      const { status, text } = await exchange(method, path, body === undefined ? '' : JSON.stringify(body));
      const value = parsed(text);
      if (value === undefined)
        throw new ControllerError('API_UNREACHABLE', `what answers at ${place} is not this service: ${status} and no JSON for ${path}`);
      if ((status < 200 || status > 299) && status !== also) throw refusal(place, path, status, value);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- draw judges it by its schema when it is not so
      return { text, value: value as T, schema };
    },
    async read(path, silenceMs, take) {
      let quiet = timeoutOf(silenceMs, ending);
      const cut = new AbortController();
      const arm = (): void => quiet.signal.addEventListener('abort', () => cut.abort(), { once: true });
      arm();
      try {
        const response = await send(target, { method: 'GET', path, headers: headersOf('GET'), signal: cut.signal, agent: false });
        const status = response.statusCode ?? 0;
        if (status !== 200) throw refusal(place, path, status, parsed(await readAll(response)));
        response.setEncoding('utf8');
        for await (const part of response) {
          quiet.cancel();
          quiet = timeoutOf(silenceMs, ending);
          arm();
          take(String(part));
        }
        cut.signal.throwIfAborted();
      } catch (error) {
        if (ending.aborted || isControllerError(error)) throw error;
        if (cut.signal.aborted) throw new ControllerError('API_UNREACHABLE', `nothing came from ${place} for ${silenceMs / 1000} s`);
        throw unreachable(place, error);
      } finally {
        quiet.cancel();
      }
    },
  };
}

/** The answer as a program wants it. It stays the same data, and harmless on a terminal. */
export function rawOf({ text }: { readonly text: string }): string {
  return visible(text.trim());
}

/**
 * Draws an answer. One that cannot be drawn is judged by the schemas; they are loaded only then, because reading them takes as long as all
 * the rest of the start.
 */
export async function draw<T, R>(client: Client, { value, schema }: Answer<T>, drawing: (value: T) => R | Promise<R>): Promise<R> {
  try {
    return await drawing(value);
  } catch (error) {
    const { faultOf } = await import('./shape.ts');
    const fault = faultOf(schema, value);
    if (fault === undefined) throw error;
    const message = `what answers at ${client.place} is not this service, or of another version: ${fault}`;
    throw new ControllerError('API_UNREACHABLE', message, { cause: error });
  }
}

async function send(target: Target, options: RequestOptions, body = ''): Promise<IncomingMessage> {
  const asked = opened(target, options);
  return new Promise((resolve, reject) => {
    asked.once('response', resolve);
    asked.on('error', reject);
    asked.end(body);
  });
}

function opened(target: Target, options: RequestOptions): ClientRequest {
  if ('socket' in target) return request({ ...options, socketPath: target.socket });
  const { url } = target;
  const path = `${url.pathname.replace(/\/$/, '')}${options.path ?? ''}`;
  const to = { ...options, path, hostname: url.hostname.replace(/^\[|\]$/g, ''), port: url.port };
  if (url.protocol === 'http:') return request(to);
  return process.getBuiltinModule('node:https').request(to);
}

async function readAll(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response) {
    if (!Buffer.isBuffer(part)) continue;
    size += part.length;
    if (size > mostBytes) throw new ControllerError('API_UNREACHABLE', 'the answer is endless: more than 64 MiB');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function unreachable(place: string, error: unknown): ControllerError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : String(error);
  if (code === 'EACCES' || code === 'EPERM')
    return new ControllerError('API_FORBIDDEN', `this user may not open ${place}: ask as root, or by --url`, { cause: error });
  const why = code.startsWith('HPE_') ? 'what answers there does not speak HTTP' : (troubles[code] ?? code);
  return new ControllerError('API_UNREACHABLE', `the service does not answer at ${place}: ${why}`, { cause: error, details: { code } });
}

const troubles: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'nobody knows that name',
  EAI_AGAIN: 'the name cannot be looked up at the moment',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'the connection was not taken',
};

/** What problem+json says, as our error. */
function refusal(place: string, path: string, status: number, value: unknown): ControllerError {
  const { code, detail } = typeof value === 'object' && value !== null && 'code' in value && 'detail' in value ? value : {};
  if (typeof code !== 'string' || typeof detail !== 'string')
    return new ControllerError('API_UNREACHABLE', `what answers at ${place} is not this service: ${status} without a reason for ${path}`);
  const details = { status, code };
  if (status === 401 || status === 403)
    return new ControllerError('API_FORBIDDEN', `${detail} (${code}) Give --token-file, or ask over the Unix socket as root.`, { details });
  if (code === 'PARAMETER_INVALID') return new ControllerError('CONFIG_INVALID', detail, { details });
  return new ControllerError('API_REFUSED', `${detail} (${code})`, { details });
}
