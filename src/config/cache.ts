// Promises what jobs of a repository keep between them, as the configuration says it: where jobs see it, how much it may be, and for how long.

import type { Cache } from '../core/cache.ts';
import type { Profile } from '../core/model.ts';
import { absolutePath, duration } from './kinds.ts';
import type { Findings, Kind, Section } from './reader.ts';
import { valueOf, type Environment } from './source.ts';
import { parseSize } from '../core/units.ts';

const keys = ['path', 'maxSize', 'maxAge'] as const;
const defaultDir = '/var/cache/forgejo-runner-controller';
const minute = 60_000;
const day = 24 * 60 * minute;

/** Made by the machine or its template; in .cache of root's home the runner has the work of each job. */
const taken = /^\/(?:proc|sys|dev|run|tmp|usr|etc|nix|boot|bin|sbin|lib[^/]*|root\/\.cache|var\/run)(?:\/|$)|^\/(?:root|var|home)?$/;

const place: Kind<string> = {
  expected: 'an absolute path of letters, digits, dots, dashes and underscores',
  parse(value) {
    const found = absolutePath('').parse(value);
    if (found === undefined || !('value' in found)) return found;
    if (!/^(?:\/[A-Za-z0-9._-]+)+$/.test(found.value) && found.value !== '/') return undefined;
    return taken.test(found.value)
      ? { message: `is ${found.value}, where machines have something of their own`, remedy: 'write another path, such as /cache' }
      : found;
  },
};

const least = 64 * 1024 ** 2;
const most = 1024 ** 4;
const cacheSize: Kind<number> = {
  expected: 'a size from 64MiB to 1TiB, such as 5GiB',
  parse(value) {
    const bytes = parseSize(value);
    return bytes === undefined || bytes < least || bytes > most ? undefined : { value: bytes };
  },
};

function within(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(`${outer}/`);
}

/** Undefined: none. */
export function readCache(profile: Section, { binds, warm }: Pick<Profile, 'binds' | 'warm'>, findings: Findings): Cache | undefined {
  const section = profile.section('cache', keys);
  if (section === undefined) return undefined;
  const path = section.get('path', place) ?? '/cache';
  const bind = binds.find(({ target }) => within(target, path) || within(path, target));
  if (bind !== undefined)
    findings.add(section.pathOf('path'), `is ${path}, and a bind has the target ${bind.target}`, 'write another path');
  // Those are started before it is known whose job they get.
  if (warm !== undefined)
    findings.add(profile.pathOf('cache'), 'is set beside warm, and a machine that waits for any job can have no cache', 'keep one of them');
  const maxBytes = section.get('maxSize', cacheSize) ?? 5 * 1024 ** 3;
  return { path, maxBytes, maxAgeMs: section.get('maxAge', duration(minute, undefined, '30d or 12h')) ?? 30 * day };
}

/** systemd's CacheDirectory= names it when nothing else does. */
export function readCacheDir(root: Section, env: Environment, findings: Findings): string {
  const given = root.get('cacheDir', absolutePath('the directory of caches'));
  if (given === '/') findings.add('cacheDir', 'is the root of the host', `write a directory of its own, such as ${defaultDir}`);
  const systemds = valueOf(env, 'CACHE_DIRECTORY');
  return given ?? (systemds !== undefined && absolutePath('').parse(systemds) !== undefined ? systemds : defaultDir);
}
