// Promises that a configuration is read to its end: every mistake is collected with its path, what stood there and the remedy, and reading
// goes on. Values of secrets, and values that look like one, are never quoted. Hand-written rather than zod: zod skips what comes after a
// failure inside one object, and its answer to a wrong union or an unknown key does not say what to write instead.

/** `passing`: the same configuration may be right at the next start, for what is wrong lies outside of it. */
export type Mistake = { readonly path: string; readonly message: string; readonly remedy: string; readonly passing?: true };

/** Where mistakes and warnings go. `add` returns undefined so that a reader can end with it. */
export type Findings = {
  readonly mistakes: Mistake[];
  readonly warnings: string[];
  add(path: string, message: string, remedy: string, passing?: boolean): undefined;
  warn(path: string, sentence: string): void;
  /** From now on this path is called by the name of the environment variable that it comes from. */
  rename(path: string, name: string): void;
  nameOf(path: string): string;
};

/** One kind of scalar: what is expected (a remedy that follows "write"), and how it is understood; a string = a mistake of its own. */
export type Kind<T> = {
  readonly expected: string;
  readonly secret?: boolean;
  parse(value: unknown): { readonly value: T } | { readonly message: string; readonly remedy?: string } | undefined;
};

/** One map of the tree, opened with the keys that it may have. */
export type Section = {
  readonly path: string;
  has(key: string): boolean;
  raw(key: string): unknown;
  pathOf(key: string): string;
  /** The value, or undefined when it is absent or was a mistake. */
  get<T>(key: string, kind: Kind<T>): T | undefined;
  /** Like get, and absence is a mistake. */
  need<T>(key: string, kind: Kind<T>): T | undefined;
  section(key: string, keys: readonly string[]): Section | undefined;
  /** The items of a list with their paths; absent = none; anything else is a mistake. */
  list(key: string, expected: string): readonly { readonly value: unknown; readonly path: string }[];
};

/** More than anybody corrects in one go. */
export const mostMistakes = 100;
/** Of anything that is listed: forges, profiles, binds. */
const mostItems = 1_000;

export function createFindings(): Findings {
  const mistakes: Mistake[] = [];
  const warnings: string[] = [];
  const names = new Map<string, string>();
  const nameOf = (path: string): string => names.get(path) ?? path;
  return {
    mistakes,
    warnings,
    add(path, message, remedy, passing = false) {
      const mistake = { path: nameOf(path), message, remedy, ...(passing ? { passing } : {}) };
      if (mistakes.length < mostMistakes && !mistakes.some((known) => known.path === mistake.path && known.message === message))
        mistakes.push(mistake);
      return undefined;
    },
    warn(path, sentence) {
      warnings.push(`${nameOf(path)}: ${sentence}`);
    },
    rename(path, name) {
      names.set(path, name);
    },
    nameOf,
  };
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for what must not be quoted back: a 40-digit hex access token, or a URL that carries a password. */
export function looksSecret(text: string): boolean {
  return /[0-9a-f]{40}/i.test(text) || /:\/\/[^/\s]*@/.test(text);
}

/** Kind and value for a sentence: `the string "x"`, `the number 7`, `nothing`, `a list`. Never the value of a secret. */
export function describe(value: unknown, secret = false): string {
  if (value === undefined || value === null || value === '') return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (isMap(value)) return 'a map';
  if (typeof value === 'string') {
    if (secret || looksSecret(value)) return 'a string (not shown)';
    return `the string ${JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)}`;
  }
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    // A token of digits alone arrives as one huge number.
    return secret || Math.abs(Number(value)) > Number.MAX_SAFE_INTEGER
      ? `a ${typeof value} (not shown)`
      : `the ${typeof value} ${String(value)}`;
  return `a ${typeof value}`;
}

/** The errno of a failed read, for a sentence. */
export function codeOf(error: unknown): string {
  const code: unknown = isMap(error) ? error['code'] : undefined;
  return typeof code === 'string' ? code : 'unreadable';
}

/** Reads one scalar wherever it stands. */
export function readScalar<T>(value: unknown, path: string, kind: Kind<T>, findings: Findings): T | undefined {
  const outcome = kind.parse(value);
  if (outcome !== undefined && 'value' in outcome) return outcome.value;
  const message = outcome?.message ?? `is ${describe(value, kind.secret)}`;
  return findings.add(path, message, outcome?.remedy ?? `write ${kind.expected}`);
}

/** Opens a map; a mistake when it is none, and one for each key that it may not have. */
export function openSection(value: unknown, path: string, keys: readonly string[], findings: Findings): Section | undefined {
  if (!isMap(value)) return findings.add(path, `is ${describe(value)}`, `write a map with some of: ${keys.join(', ')}`);
  const pathOf = (key: string): string => (path === '' ? key : `${path}.${key}`);
  for (const key of Object.keys(value)) if (!keys.includes(key)) addUnknownKey(key, pathOf, keys, findings);
  const has = (key: string): boolean => Object.hasOwn(value, key) && value[key] !== undefined && value[key] !== null;
  const raw = (key: string): unknown => (has(key) ? value[key] : undefined);
  const get = <T>(key: string, kind: Kind<T>): T | undefined =>
    Object.hasOwn(value, key) ? readScalar(value[key], pathOf(key), kind, findings) : undefined;
  return {
    path,
    has,
    raw,
    pathOf,
    get,
    need: (key, kind) => (Object.hasOwn(value, key) ? get(key, kind) : findings.add(pathOf(key), 'is missing', `write ${kind.expected}`)),
    section: (key, inner) => (Object.hasOwn(value, key) ? openSection(value[key], pathOf(key), inner, findings) : undefined),
    list(key, expected) {
      if (!Object.hasOwn(value, key)) return [];
      const items = value[key];
      if (Array.isArray(items) && items.length <= mostItems)
        return items.map((item: unknown, index) => ({ value: item, path: `${pathOf(key)}[${index}]` }));
      const found = Array.isArray(items) ? `a list of ${items.length}` : describe(items);
      findings.add(pathOf(key), `is ${found}`, `write a list of at most ${mostItems} ${expected}`);
      return [];
    },
  };
}

function addUnknownKey(key: string, pathOf: (key: string) => string, keys: readonly string[], findings: Findings): void {
  if (/^(?:token|access_?token|password|secret)$/i.test(key)) {
    findings.add(pathOf(key), 'is an inline secret (not shown)', 'put the token into a file of mode 0600 and name it as tokenFile');
    return;
  }
  const shown = looksSecret(key) || key.length > 60 ? '(a key that is not shown)' : key;
  const near = nearest(key, keys);
  const remedy = near === undefined ? `known keys here: ${keys.join(', ')}` : `did you mean ${near}?`;
  findings.add(pathOf(shown), 'is not a known key', remedy);
}

function bare(text: string): string {
  return text.toLowerCase().replaceAll(/[-_]/g, '');
}

/** The known word that is meant: equal but for case and `_` or `-`, else the closest within a third of its length. */
function nearest(word: string, known: readonly string[]): string | undefined {
  const same = known.find((candidate) => bare(candidate) === bare(word));
  if (same !== undefined || word.length > 60) return same;
  const ranked = known
    .map((candidate) => ({ candidate, distance: distanceOf(bare(word), bare(candidate)) }))
    .toSorted((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined;
}

/** Levenshtein's edit distance. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
