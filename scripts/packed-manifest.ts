// Promises that the package `npm pack` makes asks for nothing: the programs in it are whole, so while it is packed package.json has neither
// dependencies nor what is for development. npm calls this before (`slim`) and after (`restore`); what was cut off is put right by the next call.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const manifest = at('package.json');
const whole = at('.package.json.whole');

function restore(): void {
  if (existsSync(whole)) renameSync(whole, manifest);
}

function slim(): void {
  restore();
  const text = readFileSync(manifest, 'utf8');
  writeFileSync(whole, text);
  const {
    private: _private,
    scripts: _scripts,
    dependencies: _run,
    devDependencies: _dev,
    ...kept
  } = JSON.parse(text) as Record<string, unknown>;
  writeFileSync(manifest, `${JSON.stringify(kept, null, 2)}\n`);
}

const [order] = process.argv.slice(2);
if (order === 'slim') slim();
else if (order === 'restore') restore();
else throw new Error('slim or restore?');
