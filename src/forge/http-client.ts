// Promises one HTTP exchange with one server, within bounds: time-outs for connecting, headers, body and the whole call, a cap on the body,
// no redirects, few retries and only of reads. Rejects with ControllerError alone; knows nothing of Forgejo, and its errors never hold a
// request header or a body.

import { Pool } from 'undici';
import { timeoutOf, type Clock } from '../clock.ts';
import { ControllerError } from '../errors.ts';

export type HttpCall = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path and query below the base URL; starts with a slash. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A larger successful body rejects with FORGE_INCOMPATIBLE; that of a refusal is cut. */
  readonly maxBytes: number;
  /** For an answer that is large: made once it is, then given each piece; only what it returns is kept and counted, undefined is too much. */
  readonly sieve?: () => (piece: Buffer) => Buffer | undefined;
  readonly signal?: AbortSignal | undefined;
};

/** An answer that is neither a redirect, a 429 nor a 502..504: those reject. Header names are lower-case. */
export type HttpReply = { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly text: string };

export type HttpLimits = {
  readonly connectMs: number;
  readonly headersMs: number;
  /** Longest silence between two pieces of a body. */
  readonly bodyMs: number;
  /** The whole call: queueing, every try and the pauses between them. */
  readonly callMs: number;
  /** Tries of a GET, the first included. Everything else is tried once. */
  readonly tries: number;
  /** Before try n a pause of random() x min(pauseMaxMs, pauseMs x 2^(n-2)): full jitter. */
  readonly pauseMs: number;
  readonly pauseMaxMs: number;
  /** A longer Retry-After is not slept through but handed on as FORGE_THROTTLED. */
  readonly retryAfterMaxMs: number;
  readonly connections: number;
};

const defaultLimits: HttpLimits = {
  connectMs: 5_000,
  headersMs: 15_000,
  bodyMs: 15_000,
  callMs: 30_000,
  tries: 3,
  pauseMs: 200,
  pauseMaxMs: 2_000,
  retryAfterMaxMs: 2_000,
  connections: 16,
};

/** What 429 means when it does not say for how long, and the longest that is believed. */
const silentThrottleMs = 30_000;
const longestThrottleMs = 3_600_000;
/** An answer up to here is kept as it came: a sieve looks at every byte. */
const sievedBytes = 4 * 1024 * 1024;
/** Enough of a refusal to quote its message. */
const refusalBytes = 64 * 1024;

/** No connection, or one that broke: a read may be tried again. Time-outs are not here: the server is slow already. */
const brokenConnection = new Set([
  'EAI_AGAIN',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_SOCKET',
]);

export type HttpClient = {
  /** One exchange. Errors: FORGE_UNREACHABLE, FORGE_THROTTLED (details.retryAfterMs), FORGE_INCOMPATIBLE (redirect, body too large). */
  send(call: HttpCall): Promise<HttpReply>;
  /** Cuts what is under way and closes every connection. */
  close(): Promise<void>;
};

export type HttpClientOptions = {
  /** Origin and optional sub-path, e.g. https://example.org/git. */
  readonly baseUrl: string;
  /** Who alone may have signed the server's certificate, as PEM; undefined = whom Node trusts. */
  readonly ca?: string | undefined;
  readonly clock: Clock;
  /** 0 <= random() < 1. */
  readonly random: () => number;
  readonly limits?: Partial<HttpLimits> | undefined;
  readonly onRetry?: (error: ControllerError, pauseMs: number) => void;
  /** Hears of every try; without a status there was no answer. */
  readonly onAnswer?: ((call: HttpCall, status: number | undefined) => void) | undefined;
};

