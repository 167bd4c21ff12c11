// Promises the page as one text: the frame with style and script put into it, and a policy that allows these two by their hash and nothing
// else. Made when the programs are bundled, with the same esbuild; from source when somebody asks for it.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Page } from '../http/app.ts';

const at = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** `esbuild`: the path of that program. */
export async function makePage(esbuild: string): Promise<Page> {
  const [frame, script, style] = await Promise.all([
    readFile(at('page.html'), 'utf8'),
    bundled(esbuild, 'browser/main.ts'),
    bundled(esbuild, 'page.css'),
  ]);
  const html = frame
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script></script>', () => `<script>${script}</script>`);
  return { html, policy: policyOf(script, style) };
}

const flags = [
  '--bundle',
  '--minify',
  '--format=iife',
  '--target=chrome123,firefox122,safari17.5',
  '--charset=utf8',
  '--legal-comments=none',
  '--log-level=error',
];

async function bundled(esbuild: string, entry: string): Promise<string> {
  const { stdout } = await promisify(execFile)(esbuild, [at(entry), ...flags]);
  return stdout.trim();
}

/** `trusted-types 'none'` makes the browser refuse every way of turning text into markup. */
function policyOf(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    'img-src data:',
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
