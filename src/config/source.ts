// Promises one plain tree from the YAML text and the environment, the environment laid over the file, every value still remembering the
// variable that it came from. Mistakes of syntax are told by line and column in our own words: the parser's would quote the text.

import { isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import { isMap, mostMistakes, type Findings } from './reader.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
export type Tree = Record<string, unknown>;

/** The parser's time grows faster than the text. */
const maxBytes = 262_144;
const syntax: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'uses an alias that was not set before, or too many of them',
  BAD_INDENT: 'is not indented as its neighbours are',
  BLOCK_AS_IMPLICIT_KEY: 'has more than one key on a line, or a value that needs quotes because of its colon',
  KEY_OVER_1024_CHARS: 'has a key that is too long',
  MISSING_CHAR: 'lacks a closing quote, bracket, colon or comma',
  MULTIPLE_DOCS: 'starts a second document',
  MULTILINE_IMPLICIT_KEY: 'lacks a colon after a key',
  TAB_AS_INDENT: 'is indented with a tab, and YAML takes spaces only',
  TAG_RESOLVE_FAILED: 'has a tag; only plain YAML is read',
  UNEXPECTED_TOKEN: 'has something that does not belong there; perhaps a value that needs quotes',
};

/** The map that the text holds, with duplicate keys and syntax errors as mistakes at `file:line:column`. Undefined when it cannot be read. */
export function parseYaml(text: string, file: string, findings: Findings): Tree | undefined {
  if (text.length > maxBytes) return findings.add(file, 'is larger than 256 KiB', 'name the configuration file');
  try {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent', uniqueKeys: false });
    const problems = [...document.errors, ...document.warnings].slice(0, mostMistakes);
    const placeOf = (offset: number): string => {
      const { line, col } = lines.linePos(offset);
      return `${file}:${line}:${col}`;
    };
    const twice = repeatedKeysOf(document);
    for (const offset of twice) findings.add(placeOf(offset), `has the key ${keyAt(text, offset)} a second time`, 'keep one of them');
    for (const { code, pos } of problems)
      findings.add(placeOf(pos[0]), syntax[code] ?? `is not YAML (${code})`, 'correct the line; keys and values are written `key: value`');
    if (problems.length + twice.length > 0) return undefined;
    const tree: unknown = document.toJS({ maxAliasCount: 100 });
    if (tree === null || tree === undefined) return {};
    if (isMap(tree)) return { ...tree };
    return findings.add(file, 'is not a map', 'write `key: value` lines; see config.example.yaml');
  } catch (error) {
    // The parser itself gave up: nested too deep, or an alias bomb. Its message may quote the text.
    const name = error instanceof Error ? error.name : 'unknown';
    return findings.add(file, `cannot be read as YAML (${name})`, 'see config.example.yaml');
  }
}

/** Where a key stands for the second time in one map. The parser's own check compares each key with each. */
function repeatedKeysOf(document: Document): readonly number[] {
  const offsets: number[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Set<unknown>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value) && offsets.length < mostMistakes) offsets.push(key.range?.[0] ?? 0);
        seen.add(key.value);
      }
    },
  });
  return offsets;
}

function keyAt(text: string, offset: number): string {
  return /^[A-Za-z_]\w{0,40}(?=\s*:)/.exec(text.slice(offset, offset + 60))?.[0] ?? '(not shown)';
}

/** Variables that override one scalar of the file. RUNNER_LABELS, HTTP_PORT and FORGEJO_* are handled apart. */
const scalars: readonly (readonly [variable: string, key: string])[] = [
  ['CONTROLLER_ID', 'controllerId'],
  ['STATE_DIR', 'stateDir'],
  ['MAX_CONCURRENT', 'maxConcurrent'],
  ['POLL_INTERVAL', 'pollInterval'],
  ['JOB_TIMEOUT', 'jobTimeout'],
];
const scopes = ['FORGEJO_REPO', 'FORGEJO_ORG', 'FORGEJO_USER', 'FORGEJO_INSTANCE'] as const;
const scopeNames = scopes.join(', ');
const forgeVariables = ['FORGEJO_URL', 'FORGEJO_INSTANCE_URL', 'FORGEJO_TOKEN_FILE', ...scopes];

