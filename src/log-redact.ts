// Promises that facts leave as plain JSON data without a secret (I7): by path (the key says so), by value (it was concealed before) and by
// shape (an Authorization header, a URL with a password). Knows errors, cycles and depth; never changes what it was given.

import { isControllerError } from './errors.ts';

const mask = '[secret]';
const maxConcealed = 4096;
const minLength = 4;
/** A key is what the last four characters leave when each shifts those before it by five bits: of a fifth nothing is left. */
const keyBits = 5 * minLength;
const keyMask = 2 ** keyBits - 1;
const maxText = 4096;
const none = new Uint8Array();
const maxDepth = 6;
const maxItems = 100;

const secretKey = /(?:token|password|passwd|authorization|secret|cookie|apikey)$/;
const inHeader = /\b(token|bearer|basic)\s+(?=\S*\d)[\w.~+/=-]{16,}/gi;
const inUrl = /(:\/\/)[^/\s@"']+@/g;

export type Redactor = {
  /** From now on the value is masked: as it is, URL-encoded, inside JSON and inside base64. Shorter than 4 characters is ignored. */
  conceal(this: void, secret: string): void;
  text(this: void, value: string): string;
  /** Plain data for JSON. `stack`: errors come with theirs. */
  data(value: unknown, stack: boolean): unknown;
};

export function createRedactor(): Redactor {
  const concealed = new Map<string, readonly string[]>();
  /** Every form by its first characters: a line is walked once, however many secrets there are. */
  const index = new Map<string, Set<string>>();
  /** Nearly all of a text begins no secret: a bit for each key that one begins with spares the look into the index. Made when it is needed. */
  let begins: Uint8Array | undefined;
  let forgotten = 0;

  const forget = (secret: string): void => {
    for (const form of concealed.get(secret) ?? []) {
      const bucket = index.get(form.slice(0, minLength));
      bucket?.delete(form);
      if (bucket?.size === 0) index.delete(form.slice(0, minLength));
    }
    concealed.delete(secret);
    // Bits that nothing has any more only cost time, so they may stay for a while.
    forgotten += 1;
    if (forgotten % maxConcealed === 0) begins = begunBy(index.keys());
  };

  const conceal = (secret: string): void => {
    if (secret.length < minLength) return;
    forget(secret); // and remember it as the newest
    const forms = formsOf(secret);
    concealed.set(secret, forms);
    for (const form of forms) {
      const key = form.slice(0, minLength);
      const bucket = index.get(key) ?? new Set();
      index.set(key, bucket.add(form));
      begins ??= begunBy([]);
      note(begins, key);
    }
    const oldest = concealed.keys().next().value;
    if (concealed.size > maxConcealed && oldest !== undefined) forget(oldest);
  };

  const text = (value: string): string => {
    let clean = '';
    let from = 0;
    let key = 0;
    const bits = begins ?? none;
    const end = bits === none ? 0 : value.length;
    for (let last = 0; last < end; last += 1) {
      key = ((key << 5) ^ value.charCodeAt(last)) & keyMask;
      const at = last - minLength + 1;
      if (at < from || ((bits[key >> 3] ?? 0) & (1 << (key & 7))) === 0) continue;
      const found = longestAt(value, at, index.get(value.slice(at, at + minLength)));
      if (found === 0) continue;
      clean += value.slice(from, at) + mask;
      from = at + found;
    }
    clean = (clean + value.slice(from)).replaceAll(inUrl, `$1${mask}@`).replaceAll(inHeader, `$1 ${mask}`);
    // Cut after masking: half a secret would not be recognised.
    return clean.length > maxText ? `${clean.slice(0, maxText)}... (${clean.length} characters)` : clean;
  };

  return { conceal, text, data: (value, stack) => plain(value, { text, stack, seen: new Set(), depth: 0 }) };
}

type Walk = {
  readonly text: (value: string) => string;
  readonly stack: boolean;
  readonly seen: ReadonlySet<object>;
  readonly depth: number;
};

function plain(value: unknown, walk: Walk): unknown {
  if (typeof value === 'string') return walk.text(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (walk.seen.has(value)) return '[circular]';
  if (walk.depth >= maxDepth) return '[deep]';
  const inner = { ...walk, seen: new Set([...walk.seen, value]), depth: walk.depth + 1 };
  if (value instanceof Error) return plainError(value, inner);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid date' : value.toISOString();
  if (value instanceof URL) return walk.text(value.href);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map) return plain(Object.fromEntries(value), inner);
  if (value instanceof Set) return plain([...value], inner);
  if (Array.isArray(value)) {
    const items = value.slice(0, maxItems).map((item: unknown) => plain(item, inner) ?? null);
    return value.length > maxItems ? [...items, `... ${value.length - maxItems} more`] : items;
  }
  return plainMap(Object.entries(value), inner);
}

function plainMap(entries: readonly (readonly [string, unknown])[], walk: Walk): Readonly<Record<string, unknown>> {
  const pairs = entries.map(([key, item]) => {
    const secret = item !== undefined && item !== null && secretKey.test(key.toLowerCase().replaceAll(/[-_]/g, ''));
    return [walk.text(key), secret ? mask : plain(item, walk)] as const;
  });
  return Object.fromEntries(pairs.filter(([, item]) => item !== undefined));
}

function plainError(error: Error, walk: Walk): Readonly<Record<string, unknown>> {
  const own: unknown = 'code' in error ? error.code : undefined;
  const details: unknown = isControllerError(error) ? error.details : undefined;
  const empty = typeof details !== 'object' || details === null || Object.keys(details).length === 0;
  const parts: Record<string, unknown> = {
    code: typeof own === 'string' || typeof own === 'number' ? own : error.name,
    message: error.message,
    details: empty ? undefined : details,
    cause: error.cause,
    errors: error instanceof AggregateError ? error.errors : undefined,
    stack: walk.stack ? error.stack : undefined,
  };
  return plainMap(Object.entries(parts), walk);
}

function begunBy(keys: Iterable<string>): Uint8Array {
  const bits = new Uint8Array(2 ** (keyBits - 3));
  for (const key of keys) note(bits, key);
  return bits;
}

function note(bits: Uint8Array, beginning: string): void {
  let key = 0;
  for (let at = 0; at < minLength; at += 1) key = ((key << 5) ^ beginning.charCodeAt(at)) & keyMask;
  bits[key >> 3] = (bits[key >> 3] ?? 0) | (1 << (key & 7));
}

function longestAt(value: string, at: number, forms: ReadonlySet<string> | undefined): number {
  let longest = 0;
  for (const form of forms ?? []) if (form.length > longest && value.startsWith(form, at)) longest = form.length;
  return longest;
}

/** The ways in which a secret shows up in other text. Base64 has three, by its place in what was encoded. */
function formsOf(secret: string): readonly string[] {
  const encoded = encodeURIComponent(secret.toWellFormed());
  const forms = [secret, encoded, encoded.replaceAll(/%../g, (code) => code.toLowerCase()), JSON.stringify(secret).slice(1, -1)];
  const bytes = Buffer.from(secret);
  for (const offset of [0, 1, 2]) {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    // Only the characters that do not depend on the neighbours.
    const core = text.slice(offset === 0 ? 0 : offset + 1, Math.floor(((offset + bytes.length) * 8) / 6));
    // Fewer than 8 characters would be found in innocent text too.
    if (core.length >= 8) forms.push(core, core.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return [...new Set(forms)];
}
