// Promises a disk limit that is real: the machine's root is a sparse ext4 image of its own, copied from a template made once per size, so
// that filling it hurts nobody and removing it costs the same whatever lies in it.

import { mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { ControllerError } from '../errors.ts';
import { perform, tryPerform } from './exec.ts';
import type { MachinePaths } from './nspawn-unit.ts';
import { exists } from './presence.ts';

const making = new Map<string, Promise<string>>();

/** The empty image of a size, made if need be. */
async function imageOf(stateDir: string, diskBytes: number): Promise<string> {
  const path = `${stateDir}/volumes/${diskBytes}.ext4`;
  if (await exists(path)) return path;
  let pending = making.get(path);
  if (pending === undefined) {
    pending = makeImage(path, diskBytes).finally(() => making.delete(path));
    making.set(path, pending);
  }
  return pending;
}

async function makeImage(path: string, diskBytes: number): Promise<string> {
  await mkdir(path.slice(0, path.lastIndexOf('/')), { recursive: true, mode: 0o700 });
  const draft = `${path}.new`;
  await rm(draft, { force: true });
  // No journal: after a crash of the host the machine is gone anyway.
  await perform(
    'mkfs.ext4',
    ['-q', '-F', '-m', '0', '-O', '^has_journal', '-E', 'nodiscard,root_owner=0:0', draft, `${Math.floor(diskBytes / 1024)}k`],
    {
      timeoutMs: 60_000,
    },
  );
  await rename(draft, path);
  return path;
}

/** Copies the empty image and mounts it as the machine's root folder. Rejects with HOST_EXHAUSTED when there is no loop device left. */
export async function mountVolume(stateDir: string, paths: MachinePaths, diskBytes: number): Promise<void> {
  const image = await imageOf(stateDir, diskBytes);
  await Promise.all([
    perform('cp', ['--sparse=auto', '--reflink=auto', '--', image, paths.volume]),
    mkdir(paths.root, { recursive: true, mode: 0o755 }),
  ]);
  const result = await tryPerform('mount', ['-t', 'ext4', '-o', 'loop,nodev,nosuid,noatime', paths.volume, paths.root], {
    timeoutMs: 20_000,
  });
  if (result.code !== 0 || result.trouble !== undefined) {
    const noLoop = /loop device/i.test(result.stderr);
    throw new ControllerError(
      noLoop ? 'HOST_EXHAUSTED' : 'DRIVER_FAILED',
      `The disk of a machine could not be mounted: ${result.trouble ?? result.stderr.trim().slice(-300)}`,
      { details: { volume: paths.volume } },
    );
  }
  await rmdir(`${paths.root}/lost+found`);
}
