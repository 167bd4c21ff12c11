// Promises dist/forgejo-runner-controller.js: the whole program in one file (what is seldom needed in chunks beside it), runnable by Node 24
// with no node_modules.

import { readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

// Packages written as CommonJS ask for node's own modules with require, which an ES module does not have.
const banner = "import { createRequire as frcCreateRequire } from 'node:module'; const require = frcCreateRequire(import.meta.url);";

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

const { metafile } = await build({
  metafile: true,
  absWorkingDir: at(''),
  entryPoints: { 'forgejo-runner-controller': 'src/main.ts' },
  outdir: 'dist',
  bundle: true,
  minifySyntax: true, // names stay: the stack of a bug is read by people
  minifyWhitespace: true,
  plugins: [poolOnly],
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  sourcemap: 'external',
  legalComments: 'none',
  chunkNames: 'chunks/[name]-[hash]',
  banner: { js: banner },
  logLevel: 'warning',
});

// Only afterwards, so that a program that is started meanwhile finds one whole build or the other.
const made = new Set(Object.keys(metafile.outputs).map((path) => at(path)));
for (const entry of readdirSync(at('dist'), { recursive: true, withFileTypes: true })) {
  const path = `${entry.parentPath}/${entry.name}`;
  if (entry.isFile() && !made.has(path)) rmSync(path);
}
