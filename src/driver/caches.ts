// Promises jobs of one repository a folder that stays between them, and the host that it can neither be filled nor harmed by it: each is a file
// system of its own in a sparse file, mounted below the machine's folder for as long as the machine is there. Whatever is wrong with a cache
// costs jobs the cache alone. Why so: docs/decisions/0020-caches-stay-on-the-host.md.

import { access, constants, mkdir, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../clock.ts';
import { isCacheName, profileOfCache, type Cache } from '../core/cache.ts';
import type { MachineId, Profile } from '../core/model.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import type { Log } from '../log.ts';
import { cacheAt, cachePathOf, cachesIn, draftsIn, filledOf, inUse, realFolder, type CacheFile } from './cache-files.ts';
import { freeAfter, sizeOf, stateAt, wornOf } from './cache-image.ts';
import type { MachineSpec } from './driver.ts';
import { perform } from './exec.ts';
import { pathsOf } from './nspawn-unit.ts';
import { namesIn } from './presence.ts';

/** Where the job finds the path. */
const cacheVariable = 'RUNNER_CACHE_DIR';

export type CachesInput = {
  readonly controllerId: string;
  readonly stateDir: string;
  /** Where they lie; absent = nobody has one. */
  readonly cacheDir?: string;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info' | 'warn'>;
};

export type Caches = {
  /** Where one is wanted and none can be made: rejects with DRIVER_UNAVAILABLE if it `must`, else it is only told. */
  prepare(profiles: readonly Profile[], must: boolean): Promise<void>;
  /** So many bytes stay free from now on; removes what nobody wants any more. */
  tidy(profiles: readonly Profile[], floorBytes: number): Promise<void>;
  /** What the machine is to be with its cache mounted for it, or without. Its marker is there. */
  lend(spec: MachineSpec): Promise<MachineSpec>;
};

/**
 * `$1` lock, `$2` file, `$3` where to, `$4` size. One after the other, because two that mount one file at once would each have a device for it;
 * mount itself takes the device that is there, by the file's inode: that of an unlinked one of the same name is another's. Whoever is killed gives
 * the lock back, and what it leaves half made is no cache. One that nobody has mounted and that was not unmounted in order (a power cut) is not
 * trusted.
 */
const attach = `exec 9>>"$1" && flock -w 10 9 || exit
used= made=
[ ! -e "$2" ] || used=$(losetup --noheadings --output NAME --associated "$2") || exit
if [ ! -e "$2" ] || { [ -z "$used" ] && [ "$(od -An -tu2 -j${stateAt} -N2 -- "$2" | tr -d ' ')" != 1 ]; }; then
  rm -f -- "$2.new" &&
  mkfs.ext4 -q -F -m 0 -O ^has_journal -E nodiscard,root_owner=0:0 "$2.new" "$4" &&
  mv -T -- "$2.new" "$2" || exit
  made=1
fi
mount -t ext4 -o loop,nodev,nosuid,noatime,discard,noinit_itable "$2" "$3" || exit
[ -z "$made" ] || rmdir -- "$3/lost+found"`;

/** Two folders down, so that whoever removes the upper one as a tree of one file system stops before what is mounted. */
function mountPointOf(stateDir: string, id: MachineId): string {
  return `${pathsOf(stateDir, id).folder}/cache/mounted`;
}

/** Of a make that was cut short. */
const forgottenMs = 3_600_000;
/** So long a start waits for those before it; a job whose machine comes late for it is worse off than one that starts cold. */
const patienceMs = 10_000;

export function createCaches({ controllerId, stateDir, cacheDir, clock, log }: CachesInput): Caches {
  const folder = `${cacheDir ?? ''}/${controllerId}`;
  let floor = 0;
  const told = new Set<string>();
  let last: Promise<unknown> = Promise.resolve();

  /** One after the other: each counts what those before it may still take of the disk. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work);
    last = turn;
    return turn;
  }

  /** As inTurn, but who is not at work in time leaves the line. */
  async function inTime(work: () => Promise<void>): Promise<void> {
    const begun = new AbortController();
    let left = false;
    const turn = inTurn(async () => {
      if (left) return;
      begun.abort();
      await work();
    });
    await Promise.race([turn, clock.sleep(patienceMs, begun.signal)]);
    if (!begun.signal.aborted) {
      left = true;
      throw new ControllerError(
        'HOST_EXHAUSTED',
        `Others were lent theirs in ${folder} for ${patienceMs / 1_000} s, and more are in line.`,
      );
    }
    await turn;
  }

  /** Once, until it goes well again: it could be so for every job. */
  function tellOnce(whose: string, cacheName: string | undefined, error: Error, sentence: string): void {
    if (!told.has(whose))
      log.warn('cache', { ...(cacheName === undefined ? {} : { cache: cacheName }), error }, `${sentence}: ${error.message}`);
    told.add(whose);
  }

  async function drop({ name, path, allocatedBytes }: CacheFile, why: string): Promise<void> {
    await rm(path, { force: true });
    log.info('cache', { cache: name, bytes: allocatedBytes, reason: why }, `a cache was removed: ${why}`);
  }

  /** True when enough stays free although this one and all in use grow to their sizes. Those that nobody uses give way, the longest unused first. */
  async function makeRoom(real: string, path: string, maxBytes: number): Promise<boolean> {
    const { paths, unlinked } = inUse(real);
    const [growing, idle] = partition(await cachesIn(real), (each) => paths.has(each.path) || each.path === path);
    const own = growing.some((each) => each.path === path) ? [] : [{ bytes: maxBytes, allocatedBytes: 0 }];
    const wanted = [...growing, ...unlinked, ...own];
    const { bavail, bsize } = await statfs(real);
    const most = idle.reduce((sum, { allocatedBytes }) => sum + allocatedBytes, freeAfter(bavail * bsize, wanted));
    // None goes for nothing.
    return most >= floor && free(floor, idle, wanted);
  }

  async function free(least: number, idle: readonly CacheFile[], growing: Parameters<typeof freeAfter>[1]): Promise<boolean> {
    for (const each of [...idle, undefined]) {
      const { bavail, bsize } = await statfs(folder);
      if (freeAfter(bavail * bsize, growing) >= least) return true;
      if (each !== undefined) await drop(each, 'its room is needed');
    }
    return false;
  }

  async function mount(name: string, cache: Cache, target: string): Promise<void> {
    if (!isCacheName(name)) throw new ControllerError('DRIVER_FAILED', `"${name}" is not the name of a cache.`);
    // Not at once: when the one fails, the other would still be made in the back of a start that goes on.
    for (const each of [dirname(cachePathOf(folder, name)), target]) await mkdir(each, { recursive: true, mode: 0o700 });
    const real = await realFolder(folder);
    const path = cachePathOf(real, name);
    const found = await cacheAt(real, name);
    const worn = found && (wornOf(found, cache, clock.wallOf(clock.now())) ?? (await filledOf(found)));
    // Also one in use, whose machines keep what they have: else jobs that overlap would hand it on for ever.
    if (found !== undefined && worn !== undefined) await drop(found, worn);
    const size = sizeOf(cache.maxBytes);
    if (!(await makeRoom(real, path, size)))
      throw new ControllerError(
        'HOST_EXHAUSTED',
        `${folder} has no room for ${Math.ceil(size / 1_024 ** 2)} MiB (cache.maxSize) beside what others may take and minFreeDisk.`,
      );
    await perform('sh', ['-c', attach, 'sh', `${real}/lock`, path, target, `${size / 1_024}k`], { timeoutMs: 20_000 });
  }

  async function isMounted({ cache: name, profile }: MachineSpec, cache: Cache, target: string): Promise<boolean> {
    if (name === undefined || cacheDir === undefined) return false;
    try {
      await inTime(() => mount(name, cache, target));
      told.delete(profile.name);
      return true;
    } catch (error) {
      if (!isOfTheWorld(error)) throw error;
      tellOnce(profile.name, name, error, 'jobs run without what they keep');
      return false;
    }
  }

  async function lend(spec: MachineSpec): Promise<MachineSpec> {
    const { cache, binds, environment } = spec.profile;
    if (cache === undefined) return spec;
    const source = mountPointOf(stateDir, spec.id);
    const bind = (await isMounted(spec, cache, source)) ? [{ source, target: cache.path, writable: true }] : [];
    const profile = { ...spec.profile, binds: [...binds, ...bind], environment: { [cacheVariable]: cache.path, ...environment } };
    return { ...spec, profile };
  }

  async function prepare(profiles: readonly Profile[], must: boolean): Promise<void> {
    if (cacheDir === undefined || profiles.every(({ cache }) => cache === undefined)) return;
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      await access(folder, constants.W_OK);
      told.delete('prepare/');
    } catch (error) {
      if (!isOfTheWorld(error)) throw error;
      const fault = unusable(cacheDir, error);
      if (must) throw fault;
      tellOnce('prepare/', undefined, fault, 'jobs run without what they keep');
    }
  }

  async function tidy(profiles: readonly Profile[], floorBytes: number): Promise<void> {
    floor = floorBytes;
    if (cacheDir === undefined) return;
    const wanted = new Map(profiles.flatMap(({ name, cache }) => (cache === undefined ? [] : [[name, cache] as const])));
    try {
      if (namesIn(folder).length > 0) await inTurn(() => prune(wanted));
      told.delete('tidy/');
    } catch (error) {
      if (!isOfTheWorld(error)) throw error;
      tellOnce('tidy/', undefined, error, 'not all caches that are not wanted any more could be removed');
    }
  }

  async function prune(wanted: ReadonlyMap<string, Cache>): Promise<void> {
    const real = await realFolder(folder);
    const used = inUse(real).paths;
    const left: CacheFile[] = [];
    for (const each of await cachesIn(real)) {
      if (used.has(each.path)) continue;
      const cache = wanted.get(profileOfCache(each.name) ?? '');
      const why = cache === undefined ? 'no profile wants it' : wornOf(each, cache, clock.wallOf(clock.now()));
      if (why === undefined) left.push(each);
      else await drop(each, why);
    }
    await free(floor, left, []);
    for (const path of draftsIn(folder)) {
      const { mtimeMs } = await stat(path);
      if (clock.wallOf(clock.now()) - mtimeMs > forgottenMs) await rm(path, { force: true });
    }
  }

  return { prepare, tidy, lend };
}

function unusable(cacheDir: string, error: Error): ControllerError {
  const remedy = 'name another in cacheDir, or let the unit write there (CacheDirectory= or ReadWritePaths=)';
  const what = `${cacheDir}, where caches are to lie, cannot be used: ${error.message}`;
  return new ControllerError('DRIVER_UNAVAILABLE', `This host cannot keep caches. ${what}; ${remedy}.`, { cause: error });
}

/** Not a bug of ours. */
function isOfTheWorld(error: unknown): error is Error {
  return isControllerError(error) || (error instanceof Error && 'syscall' in error);
}

function partition<T>(items: readonly T[], is: (item: T) => boolean): readonly [readonly T[], readonly T[]] {
  return [items.filter((item) => is(item)), items.filter((item) => !is(item))];
}
