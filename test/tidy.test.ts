// Promises that the rules of the house hold over the whole tree: layers, doors, sizes, names, banned calls, and honest tests. Every rule
// proves beside its own test that it can fail, on a sample that breaks it.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { functionsOf, importsOf, sourceOf, type Source } from './support/source.ts';

const root = new URL('..', import.meta.url);
const tracked = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((path) => path !== '' && existsSync(new URL(path, root)));
const read = (path: string) => sourceOf(path, readFileSync(new URL(path, root), 'utf8'));
const sources = tracked.filter((path) => /^src\/.*\.ts$/.test(path)).map(read);
const suites = tracked.filter((path) => /^test\/.*\.test\.ts$/.test(path)).map(read);
const typed = tracked.filter((path) => /^(?:src|test|scripts)\/.*\.ts$/.test(path) && !path.startsWith('test/support/gen/')).map(read);
const texts = tracked.filter((path) => !/\.(?:png|ico|gz|zst)$/.test(path));

type Rule = {
  readonly promise: string;
  readonly over: () => readonly Source[];
  /** What is wrong with the file, as sentences. */
  readonly faults: (source: Source) => readonly string[];
  /** Path and text of files that break the rule. */
  readonly bad: readonly (readonly [path: string, text: string])[];
  /** Path and text of files that keep it although they look alike. */
  readonly good?: readonly (readonly [path: string, text: string])[];
};

/** A rule against a pattern in the code (or, with `raw`, in the text), outside the files that may. */
const banned = (pattern: RegExp, allowed: RegExp, raw = false) => {
  const every = new RegExp(pattern, pattern.flags.includes('g') ? pattern.flags : `${pattern.flags}g`);
  return (source: Source) => {
    if (allowed.test(source.path)) return [];
    const text = raw ? source.text : source.code;
    return [...text.matchAll(every)].map((hit) => `line ${text.slice(0, hit.index).split('\n').length}: ${hit[0].trim()}`);
  };
};
const nowhere = /^$/;

