// Promises that a runner with a pin is the file that was pinned: hashed once, and again whenever anything about the file changed. A mismatch
// is told with both values, at a check and before each start.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Profile } from '../core/model.ts';
import type { Fault } from '../doctor.ts';

type Known = { readonly identity: string; readonly sha256: Promise<string> };

const known = new Map<string, Known>();

/** What is wrong with the pinned runner of a profile; nothing for one without a pin. Rejects when the file cannot be read. */
export async function pinFault({ name, runnerPath, runnerSha256 }: Profile): Promise<Fault | undefined> {
  if (runnerSha256 === undefined) return undefined;
  const found = await hashOf(runnerPath);
  if (found === runnerSha256) return undefined;
  return {
    what: `Profile ${name}: the SHA-256 of ${runnerPath} is ${found}, and its pin runnerSha256 is ${runnerSha256}`,
    remedy: 'put the pinned runner there, or pin the one that is there once you know where it comes from',
  };
}

async function hashOf(path: string): Promise<string> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const identity = [dev, ino, size, mtimeNs, ctimeNs].join(' ');
  const last = known.get(path);
  if (last?.identity === identity) return last.sha256;
  const sha256 = hash(path);
  known.set(path, { identity, sha256 });
  // A read that failed says nothing about the next one.
  sha256.catch(() => known.delete(path));
  return sha256;
}

async function hash(path: string): Promise<string> {
  const digest = createHash('sha256');
  await pipeline(createReadStream(path), digest);
  return digest.digest('hex');
}
