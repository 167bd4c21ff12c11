// Promises to play a recorded exchange against a server and to say every difference. Values that differ from server to server (its URL,
// uuids, commits, tokens, times) must differ in the same way everywhere: one recorded value stands for one value of the server.

import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

type Body = { readonly json?: unknown; readonly text?: string };
export type Exchange = {
  readonly file: string;
  readonly name: string;
  readonly request: Readonly<{ method: string; path: string; headers: Readonly<Record<string, string>>; body?: Body }>;
  readonly response?: Readonly<{ status: number; headers: Readonly<Record<string, string>>; body?: Body }>;
};

const folder = new URL('recorded/', import.meta.url);
const recordedRoot = 'http://127.0.0.1:3100';

export function recordedExchanges(): readonly Exchange[] {
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  return files.flatMap((file) => {
    const rows = JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as readonly Omit<Exchange, 'file'>[];
    return rows.map((row) => ({ ...row, file: file.replace(/\.json$/, '') }));
  });
}

export type PlayOptions = {
  /** Sent as `token ...`; undefined = none. */
  readonly token?: string | undefined;
  /** Fields whose value need not be the same, only there and of the same type. */
  readonly shapeOnly?: readonly string[];
  /** Sent instead of the token that belongs to the runner's uuid. */
  readonly runnerToken?: string;
};

export type Replay = {
  /** Empty = the server answered as the real one did. */
  play(exchange: Exchange, options?: PlayOptions): Promise<readonly string[]>;
  /** From now on `recorded` stands for `actual`. */
  bind(recorded: string, actual: string): void;
  /** The token that goes with a runner's uuid. */
  credentials(uuid: string, token: string): void;
  played(): ReadonlySet<string>;
};

/** Depends on the moment, the transport or the length of names, not on what is said. */
const looseHeaders = new Set(['content-length', 'transfer-encoding', 'last-modified']);

export function createReplay(url: string): Replay {
  const bound = new Map<string, string>();
  const tokens = new Map<string, string>();
  const played = new Set<string>();
  const translated = (text: string): string => {
    let result = text.replaceAll(recordedRoot, url);
    for (const [recorded, actual] of bound) result = result.replaceAll(recorded, actual);
    return result;
  };

  async function play(
    { name, request, response }: Exchange,
    { token, shapeOnly = [], runnerToken }: PlayOptions = {},
  ): Promise<readonly string[]> {
    played.add(name);
    if (response === undefined) return ['nothing was recorded'];
    const headers = new Headers();
    for (const [key, value] of Object.entries(request.headers)) if (value !== '<secret>') headers.set(key, translated(value));
    const uuid = headers.get('x-runner-uuid');
    if (uuid !== null) headers.set('x-runner-token', runnerToken ?? tokens.get(uuid) ?? 'unknown');
    if (token !== undefined) headers.set('authorization', `token ${token}`);
    const text = request.body?.json === undefined ? request.body?.text : JSON.stringify(request.body.json);
    const body = text === undefined ? {} : { body: translated(text) };
    const answer = await fetch(url + translated(request.path), { method: request.method, headers, redirect: 'manual', ...body });
    const said = await answer.text();
    const differences: string[] = [];
    if (answer.status !== response.status) differences.push(`status ${answer.status} instead of ${response.status}: ${said.slice(0, 300)}`);
    for (const [key, value] of Object.entries(response.headers)) {
      const actual = answer.headers.get(key);
      if (looseHeaders.has(key) ? false : actual !== translated(value))
        differences.push(`header ${key}: ${actual} instead of ${translated(value)}`);
    }
    const compare = createComparison({ bound, translated, shapeOnly, differences });
    if (response.body?.json !== undefined) compare('body', response.body.json, JSON.parse(said));
    else if (said.trim() !== translated(response.body?.text ?? '').trim())
      differences.push(`body: ${said} instead of ${response.body?.text}`);
    learnCredentials(said);
    return differences;
  }

  function learnCredentials(text: string): void {
    const [, uuid, token] = /"uuid":"([^"]+)","token":"([^"]+)"/.exec(text) ?? [];
    if (uuid !== undefined && token !== undefined) tokens.set(uuid, token);
  }

  return {
    play,
    bind: (recorded, actual) => bound.set(recorded, actual),
    credentials: (uuid, token) => tokens.set(uuid, token),
    played: () => played,
  };
}

type Comparison = Readonly<{
  bound: Map<string, string>;
  translated: (text: string) => string;
  shapeOnly: readonly string[];
  differences: string[];
}>;

const uuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/;
const commit = /^[\da-f]{40}$/;
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const secret = /<cut>$/;
const avatar = /\/avatars\/[\da-f]{32}$/;

function createComparison({ bound, translated, shapeOnly, differences }: Comparison) {
  const differ = (path: string, recorded: unknown, actual: unknown): void => {
    differences.push(`${path}: ${JSON.stringify(actual)?.slice(0, 200)} instead of ${JSON.stringify(recorded)?.slice(0, 200)}`);
  };
  const texts = (path: string, recorded: string, actual: string, shape: boolean): void => {
    if (path.endsWith('.event_payload')) {
      compare(path, JSON.parse(recorded), JSON.parse(actual), true);
    } else if (path.endsWith('.workflowPayload')) {
      compare(path, yamlOf(recorded), yamlOf(actual));
    } else if (shape || secret.test(recorded)) {
      if ((recorded === '') !== (actual === '') && !shape) differ(path, recorded, actual);
    } else if ((time.test(recorded) && time.test(actual)) || (avatar.test(recorded) && avatar.test(actual))) {
      // Both are what they should be, and no two servers share them.
    } else if ((uuid.test(recorded) && uuid.test(actual)) || (commit.test(recorded) && commit.test(actual))) {
      const known = bound.get(recorded);
      const taken = [...bound].find(([key, value]) => value === actual && key !== recorded);
      if ((known ?? actual) !== actual || taken !== undefined) differ(path, known ?? recorded, actual);
      bound.set(recorded, actual);
    } else if (translated(recorded) !== actual) {
      differ(path, translated(recorded), actual);
    }
  };
  function compare(path: string, recorded: unknown, actual: unknown, shape = false): void {
    if (typeof recorded === 'string' && typeof actual === 'string') {
      texts(path, recorded, actual, shape);
    } else if (typeof recorded !== 'object' || recorded === null || typeof actual !== 'object' || actual === null) {
      if (shape ? typeof recorded !== typeof actual : recorded !== actual) differ(path, recorded, actual);
    } else if (Array.isArray(recorded) !== Array.isArray(actual)) {
      differ(path, recorded, actual);
    } else {
      const [left, right] = [new Map(Object.entries(recorded)), new Map(Object.entries(actual))];
      for (const key of new Set([...left.keys(), ...right.keys()])) {
        const place = `${path}.${key}`;
        if (!left.has(key) || !right.has(key)) differ(place, left.get(key), right.get(key));
        else compare(place, left.get(key), right.get(key), shape || shapeOnly.includes(key));
      }
    }
  }
  return compare;
}

function yamlOf(encoded: string): unknown {
  return parse(Buffer.from(encoded, 'base64').toString());
}