// Lower never imports higher. Files of one group may import each other; files of one height but other groups may not.
const groups: readonly (readonly [pattern: RegExp, group: string, height: number])[] = [
  [/^src\/core\//, 'core', 0],
  [/^src\/(?:errors|claim|clock|events|doctor|commands|ownership|log(?:-[a-z-]+)?)\.ts$/, 'base', 1],
  [/^src\/(?:forge\/forge|driver\/driver|store\/store|archive\/archive)\.ts$/, 'ports', 2],
  [/^src\/config\//, 'config', 2],
  [/^src\/metrics\//, 'metrics', 3],
  [/^src\/traces\//, 'traces', 3],
  [/^src\/statuses\//, 'statuses', 3],
  [/^src\/forge\//, 'forge', 3],
  [/^src\/driver\//, 'driver', 3],
  [/^src\/store\//, 'store', 3],
  [/^src\/archive\//, 'archive', 3],
  [/^src\/reconciler\//, 'reconciler', 3],
  [/^src\/http\//, 'http', 4],
  [/^src\/cli\//, 'cli', 5],
  [/^src\/page\//, 'page', 5],
  [/^src\/daemon(?:-[a-z-]+)?\.ts$/, 'daemon', 6],
  [/^src\/(?:main|runner-status)\.ts$/, 'main', 7],
];
const adapters = new Set(['forge', 'driver', 'store', 'archive']);
const placeOf = (path: string) => {
  const found = groups.find(([pattern]) => pattern.test(path));
  return found === undefined ? undefined : { group: found[1], height: found[2] };
};

function layerFaults(source: Source): readonly string[] {
  const here = placeOf(source.path);
  if (here === undefined) return [`${source.path} has no place in the layers`];
  return importsOf(source)
    .filter((target) => target.startsWith('src/'))
    .flatMap((target) => {
      const there = placeOf(target);
      if (there === undefined) return [`${target} has no place in the layers`];
      if (there.group === here.group) return [];
      // One of core's errors is allowed up and down: an error has no layer.
      if (here.group === 'core' && target === 'src/errors.ts') return [];
      if (there.height >= here.height) return [`imports ${target}, which is not below it`];
      if (adapters.has(there.group) && here.group !== 'daemon') return [`imports ${target}; only the daemon names adapters`];
      return [];
    });
}

const doors: Readonly<Record<string, RegExp>> = {
  core: /./,
  config: /\/(?:config|init)\.ts$/,
  forge: /\/(?:forge|forgejo)\.ts$/,
  driver: /\/(?:driver|nspawn|nixos-container)\.ts$/,
  store: /\/(?:store|file-store)\.ts$/,
  archive: /\/(?:archive|file-archive)\.ts$/,
  reconciler: /\/reconciler\.ts$/,
  metrics: /\/metrics\.ts$/,
  traces: /\/traces\.ts$/,
  statuses: /\/statuses\.ts$/,
  http: /\/(?:http|app|wire(?:-v1)?)\.ts$/,
  cli: /\/cli\.ts$/,
  page: /\/page\.ts$/,
};

function doorFaults(source: Source): readonly string[] {
  const [, own = '', inside] = source.path.split('/');
  return importsOf(source).flatMap((target) => {
    const [, room = '', file] = target.split('/');
    if (!target.startsWith('src/') || file === undefined || (inside !== undefined && room === own)) return [];
    return doors[room]?.test(target) === true ? [] : [`imports ${target}, which is not the door of src/${room}`];
  });
}

const libraries: Readonly<Record<string, RegExp>> = {
  execa: /^src\/driver\/exec\.ts$/,
  undici: /^src\/(?:forge\/|cli\/client\.ts$)/,
  hono: /^src\/http\//,
  '@hono/node-server': /^src\/http\//,
  yaml: /^src\/config\//,
  pino: /^src\/log\.ts$/,
  'node-cron': /^src\/daemon/,
  'prom-client': /^src\/metrics\//,
  '@opentelemetry/api': /^src\/traces\//,
  '@opentelemetry/exporter-trace-otlp-http': /^src\/traces\/exporter\.ts$/,
  '@opentelemetry/resources': /^src\/traces\/exporter\.ts$/,
  '@opentelemetry/sdk-trace': /^src\/traces\/exporter\.ts$/,
  zod: /^src\/store\/|wire[^/]*\.ts$/,
};

function libraryFaults(source: Source): readonly string[] {
  return importsOf(source)
    .filter(
      (target) =>
        !target.startsWith('src/') &&
        !target.startsWith('node:') &&
        !(target === 'package.json' && /^src\/(?:main|runner-status)\.ts$/.test(source.path)),
    )
    .flatMap((target) => {
      const name = target.split('/', target.startsWith('@') ? 2 : 1).join('/');
      const door = libraries[name];
      if (door === undefined) return [`imports ${name}, which has no door`];
      return door.test(source.path) ? [] : [`imports ${name}, whose door is ${door.source}`];
    });
}

function openingFaults(source: Source): readonly string[] {
  const lines = source.lines[0]?.startsWith('#!') === true ? source.lines.slice(1) : source.lines;
  const length = lines.findIndex((line) => !line.startsWith('//'));
  return length >= 1 && length <= 5 ? [] : [`opens with ${length} comment lines instead of 1 to 5`];
}

/** Name, and whether the body is empty, of every test of a suite. */
function testsOf(source: Source): readonly { readonly name: string; readonly empty: boolean }[] {
  return [...source.code.matchAll(/(?<![.\w])(?:test|it)(?:\.(?:each|for|runIf|skipIf)\([^()]*(?:\([^()]*\)[^()]*)*\))?\(\s*(['"`])/g)].map(
    (hit) => {
      const quote = hit[1] ?? '';
      const start = hit.index + hit[0].length;
      const end = source.code.indexOf(quote, start);
      const rest = source.code.slice(end + 1);
      return { name: source.text.slice(start, end), empty: /^\s*,\s*(?:async\s*)?\([^)]*\)\s*=>\s*\{\s*\}/.test(rest) };
    },
  );
}

const properNames = new Set(['Forgejo', 'Debian', 'Docker', 'Node', 'Retry-After', 'Linux', 'NixOS']);

function nameFaults(source: Source): readonly string[] {
  return testsOf(source).flatMap(({ name }) => {
    const first = name.split(' ')[0] ?? '';
    const starts = !/^[A-Z]/.test(first) || /[A-Z0-9_].*[A-Z0-9_]/.test(first) || properNames.has(first.replace(/'s$|:$/, ''));
    return starts && /\S \S/.test(name) ? [] : [`"${name}" is not a sentence`];
  });
}

// Written in pieces, so that this file keeps its own rule.
const workPath = ['', 'work', ''].join('/');
const rootPath = ['', 'root', ''].join('/');
const pathsFrom = (places: readonly string[]) => new RegExp(String.raw`(?<![\w$}.*\]-])(?:${places.join('|')})`);
const machinePaths = pathsFrom([workPath, rootPath]);
const workPaths = pathsFrom([workPath]);
const mirrorHosts = [
  'registry npmjs org',
  'registry yarnpkg com',
  'npmmirror com',
  'debian org',
  'archive ubuntu com',
  'pypi org',
  'crates io',
];
const mirrors = new RegExp(mirrorHosts.map((host) => host.replaceAll(' ', String.raw`\.`)).join('|'));
const opening = '// Promises.\n\n';

const rules: readonly Rule[] = [
  {
    promise: 'lower layers never import higher ones, and adapters never see each other',
    over: () => sources,
    faults: layerFaults,
    bad: [
      ['src/core/plan.ts', "import { x } from '../log.ts';"],
      ['src/forge/forgejo.ts', "import type { x } from '../driver/nspawn.ts';"],
      ['src/http/app.ts', "import { x } from '../forge/forgejo.ts';"],
      ['src/reconciler/act.ts', "const x = await import('../http/app.ts');"],
      ['src/stray.ts', ''],
    ],
    good: [['src/daemon.ts', "import { x } from './forge/forgejo.ts';"]],
  },
  {
    promise: 'a folder is entered by its door only',
    over: () => sources,
    faults: doorFaults,
    bad: [['src/daemon.ts', "import { x } from './forge/http-client.ts';"]],
    good: [['src/forge/forgejo.ts', "import { x } from './http-client.ts';"]],
  },
  {
    promise: 'a driver is chosen in one place',
    over: () => sources,
    faults: banned(/(?<!function )\bcreate(?:Nspawn|NixosContainer)Driver\(/, /^src\/(?:daemon-parts|driver\/nixos-container)\.ts$/),
    bad: [['src/daemon-doctor.ts', 'const driver = createNspawnDriver(host);']],
    good: [
      ['src/driver/nspawn.ts', 'export function createNspawnDriver(input: Input): Driver {}'],
      ['src/daemon-parts.ts', 'const driver = createNspawnDriver(host);'],
    ],
  },
  {
    promise: 'a library is imported behind its one door only',
    over: () => sources,
    faults: libraryFaults,
    bad: [
      ['src/driver/nspawn.ts', "import { execa } from 'execa';"],
      ['src/log.ts', "import x from 'left-pad';"],
      ['src/core/plan.ts', "import { serve } from '@hono/node-server/x';"],
    ],
  },
  {
    promise: 'the core does no input or output',
    over: () => sources.filter(({ path }) => path.startsWith('src/core/')),
    faults: (source) => importsOf(source).filter((target) => target.startsWith('node:') && target !== 'node:crypto'),
    bad: [['src/core/plan.ts', "import { readFile } from 'node:fs/promises';"]],
  },
  {
    promise: 'no file is longer than 300 lines',
    over: () => sources,
    faults: ({ lines }) => (lines.length > 301 ? [`${lines.length - 1} lines`] : []),
    bad: [['src/a.ts', 'x;\n'.repeat(301)]],
    good: [['src/a.ts', 'x;\n'.repeat(300)]],
  },
  {
    promise: 'no function is longer than 70 lines, a factory not counting its closures',
    over: () => sources,
    faults: (source) =>
      functionsOf(source).flatMap((one) => {
        const length = /^create[A-Z]/.test(one.name) ? one.own : one.length;
        return length > 70 ? [`line ${one.line}: ${length} lines`] : [];
      }),
    bad: [
      ['src/a.ts', `function f(a: { b: number }): Promise<{ c: string }> {\n${'x;\n'.repeat(70)}}`],
      ['src/a.ts', `const f = async (a = ')') => {\n${'x;\n'.repeat(70)}};`],
      ['src/a.ts', `function createX() {\n${'x;\n'.repeat(69)}const f = () => {\n};\nreturn { f };\n}`],
      ['src/a.ts', `const o = {\n  async f() {\n${'`${ {a} }`;\n'.repeat(70)}} };`],
    ],
    good: [
      ['src/a.ts', `const table = {\n${'a: call(),\n'.repeat(100)}};`],
      ['src/a.ts', `function createX() {\n${'x;\n'.repeat(40)}const f = () => {\n${'x;\n'.repeat(40)}};\nreturn { f };\n}`],
      ['src/a.ts', `function f() {\n${'x;\n'.repeat(68)}}\nfunction g() {\n${'x;\n'.repeat(30)}}`],
    ],
  },
  {
    promise: 'every file opens with one to five lines of what it promises',
    over: () => typed,
    faults: openingFaults,
    bad: [
      ['src/a.ts', "import 'x';"],
      ['src/a.ts', '// x\n'.repeat(6) + '\nx;'],
    ],
    good: [['scripts/a.ts', `#!/usr/bin/env node\n${opening}`]],
  },
  {
    promise: 'time is read in the clock and the log only',
    over: () => sources,
    faults: banned(
      /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bperformance\.now\b|\bhrtime\b/,
      /^src\/(?:clock|log(?:-[a-z-]+)?|page\/browser\/clock)\.ts$/,
    ),
    bad: [
      ['src/core/plan.ts', 'const now = Date.now();'],
      ['src/core/plan.ts', 'const now = new Date();'],
    ],
    good: [['src/http/wire.ts', '// Date.now()\nconst text = new Date(ms).toISOString();']],
  },
  {
    promise: 'nothing waits on a timer of its own',
    over: () => sources,
    faults: (source) =>
      /^src\/(?:page\/browser\/)?clock\.ts$/.test(source.path)
        ? []
        : [
            ...banned(/\bset(?:Timeout|Interval)\b/, nowhere)(source),
            ...importsOf(source).filter((target) => target.startsWith('node:timers')),
          ],
    bad: [
      ['src/reconciler/act.ts', 'setTimeout(f, 10);'],
      ['src/reconciler/act.ts', "import * as t from 'node:timers/promises';"],
    ],
  },
  {
    promise: 'the page turns no text into markup or code, and keeps nothing in the browser',
    over: () => sources.filter(({ path }) => path.startsWith('src/page/browser/')),
    faults: banned(
      /\b(?:innerHTML|outerHTML|insertAdjacentHTML|setHTML\w*|parseFromString|createContextualFragment|srcdoc|eval|localStorage|sessionStorage|indexedDB|caches|cookie|location|history)\b|\bdocument\.write|\bnew Function\b|\bwindow\.open\b|\bjavascript:/,
      nowhere,
    ),
    bad: [
      ['src/page/browser/a.ts', 'node.innerHTML = text;'],
      ['src/page/browser/a.ts', 'localStorage.setItem(a, b);'],
      ['src/page/browser/a.ts', 'document.cookie = token;'],
    ],
    good: [['src/page/browser/a.ts', "node.textContent = 'innerHTML';"]],
  },
  {
    promise: 'a deadline goes with what it bounds: AbortSignal.timeout() and any() leave a timer and a signal behind',
    over: () => sources,
    faults: (source) => [
      ...banned(/\bAbortSignal\.timeout\b/, nowhere)(source),
      ...banned(/\bAbortSignal\.any\b/, /^src\/daemon[a-z-]*\.ts$/)(source),
    ],
    bad: [
      ['src/forge/a.ts', 'const late = AbortSignal.timeout(30);'],
      ['src/forge/a.ts', 'const both = AbortSignal.any([a, b]);'],
    ],
    good: [['src/daemon-end-all.ts', 'const once = AbortSignal.any([a, b]);']],
  },
  {
    promise: 'chance is an argument: Math.random is only ever handed in, by default or by the daemon',
    over: () => sources,
    faults: (source) => [
      ...banned(/\bMath\.random\(/, nowhere)(source),
      ...banned(/(?<!\?\? )\bMath\.random\b(?!\()/, /^src\/daemon[a-z-]*\.ts$/)(source),
    ],
    bad: [
      ['src/forge/a.ts', 'const x = Math.random();'],
      ['src/forge/a.ts', 'const x = a ?? Math.random();'],
      ['src/daemon.ts', 'const x = Math.random();'],
      ['src/forge/a.ts', 'const random = Math.random;'],
    ],
    good: [['src/forge/a.ts', 'const random = options.random ?? Math.random;']],
  },
  {
    promise: 'only the two programs end their process',
    over: () => sources,
    faults: banned(/\bprocess\.(?:exit|abort|reallyExit|exitCode)\b/, /^src\/(?:main|runner-status)\.ts$/),
    bad: [
      ['src/daemon.ts', 'process.exit(1);'],
      ['src/cli/cli.ts', 'process.exitCode = 1;'],
    ],
    good: [['src/main.ts', 'process.exit(1);']],
  },
  {
    promise: 'nothing but the command line speaks to the console',
    over: () => sources,
    faults: banned(/\bconsole\.\w+/, /^src\/(?:main\.ts|cli\/)/),
    bad: [['src/daemon.ts', 'console.log(1);']],
  },
  {
    promise: 'only the configuration reads the environment, which main hands to it whole',
    over: () => sources,
    faults: (source) => [
      ...banned(/\bprocess\.env\s*(?:\??\.|\[)/, /^src\/config\//)(source),
      ...banned(/\bprocess\.env\b(?!\s*(?:\??\.|\[))/, /^src\/(?:main\.ts$|runner-status\.ts$|config\/)/)(source),
    ],
    bad: [
      ['src/driver/exec.ts', "const path = process.env['PATH'];"],
      ['src/driver/exec.ts', 'run({ env: process.env });'],
      ['src/main.ts', "const path = process.env['PATH'];"],
    ],
    good: [['src/config/config.ts', 'const env = process.env;']],
  },
  {
    promise: 'no type is any',
    over: () => typed,
    faults: banned(/(?:[:<|&,=]|\bas)\s*any\b(?!\s*[:(])/, nowhere),
    bad: [
      ['src/a.ts', 'let x: any;'],
      ['src/a.ts', 'const x = y as any;'],
      ['src/a.ts', 'const x: Promise<any> = y;'],
    ],
    good: [['src/a.ts', "// as any other\nconst x = 'as any';"]],
  },
  {
    promise: 'no rule is switched off without a reason',
    over: () => typed.filter(({ path }) => path !== 'test/tidy.test.ts'),
    faults: banned(/@ts-(?:ignore|nocheck)\b.*|(?:eslint|oxlint)-disable(?!.* -- \S).*/, nowhere, true),
    bad: [
      ['src/a.ts', '// @ts-ignore because'],
      ['src/a.ts', '// oxlint-disable-next-line no-var'],
    ],
    good: [['src/a.ts', '// oxlint-disable-next-line no-var -- the other side needs it']],
  },
  {
    promise: 'files are kebab-case nouns, and none is a drawer for everything',
    over: () => typed,
    faults: ({ path }) => {
      const parts = path.replace(/(?:(?:\.property)?\.test)?\.ts$/, '').split('/');
      const odd = parts.filter((part) => !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(part));
      const drawers = /^(?:utils?|helpers?|common|misc|shared|index|types|manager)$/;
      // In test/ a service is the systemd service under test, and meant literally.
      return [...odd, ...parts.filter((part) => drawers.test(part) || (part === 'service' && path.startsWith('src/')))];
    },
    bad: [
      ['src/core/fairQueue.ts', opening],
      ['src/utils/a.ts', opening],
      ['src/core/index.ts', opening],
      ['src/forge/service.ts', opening],
    ],
    good: [['test/support/service.ts', opening]],
  },
  {
    promise: 'no file names a machine or a package mirror',
    over: () => texts.map((path) => ({ path, text: readFileSync(new URL(path, root), 'utf8'), code: '', lines: [] })),
    // End to end, root's home is that of a machine under test.
    faults: (source) => [
      ...banned(source.path.startsWith('test/e2e/') ? workPaths : machinePaths, nowhere, true)(source),
      ...banned(mirrors, nowhere, true)(source),
    ],
    bad: [
      ['docs/a.md', `see ${workPath}x`],
      ['src/a.ts', `const x = '${rootPath}.config';`],
      ['scripts/a', `debootstrap x y http://deb.${mirrorHosts[3]?.replace(' ', '.')}/debian`],
    ],
    good: [['scripts/a', 'cp x "$dir/root/etc"']],
  },
  {
    promise: 'no test is skipped, focused or left for later',
    over: () => suites,
    faults: banned(/\b(?:test|it|describe|suite)\s*(?:\.\w+)*\.(?:only|skip|todo|skipIf|fails)\b|\b[xf](?:it|describe)\(/, nowhere),
    bad: [
      ['test/a.test.ts', "test.only('a b', () => {});"],
      ['test/a.test.ts', "describe.skip('a b', () => {});"],
      ['test/a.test.ts', "test.concurrent.skip('a b');"],
    ],
  },
  {
    promise: 'no test is empty',
    over: () => suites,
    faults: (source) => testsOf(source).flatMap((one) => (one.empty ? [`"${one.name}"`] : [])),
    bad: [
      ['test/a.test.ts', "test('a b', () => {});"],
      ['test/a.test.ts', "test.each([1, 2])('a %i b', async (x) => {\n  // later\n});"],
    ],
    good: [['test/a.test.ts', "test('a b', () => { run(() => {}); });"]],
  },
  {
    promise: 'test names are sentences',
    over: () => suites,
    faults: nameFaults,
    bad: [
      ['test/a.test.ts', "test('plan', () => { x(); });"],
      ['test/a.test.ts', "test('Works as said', () => { x(); });"],
    ],
    good: [
      ['test/a.test.ts', "test('I3 one action per runner', () => { x(); }); test('a failed listing destroys nothing', f);"],
      ['test/a.test.ts', "if (/a'b/.test('Plan')) test('SIGTERM ends the job', f);"],
    ],
  },
];

describe('tidiness', () => {
  for (const rule of rules) {
    test(`everywhere: ${rule.promise}`, () => {
      const found = rule.over().flatMap((source) => rule.faults(source).map((fault) => `${source.path}: ${fault}`));
      expect(found).toEqual([]);
    });
  }
});

describe('every rule can fail', () => {
  for (const rule of rules) {
    test(`a sample that breaks it is seen: ${rule.promise}`, () => {
      const silent = rule.bad.filter(([path, text]) => rule.faults(sourceOf(path, text)).length === 0);
      expect(silent).toEqual([]);
      const wronged = (rule.good ?? []).filter(([path, text]) => rule.faults(sourceOf(path, text)).length > 0);
      expect(wronged).toEqual([]);
    });
  }
});
