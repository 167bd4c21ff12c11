// Promises the page's questions and orders to the service, always relative to where the page stands, so that any base path and proxy will do.
// Whatever goes wrong is a Trouble with a sentence for the reader.

import type { Jobs } from '../../http/wire-v1.ts';
import type { Health, Status } from '../../http/wire.ts';
import { after, now } from './clock.ts';

export class Trouble extends Error {
  /** Of the answer; undefined when there was none. */
  readonly status: number | undefined;

  constructor(message: string, status?: number) {
    super(message);
    this.status = status;
  }
}

type Reads = { readonly health: Health; readonly status: Status; readonly 'api/v1/jobs?state=done&limit=1000': Jobs };

/** What each has and nobody else's answer. */
const signs: Readonly<Record<keyof Reads, string>> = {
  health: 'reasons',
  status: 'controller_id',
  'api/v1/jobs?state=done&limit=1000': 'jobs',
};

export type Read<T> = {
  readonly value: T;
  /** By how much the service's clock is ahead of ours. */
  readonly skewMs: number;
};

const patienceMs = 10_000;
/** The answer tells its time in whole seconds, and was some time on its way. */
const skewUnseenMs = 3_000;

export async function read<P extends keyof Reads>(path: P): Promise<Read<Reads[P]>> {
  const late = new AbortController();
  const inTime = after(patienceMs, () => late.abort());
  try {
    const response = await ask(path, { signal: late.signal });
    const value = await jsonOf(response);
    // That it is not well a service says with 503: an answer like any other.
    if (!Object.hasOwn(value, signs[path])) throw troubleOf(response, value);
    const skewMs = Date.parse(response.headers.get('date') ?? '') - now();
    return { value: value as Reads[P], skewMs: Math.abs(skewMs) > skewUnseenMs ? skewMs : 0 };
  } finally {
    inTime();
  }
}

/** The service's sentence on what came of it. */
export async function order(path: string, token: string): Promise<string> {
  const response = await ask(path, { method: 'POST', headers: token === '' ? {} : { authorization: `Bearer ${token}` } });
  const value = await jsonOf(response);
  if (!response.ok || !('sentence' in value)) throw troubleOf(response, value);
  return String(value.sentence);
}

export type Stream = {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Something came; `opened` = the first of it, the head of the answer. */
  readonly heard: (opened: boolean) => void;
  readonly line: (text: string) => void;
};

/** Line by line until it ends. Rejects with a Trouble when it breaks, or when the signal aborts. */
export async function follow({ path, headers = {}, signal, heard, line }: Stream): Promise<void> {
  const response = await ask(path, { headers, signal });
  if (!response.ok || response.body === null) throw troubleOf(response, await jsonOf(response));
  heard(true);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let begun = '';
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      heard(false);
      const lines = (begun + part.value).split('\n');
      begun = lines.pop() ?? '';
      for (const each of lines) line(each);
    }
  } catch {
    throw new Trouble('The connection broke');
  }
  if (begun !== '') line(begun);
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, { ...init, cache: 'no-store', credentials: 'same-origin', redirect: 'error', referrerPolicy: 'no-referrer' });
  } catch {
    // What the browser says of it is meant for developers, and is the same for every reason.
    throw new Trouble('The service does not answer');
  }
}

async function jsonOf(response: Response): Promise<object> {
  try {
    const value: unknown = await response.json();
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Cut off, or no JSON: either way not the service's answer.
  }
  throw new Trouble(`Something else answers in place of the service (status ${response.status})`, response.status);
}

/** Of a proxy in between, too, which may say anything. */
function troubleOf(response: Response, value: object): Trouble {
  const { detail = 'It answers what this page does not understand', code = '' }: { readonly detail?: unknown; readonly code?: unknown } =
    value;
  return new Trouble(`${String(detail)} (${response.status} ${String(code)})`, response.status);
}