/** One try: an answer, or an error and the pause after which another try makes sense. */
type Try =
  | { readonly kind: 'reply'; readonly reply: HttpReply }
  | { readonly kind: 'failed'; readonly error: ControllerError; readonly again: 'never' | 'jitter' | number };

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const limits: HttpLimits = { ...defaultLimits, ...options.limits };
  const base = new URL(options.baseUrl);
  const prefix = base.pathname.replace(/\/+$/, '');
  const pool = new Pool(base.origin, {
    connections: limits.connections,
    // Whoever names authorities wants them looked at, whatever the environment says.
    connect: { timeout: limits.connectMs, ...(options.ca === undefined ? {} : { ca: options.ca, rejectUnauthorized: true }) },
    headersTimeout: limits.headersMs,
    bodyTimeout: limits.bodyMs,
    // One exchange per connection: a slow list must not hold up a registration.
    allowH2: false,
  });

  async function exchange(call: HttpCall, signal: AbortSignal): Promise<HttpReply> {
    const { statusCode, headers, body } = await pool.request({
      method: call.method,
      path: `${prefix}${call.path}`,
      headers: { 'user-agent': 'forgejo-runner-controller', accept: 'application/json', ...call.headers },
      body: call.body ?? null,
      signal,
    });
    const good = statusCode < 300;
    const cap = good ? call.maxBytes : Math.min(call.maxBytes, refusalBytes);
    let pieces: Buffer[] = [];
    let size = 0;
    let sieve: ReturnType<NonNullable<HttpCall['sieve']>> | undefined;
    for await (const piece of body as AsyncIterable<Buffer>) {
      const kept = sieve === undefined ? piece : sieve(piece);
      if (kept !== undefined) pieces.push(kept);
      size += kept?.length ?? Infinity;
      if (size > sievedBytes && sieve === undefined && call.sieve !== undefined) {
        sieve = call.sieve();
        const whole = sieve(Buffer.concat(pieces));
        pieces = whole === undefined ? [] : [whole];
        size = whole?.length ?? Infinity;
      }
      if (size > cap) break;
    }
    if (good && size > cap) throw tooLarge(call, statusCode);
    const plain = Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)] as const]));
    return { status: statusCode, headers: new Map(plain), text: Buffer.concat(pieces).toString('utf8') };
  }

  async function attempt(call: HttpCall, signal: AbortSignal): Promise<Try> {
    try {
      const reply = await exchange(call, signal);
      options.onAnswer?.(call, reply.status);
      return judge(base, call, reply, options.clock.wallOf(options.clock.now()), limits);
    } catch (error) {
      if (error instanceof ControllerError) return { kind: 'failed', error, again: 'never' };
      // The network's errors have a code; a bug of ours must not pass for a forge that does not answer.
      if (error instanceof TypeError && !('code' in error)) throw error;
      options.onAnswer?.(call, undefined);
      const failure = signal.aborted ? interrupted(base, call, limits) : unreachable(base, call, error, options.ca !== undefined);
      return { kind: 'failed', error: failure, again: brokenConnection.has(codeOf(error)) ? 'jitter' : 'never' };
    }
  }

  async function send(call: HttpCall): Promise<HttpReply> {
    const deadline = timeoutOf(limits.callMs, call.signal);
    try {
      return await sendWithin(call, deadline.signal);
    } finally {
      deadline.cancel();
    }
  }

  async function sendWithin(call: HttpCall, signal: AbortSignal): Promise<HttpReply> {
    const tries = call.method === 'GET' ? limits.tries : 1;
    for (let nth = 1; ; nth += 1) {
      const outcome = await attempt(call, signal);
      if (outcome.kind === 'reply') return outcome.reply;
      if (outcome.again === 'never' || nth >= tries) throw outcome.error;
      const jittered = options.random() * Math.min(limits.pauseMaxMs, limits.pauseMs * 2 ** (nth - 1));
      const pauseMs = outcome.again === 'jitter' ? jittered : outcome.again;
      options.onRetry?.(outcome.error, pauseMs);
      await options.clock.sleep(pauseMs, signal);
    }
  }

  return { send, close: () => pool.destroy() };
}

/** Sorts an answer: what says "elsewhere", "later" or "broken gateway" is not an answer to the question. */
function judge(base: URL, call: HttpCall, reply: HttpReply, wall: number, limits: HttpLimits): Try {
  const { status } = reply;
  const retryAfterMs = retryAfterMsOf(reply.headers.get('retry-after'), wall);
  if (status >= 300 && status < 400) return { kind: 'failed', error: moved(base, call, reply), again: 'never' };
  if (status === 429 || (status === 503 && retryAfterMs !== undefined)) {
    const waitMs = retryAfterMs ?? silentThrottleMs;
    const seconds = Math.ceil(waitMs / 1000);
    const message = `${base.origin} asks to wait ${seconds} s before ${call.method} ${call.path} (status ${status}).`;
    const error = new ControllerError('FORGE_THROTTLED', message, { details: { ...detailsOf(call), status, retryAfterMs: waitMs } });
    return { kind: 'failed', error, again: waitMs <= limits.retryAfterMaxMs ? waitMs : 'never' };
  }
  if (status >= 502 && status <= 504) {
    const message = `${base.origin} answered ${status} to ${call.method} ${call.path}: the server or a proxy before it is not ready.`;
    const error = new ControllerError('FORGE_UNREACHABLE', message, { details: { ...detailsOf(call), status } });
    return { kind: 'failed', error, again: 'jitter' };
  }
  return { kind: 'reply', reply };
}

