// Promises that docs/ACCEPTANCE.md cannot lie: every row is there once, every test and command it names exists, every state is a known word.

import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

type Row = { readonly id: string; readonly what: string; readonly shown: string; readonly state: string };

function rowsOf(markdown: string): readonly Row[] {
  return markdown
    .split('\n')
    .filter((line) => /^\| [A-Z]\d/.test(line))
    .map((line) => {
      const [, id = '', what = '', shown = '', state = ''] = line.split('|').map((cell) => cell.trim());
      return { id, what, shown, state };
    });
}

/** `S0-6..8, 15; C1..C3` -> S0-6, S0-7, S0-8, S0-15, C1, C2, C3. */
function expand(list: string): readonly string[] {
  let prefix = '';
  return list.split(/[,;]\s*/).flatMap((part) => {
    const [, own, from = '', to] = /^(S\d-|[A-Z])?(\d+)(?:\.\.(?:S\d-|[A-Z])?(\d+))?$/.exec(part.trim()) ?? [];
    prefix = own ?? prefix;
    const first = Number(from);
    return Array.from({ length: Number(to ?? from) - first + 1 }, (_, step) => `${prefix}${first + step}`);
  });
}

const all = expand('S0-1..62; S1-1..49; S2-1..60; S3-1..49; S4-1..62; C1..24; D1..23');
// The rows that the issues up to the one at work deliver: none of them may be put off.
const due = expand(
  'S0-6..17, 19..33, 35, 38..40, 42, 43, 45..47, 49, 50, 56, 58, 59; S1-3, 5..17, 19..23, 26..49; S2-1..3, 12..16, 21..30, 32..51, 54, 55, ' +
    '57; S3-1..35, 38..44, 46..49; S4-1..62; C1..C12, C14..C20, C22..C24; D1..D12, D14..D20, D22, D23',
);
const states = /^(?:held|evaluated|open|later|later: issue \d+|not applicable)$/;
const quoted = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

/** A test of that very name is in the file: the literal follows `test(`, `test.each(...)(`, or the promise of a tidiness rule. */
function isNamedIn(text: string, name: string): boolean {
  const literal = `(['"\`])${quoted(name).replaceAll("'", String.raw`\\?'`)}\\1`;
  return new RegExp(String.raw`(?:\b(?:test|it)(?:\.\w+)*\(|\)\(|\bpromise: )\s*${literal}`).test(text);
}

/** What is wrong with the evidence of a row: tests that are not there, commands that cannot be run. */
function evidenceFaults({ id, shown }: Row): readonly string[] {
  const tests = [...shown.matchAll(/"([^"]+)" \(([^)]+)\)/g)];
  const commands = [...shown.matchAll(/`([^`]+)`/g)];
  const scripts = (JSON.parse(read('package.json')) as { scripts: Record<string, string> }).scripts;
  return [
    ...tests.flatMap(([, name = '', path = '']) => {
      if (!existsSync(new URL(path, root))) return [`${id}: ${path} does not exist`];
      return isNamedIn(read(path), name) ? [] : [`${id}: no test "${name}" in ${path}`];
    }),
    ...commands.flatMap(([, command = '']) => {
      const [first = '', second = '', third = ''] = command.split(' ');
      if (first === 'npm') return (second === 'run' ? third : second) in scripts ? [] : [`${id}: no npm script for ${command}`];
      try {
        accessSync(new URL(first === 'node' ? second : first, root), first === 'node' ? constants.R_OK : constants.X_OK);
        return [];
      } catch {
        return [`${id}: ${command} cannot be run`];
      }
    }),
    ...(shown.replaceAll(/"[^"]+" \([^)]+\)|`[^`]+`/g, '').replaceAll(/[;\s]/g, '') !== '' && tests.length + commands.length > 0
      ? [`${id}: "${shown}" is more than tests and commands`]
      : []),
  ];
}

function stateFaults({ id, shown, state }: Row): readonly string[] {
  if (!states.test(state)) return [`${id}: "${state}" is no state`];
  if (/^(?:held|evaluated)$/.test(state) && !/"[^"]+" \([^)]+\)|`[^`]+`/.test(shown)) return [`${id}: ${state} by nothing`];
  if (state === 'not applicable' && shown === '') return [`${id}: not applicable without a reason`];
  if (state.startsWith('later') && due.includes(id)) return [`${id}: is due and cannot be put off`];
  return [];
}

const rows = rowsOf(read('docs/ACCEPTANCE.md'));
const sample = (over: Partial<Row>): Row => ({ id: 'S0-1', what: 'x', shown: '', state: 'later', ...over });

describe('the acceptance table', () => {
  test('every row is listed exactly once, in order', () => {
    expect(rows.map(({ id }) => id)).toEqual(all);
    expect(due.filter((id) => !all.includes(id))).toEqual([]);
  });

  test('every row says what it is about', () => {
    expect(rows.filter(({ what }) => what.length < 8)).toEqual([]);
  });

  test('every state is a known word with what it needs', () => {
    expect(rows.flatMap(stateFaults)).toEqual([]);
  });

  test('every test and command that a row names exists', () => {
    expect(rows.flatMap(evidenceFaults)).toEqual([]);
  });

  test('open rows are those of the issue at work, and are counted', async ({ annotate }) => {
    const open = rows.filter(({ state }) => state === 'open').map(({ id }) => id);
    await annotate(`${open.length} of ${due.length} rows are open`);
    process.stdout.write(`acceptance: ${open.length} of ${due.length} rows are open\n`);
    expect(open.filter((id) => !due.includes(id))).toEqual([]);
  });

  test('false evidence and unknown states are seen', () => {
    const here = 'test/acceptance.test.ts';
    expect(evidenceFaults(sample({ shown: `"every row says what it is about" (${here}); \`./scripts/test\`; \`npm run build\`` }))).toEqual(
      [],
    );
    const nowhere = 'every row is proven by hand';
    expect(evidenceFaults(sample({ shown: `"${nowhere}" (${here})` }))).toHaveLength(1);
    expect(evidenceFaults(sample({ shown: '"a test" (test/none.test.ts)' }))).toHaveLength(1);
    expect(evidenceFaults(sample({ shown: '`./scripts/none`; `npm run none`' }))).toHaveLength(2);
    expect(evidenceFaults(sample({ shown: '`./scripts/test` and luck' }))).toHaveLength(1);
    expect(stateFaults(sample({ state: 'done' }))).toHaveLength(1);
    expect(stateFaults(sample({ state: 'held' }))).toHaveLength(1);
    expect(stateFaults(sample({ state: 'evaluated' }))).toHaveLength(1);
    expect(stateFaults(sample({ state: 'not applicable' }))).toHaveLength(1);
    expect(stateFaults(sample({ id: 'S0-6', state: 'later: issue 9' }))).toHaveLength(1);
  });
});
