// Promises a package-lock.json that `npm ci` accepts with any registry: platform packages that the lock does not hold (this
// project runs on Linux with glibc only) are struck from the optional dependencies that name them. Run after every change of the lock.

import { readFileSync, writeFileSync } from 'node:fs';

type Entry = { optionalDependencies?: Record<string, string> };
const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, Entry> };
const held = new Set(Object.keys(lock.packages).map((at) => at.slice(at.lastIndexOf('node_modules/') + 'node_modules/'.length)));

for (const entry of Object.values(lock.packages)) {
  if (entry.optionalDependencies === undefined) continue;
  const kept = Object.entries(entry.optionalDependencies).filter(([name]) => held.has(name));
  if (kept.length === 0) delete entry.optionalDependencies;
  else entry.optionalDependencies = Object.fromEntries(kept);
}
writeFileSync(path, JSON.stringify(lock, null, 2) + '\n');
