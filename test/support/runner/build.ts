// Bundles the stand-in runner into one executable file that needs nothing but a node. The first line is a parameter, because the machines of
// the tests carry their node at a place of their own.

import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const defaultShebang = '#!/usr/bin/env node';

/** The text of the executable, shebang included. */
async function bundleRunner(shebang: string = defaultShebang): Promise<string> {
  const result = await build({
    entryPoints: [fileURLToPath(new URL('./main.ts', import.meta.url))],
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    write: false,
    logLevel: 'silent',
    // A file without an extension is CommonJS or ESM by the package.json next to it; this way it is right as both. It also spares the
    // ESM view of built-in modules, which loads all that they export.
    banner: { js: '((require)=>{"use strict";' },
    footer: { js: '})((id)=>process.getBuiltinModule(id));' },
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error('esbuild wrote no bundle of the stand-in runner');
  return `${shebang}\n${file.text}`;
}

/** Writes the executable to `target` (folders are made) and answers its path. */
export async function buildRunner(target: string, shebang: string = defaultShebang): Promise<string> {
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, await bundleRunner(shebang));
  await chmod(target, 0o755);
  return target;
}
