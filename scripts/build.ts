// Promises dist/forgejo-runner-controller.js and dist/runner-status.js: each program whole in one file (what is seldom needed in chunks
// beside it), runnable by Node 24 with no node_modules.

import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, type BuildOptions, type Plugin } from 'esbuild';

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

// Packages written as CommonJS ask for node's own modules with require, which an ES module does not have.
const banner = "import { createRequire as frcCreateRequire } from 'node:module'; const require = frcCreateRequire(import.meta.url);";

/** What of prom-client is used: its index also loads clusters, a push client and observers, 20 MB of the idle service. */
const metersOnly: Plugin = {
  name: 'meters-only',
  setup(plugged) {
    plugged.onResolve({ filter: /^prom-client$/ }, () => ({ path: 'prom-client', namespace: 'meters-only' }));
    plugged.onLoad({ filter: /^prom-client$/, namespace: 'meters-only' }, () => ({
      contents: `
        exports.Registry = require('prom-client/lib/registry.js');
        exports.Counter = require('prom-client/lib/counter.js');
        exports.Gauge = require('prom-client/lib/gauge.js');
        exports.Histogram = require('prom-client/lib/histogram.js');`,
      resolveDir: at(''),
    }));
  },
};

const poolOnly: Plugin = {
  name: 'pool-only',
  setup(plugged) {
    plugged.onResolve({ filter: /^undici$/ }, () => ({ path: 'undici', namespace: 'pool-only' }));
    plugged.onLoad({ filter: /^undici$/, namespace: 'pool-only' }, () => ({
      // As undici's own index does: the dispatcher gets its request methods from outside.
      contents: `
        Object.assign(require('undici/lib/dispatcher/dispatcher.js').prototype, { request: require('undici/lib/api/api-request.js') });
        exports.Pool = require('undici/lib/dispatcher/pool.js');`,
      resolveDir: at(''),
    }));
  },
};

// An import of one of node's own modules loads whatever it ever offers (with node:http half of undici), which takes longer than all the
// rest of a short command; asked for by name it loads what is used.
const askedFor: Plugin = {
  name: 'asked-for',
  setup(plugged) {
    plugged.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { path, external: true } : { path, namespace: 'asked-for' },
    );
    plugged.onLoad({ filter: /^node:/, namespace: 'asked-for' }, ({ path }) => ({
      // Behind an object of its own: what esbuild copies of a module are its own properties, and some of these load what they name.
      contents: `module.exports = Object.create(process.getBuiltinModule(${JSON.stringify(path)}));`,
    }));
  },
};

const common = {
  metafile: true,
  absWorkingDir: at(''),
  outdir: 'dist',
  bundle: true,
  minifySyntax: true, // names stay: the stack of a bug is read by people
  minifyWhitespace: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  sourcemap: 'external',
  legalComments: 'none',
  chunkNames: 'chunks/[name]-[hash]',
  logLevel: 'warning',
} as const satisfies BuildOptions;

// Each for itself: what both have would else be a third file that either has to open.
const built = await Promise.all([
  build({
    ...common,
    entryPoints: { 'forgejo-runner-controller': 'src/main.ts' },
    plugins: [poolOnly, metersOnly],
    banner: { js: banner },
  }),
  build({ ...common, entryPoints: { 'runner-status': 'src/runner-status.ts' }, plugins: [askedFor] }),
]);
chmodSync(at('dist/runner-status.js'), 0o755);

// Only afterwards, so that a program that is started meanwhile finds one whole build or the other.
const made = new Set(built.flatMap(({ metafile }) => Object.keys(metafile.outputs)).map((path) => at(path)));
for (const entry of readdirSync(at('dist'), { recursive: true, withFileTypes: true })) {
  const path = `${entry.parentPath}/${entry.name}`;
  if (entry.isFile() && !made.has(path)) rmSync(path);
}
