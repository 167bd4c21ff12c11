// Promises the stand-in Forgejo as one file that any Node 24 runs, with no node_modules: for hosts and demos that have nothing but that.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

// The yaml package asks for node's own modules with require, which an ES module does not have.
const banner = "import { createRequire as standInRequire } from 'node:module'; const require = standInRequire(import.meta.url);";

/** Writes the program to `target`, whose name should end in .mjs; folders are made. */
export async function buildForgejo(target: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL('./main.ts', import.meta.url))],
    outfile: target,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: banner },
    logLevel: 'silent',
  });
}