/** The variable's value; empty counts as not set, because that is how units unset one. */
export function valueOf(env: Environment, variable: string): string | undefined {
  const value = env[variable]?.trim();
  return value === undefined || value === '' ? undefined : value;
}

/** Lays the environment over the file's tree (`file` undefined: the environment is all there is). */
export function overlay(file: Tree | undefined, env: Environment, findings: Findings): Tree {
  const tree: Tree = { ...file };
  for (const [variable, key] of scalars) {
    const value = valueOf(env, variable);
    if (value === undefined) continue;
    tree[key] = value;
    findings.rename(key, variable);
  }
  if (valueOf(env, 'FORGEJO_TOKEN') !== undefined)
    findings.add(
      'FORGEJO_TOKEN',
      'is an inline secret (not shown)',
      'unset it, put the token into a file and name that in FORGEJO_TOKEN_FILE',
    );
  const given = forgeVariables.filter((variable) => valueOf(env, variable) !== undefined);
  if (file === undefined && given.length === 0)
    findings.add(
      'the configuration',
      'is nowhere: no file is named, and no variable is set',
      'write a file with the command init, or name yours with --config FILE, or set at least these three',
    );
  if (file === undefined || given.length > 0) overlayForge(tree, env, given, findings);
  return tree;
}

function overlayForge(tree: Tree, env: Environment, given: readonly string[], findings: Findings): void {
  const listed: unknown = tree['forges'];
  if (listed !== undefined && listed !== null && !Array.isArray(listed)) return; // reported where forges are read
  const forges: readonly unknown[] = Array.isArray(listed) ? listed : [];
  if (forges.length > 1) {
    const name = given[0] ?? 'FORGEJO_URL';
    findings.add(
      name,
      `is set, but the file has ${forges.length} forges and it could mean any`,
      `unset ${given.join(', ')} or keep one forge in the file`,
    );
    return;
  }
  const base: unknown = forges[0];
  if (base !== undefined && !isMap(base)) return;
  const alone = base === undefined;
  const forge: Tree = alone ? { name: 'default' } : { ...base };
  const pairs = [
    ['FORGEJO_URL', 'url'],
    ['FORGEJO_INSTANCE_URL', 'instanceUrl'],
    ['FORGEJO_TOKEN_FILE', 'tokenFile'],
  ] as const;
  for (const [variable, key] of pairs) {
    const value = valueOf(env, variable);
    // Without a file the variable is also the name of what is missing.
    if (value !== undefined || alone) findings.rename(`forges[0].${key}`, variable);
    if (value !== undefined) forge[key] = value;
  }
  overlayScope(forge, env, alone, findings);
  tree['forges'] = [forge];
}

function overlayScope(forge: Tree, env: Environment, alone: boolean, findings: Findings): void {
  const set = scopes.filter((variable) => isOn(variable, valueOf(env, variable)));
  const only = set[0];
  if (only === undefined) {
    if (alone) findings.rename('forges[0].scope', scopeNames.replace(/, (?=FORGEJO_INSTANCE)/, ' or '));
    return;
  }
  if (set.length > 1) findings.add(set.join(' and '), 'are both set', `keep exactly one of ${scopeNames}`);
  const value = valueOf(env, only);
  findings.rename('forges[0].scope', only);
  if (only === 'FORGEJO_REPO') forge['scope'] = { repository: value };
  else if (only === 'FORGEJO_ORG') forge['scope'] = { organization: value };
  else forge['scope'] = only === 'FORGEJO_USER' ? { user: true } : { instance: true };
  findings.rename('forges[0].scope.repository', 'FORGEJO_REPO');
  findings.rename('forges[0].scope.organization', 'FORGEJO_ORG');
}

/** FORGEJO_INSTANCE=false is what a person writes to say no. */
function isOn(variable: string, value: string | undefined): boolean {
  if (value === undefined) return false;
  return variable !== 'FORGEJO_INSTANCE' || !/^(?:false|no|off|0)$/i.test(value);
}
