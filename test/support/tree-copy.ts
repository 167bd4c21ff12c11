// Promises a copy of the files that git knows of this tree, or would if they were added, so that a test may change or build there.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export function copyTree(to: string): string {
  const listed = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  // Tests are big, and no part of anything that is built.
  for (const path of listed.split('\0').filter((one) => one !== '' && !one.startsWith('test/') && existsSync(join(root, one)))) {
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(root, path), join(to, path));
  }
  return to;
}