/** Milliseconds of a Retry-After header: seconds, or an HTTP date to compare with the wall clock. Undefined when absent or unreadable. */
export function retryAfterMsOf(value: string | undefined, wall: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - wall;
  return Number.isNaN(ms) ? undefined : Math.min(longestThrottleMs, Math.max(0, ms));
}

function moved(base: URL, call: HttpCall, reply: HttpReply): ControllerError {
  const location = newPlaceOf(reply.headers.get('location'), base);
  const message =
    `${base.origin} answered ${reply.status} to ${call.method} ${call.path}: it is now at ${location ?? 'a place that it does not name'}. ` +
    'Redirects are not followed, because they turn a registration into a listing: put the new URL, owner or repository name into the configuration.';
  return new ControllerError('FORGE_INCOMPATIBLE', message, { details: { ...detailsOf(call), status: reply.status, location } });
}

/** Without query and user part: a sign-in proxy may put a secret there. */
function newPlaceOf(location: string | undefined, base: URL): string | undefined {
  if (location === undefined || !URL.canParse(location, base.href)) return undefined;
  const place = new URL(location, base);
  return `${place.protocol}//${place.host}${place.pathname}`;
}

function tooLarge(call: HttpCall, status: number): ControllerError {
  const message = `The answer to ${call.method} ${call.path} is larger than ${call.maxBytes} bytes and was dropped.`;
  return new ControllerError('FORGE_INCOMPATIBLE', message, { details: { ...detailsOf(call), status, maxBytes: call.maxBytes } });
}

function interrupted(base: URL, call: HttpCall, limits: HttpLimits): ControllerError {
  const cancelled = call.signal?.aborted === true;
  const why = cancelled ? 'the call was cancelled' : `no whole answer within ${limits.callMs} ms`;
  const message = `${base.origin} did not answer ${call.method} ${call.path}: ${why}.`;
  return new ControllerError('FORGE_UNREACHABLE', message, { details: { ...detailsOf(call), cancelled } });
}

function unreachable(base: URL, call: HttpCall, cause: unknown, own: boolean): ControllerError {
  const code = codeOf(cause);
  const text = code === 'ERR_SSL_WRONG_VERSION_NUMBER' ? 'it speaks no TLS there' : wordsOf(cause);
  const remedy = certificateRemedyOf(code, own);
  const message = `${base.origin} did not answer ${call.method} ${call.path}: ${[`${text}${code === '' ? '' : ` (${code})`}`, ...remedy].join('; ')}.`;
  // The parser's error carries the raw answer, which may be that to a registration.
  const safe = cause instanceof Error && 'data' in cause ? undefined : cause;
  return new ControllerError('FORGE_UNREACHABLE', message, { cause: safe, details: { ...detailsOf(call), errno: code } });
}

/** What to do about a certificate that is not believed. `own`: its authorities are named already. */
function certificateRemedyOf(code: string, own: boolean): readonly string[] {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return ['write as url a name that its certificate has'];
  if (code === 'CERT_HAS_EXPIRED') return ['renew its certificate'];
  if (!/SELF_SIGNED|UNABLE_TO_(?:VERIFY_LEAF|GET_ISSUER)|SIGNATURE/.test(code)) return [];
  return [`${own ? 'put into caFile' : 'name as caFile of this forge a file with'} the certificate of whoever signed its own`];
}

/** OpenSSL's own words stand in the middle of numbers and paths. */
function wordsOf(cause: unknown): string {
  if (!(cause instanceof Error) || cause.message === '') return 'no connection';
  return /^[0-9A-F]+:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+):/.exec(cause.message)?.[1] ?? cause.message;
}

function detailsOf(call: HttpCall): { readonly method: string; readonly path: string } {
  return { method: call.method, path: call.path };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
