// Promises who shares what jobs keep between them: the jobs of one repository of one forge in one profile, and nobody else; none of a fork's pull
// request, nor one of which that is not known. Pure; why so: docs/decisions/0020-caches-stay-on-the-host.md.

import { createHash } from 'node:crypto';
import type { Runner } from './model.ts';

/** What jobs of a profile may keep: where they see it, how much, and for how long before it is made anew. */
export type Cache = { readonly path: string; readonly maxBytes: number; readonly maxAgeMs: number };

/** `<forge>-<its place, hashed>/<profile>-<repository id>`: one folder and one name in it, of letters that mean nothing to a path or a shell. */
const namePattern = /^[a-z0-9][a-z0-9._-]*-[0-9a-f]{12}\/([a-z0-9][a-z0-9._-]*)-[1-9]\d*$/;

/** The name of what this runner's job shares; undefined = it gets none. A forge's name that leads elsewhere now is another forge. */
export function cacheNameOf({
  forge,
  place,
  job,
  ownCode,
  profile,
}: Pick<Runner, 'forge' | 'place' | 'job' | 'ownCode' | 'profile'>): string | undefined {
  if (ownCode !== true || place === undefined) return undefined;
  const digest = createHash('sha256').update(place).digest('hex').slice(0, 12);
  const name = `${forge}-${digest}/${profile}-${job.repositoryId}`;
  return isCacheName(name) ? name : undefined;
}

export function isCacheName(text: string): boolean {
  return namePattern.test(text);
}

/** The profile that a cache is of; undefined for what is no name of one. */
export function profileOfCache(name: string): string | undefined {
  return namePattern.exec(name)?.[1];
}
