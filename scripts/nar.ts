// Promises the hash that Nix gives a folder: SHA-256 over its NAR form, which holds names, contents, links and whether a file may be executed,
// and nothing else. It is computed without Nix, so that whoever changes a dependency needs none.

import { createHash, type Hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

const executable = 0o100;

/** Length as 64 bits, little-endian, the bytes, zeroes up to a multiple of eight. */
function put(hash: Hash, ...parts: readonly (string | Buffer)[]): void {
  for (const part of parts) {
    const bytes = Buffer.from(part);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(bytes.length));
    hash.update(length).update(bytes);
    hash.update(Buffer.alloc((8 - (bytes.length % 8)) % 8));
  }
}

function putNode(hash: Hash, path: string): void {
  const stat = lstatSync(path);
  put(hash, '(', 'type');
  if (stat.isSymbolicLink()) put(hash, 'symlink', 'target', readlinkSync(path, 'buffer'));
  else if (stat.isFile()) {
    put(hash, 'regular');
    if ((stat.mode & executable) !== 0) put(hash, 'executable', '');
    put(hash, 'contents', readFileSync(path));
  } else if (stat.isDirectory()) {
    put(hash, 'directory');
    const names = readdirSync(path).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const name of names) {
      put(hash, 'entry', '(', 'name', name, 'node');
      putNode(hash, join(path, name));
      put(hash, ')');
    }
  } else throw new Error(`${path} is neither file, folder nor link: Nix has no form for it`);
  put(hash, ')');
}

/** As `nix hash path --type sha256 --sri` prints it. */
export function narHash(path: string): string {
  const hash = createHash('sha256');
  put(hash, 'nix-archive-1');
  putNode(hash, path);
  return `sha256-${hash.digest('base64')}`;
}
