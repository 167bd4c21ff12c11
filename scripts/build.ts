// Promises dist/forgejo-runner-controller.js and dist/runner-status.js: each program whole in one file (what is seldom needed in chunks
// beside it), runnable by Node 24 with no node_modules. ESBUILD names another esbuild than the installed one: nix/package.nix builds with this
// very file, so there is one place that says how. Manual pages and completions come with them.

import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makePage } from '../src/page/making.ts';
import { writeManual } from './manual.ts';

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const esbuild = process.env['ESBUILD'] ?? at('node_modules/.bin/esbuild');

// Packages written as CommonJS ask for node's own modules with require, which an ES module does not have.
const banner = "import { createRequire as frcCreateRequire } from 'node:module'; const require = frcCreateRequire(import.meta.url);";

// Before anything else of a file is run: with an older node the first of them would fail somewhere in the middle, in words that help nobody.
const nodeNeeded = 24;
const guard = `if (!(Number.parseInt(process.versions.node, 10) >= ${nodeNeeded})) { process.stderr.write('forgejo-runner-controller: this is Node ' + process.versions.node + ' (' + process.execPath + '), and it needs ${nodeNeeded} or newer: install that, and name it in ExecStart= if it lies elsewhere\\n'); process.exit(3); }`;

/** Modules that stand in for others while the bundle is made; their names are in the bundle, so they lie where they lay the last time. */
const scratch = 'dist/.build';
const part = (path: string) => `require('../../../node_modules/${path}')`;

const parts = {
  /** What of prom-client is used: its index also loads clusters, a push client and observers, 20 MB of the idle service. */
  'prom-client': `
    exports.Registry = ${part('prom-client/lib/registry.js')};
    exports.Counter = ${part('prom-client/lib/counter.js')};
    exports.Gauge = ${part('prom-client/lib/gauge.js')};
    exports.Histogram = ${part('prom-client/lib/histogram.js')};`,
  // As undici's own index does: the dispatcher gets its request methods from outside.
  undici: `
    Object.assign(${part('undici/lib/dispatcher/dispatcher.js')}.prototype, { request: ${part('undici/lib/api/api-request.js')} });
    exports.Pool = ${part('undici/lib/dispatcher/pool.js')};`,
};

// An import of one of node's own modules loads whatever it ever offers (with node:http half of undici), which takes longer than all the
// rest of a short command; asked for by name it loads what is used.
const askedFor = Object.fromEntries(
  builtinModules
    .map((name) => (name.startsWith('node:') ? name : `node:${name}`))
    // Behind an object of its own: what esbuild copies of a module are its own properties, and some of these load what they name.
    .map((name) => [name, `module.exports = Object.create(process.getBuiltinModule(${JSON.stringify(name)}));`]),
);

function stand(folder: string, modules: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(modules).map(([name, text]) => {
    const path = `${scratch}/${folder}/${name.replaceAll(/[:/]/g, '-')}.cjs`;
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), text);
    return `--alias:${name}=./${path}`;
  });
}

const flags = [
  '--outdir=dist',
  '--bundle',
  '--minify-syntax', // names stay: the stack of a bug is read by people
  '--minify-whitespace',
  '--splitting',
  '--format=esm',
  '--platform=node',
  `--target=node${nodeNeeded}`,
  '--sourcemap=external',
  '--legal-comments=none',
  '--chunk-names=chunks/[name]-[hash]',
  '--log-level=warning',
];

/** Bundles one program, and says which files it is made of. */
async function bundle(program: string, source: string, own: readonly string[]): Promise<readonly string[]> {
  const metafile = `${scratch}/${program}.json`;
  await promisify(execFile)(esbuild, [`${program}=${source}`, ...flags, ...own, `--metafile=${metafile}`], { cwd: at('') });
  const { outputs } = JSON.parse(readFileSync(at(metafile), 'utf8')) as { outputs: Readonly<Record<string, unknown>> };
  const late = Object.keys(outputs).find((path) => path.includes('/node-'));
  if (late !== undefined)
    throw new Error(`${program}: ask for a module of node's with process.getBuiltinModule instead of import(): ${late}`);
  return Object.keys(outputs);
}

mkdirSync(at(scratch), { recursive: true });
const page = JSON.stringify(JSON.stringify(await makePage(esbuild)));
// Each for itself: what both have would else be a third file that either has to open.
const made = await Promise.all([
  bundle('forgejo-runner-controller', 'src/main.ts', [
    ...stand('parts', parts),
    `--banner:js=${guard}${banner}`,
    `--define:madePage=${page}`,
  ]),
  bundle('runner-status', 'src/runner-status.ts', [...stand('asked-for', askedFor), `--banner:js=${guard}`]),
]);
for (const program of ['forgejo-runner-controller', 'runner-status']) chmodSync(at(`dist/${program}.js`), 0o755);

const manual = writeManual(new URL('../dist/', import.meta.url)).map((path) => `dist/${path}`);

// Only afterwards, so that a program that is started meanwhile finds one whole build or the other.
const kept = new Set([...made.flat(), ...manual].map((path) => at(path)));
for (const entry of readdirSync(at('dist'), { recursive: true, withFileTypes: true })) {
  const path = `${entry.parentPath}/${entry.name}`;
  if (entry.isFile() && !kept.has(path)) rmSync(path);
}
rmSync(at(scratch), { recursive: true });
