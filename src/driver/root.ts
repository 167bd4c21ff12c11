// Promises the fresh root of one machine: folders, links and a small /etc, written with node's own file calls, plus the FIFO. What is
// large (/usr, a template) is never copied, only bound or overlaid by nspawn.

import { randomUUID } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Profile } from '../core/model.ts';
import type { Pool } from '../core/subnets.ts';
import type { MachineSpec } from './driver.ts';
import { ownStorageOf, storageFolder } from './engine.ts';
import { guestFilesOf } from './guest.ts';
import { extraHostsOf, hostsFileOf } from './hosts-file.ts';
import { initScript } from './init-script.ts';
import type { MachinePaths } from './nspawn-unit.ts';
import type { RootImage } from './template.ts';
import { mountVolume } from './volume.ts';

/** The runner's own clock only has to be later than the reconciler's, which alone says in Forgejo and /status that a job was too long. */
const runnerClockMarginMs = 30_000;

/**
 * The runner's configuration. A result is offered for more than a minute, so that none is lost to a forge that restarts just then. A runner whose
 * registration is gone offers it as long, to nobody: the reconciler sees that its job is gone and stops the machine. Containers may have any folder of
 * the machine as a volume: what a job could reach that way it can reach without.
 */
export function runnerConfigOf({ timeouts, containers }: Pick<Profile, 'timeouts' | 'containers'>): string {
  return [
    'log:',
    '  level: info',
    'runner:',
    `  timeout: ${Math.ceil((timeouts.jobMs + runnerClockMarginMs) / 1000)}s`,
    '  report_retry:',
    '    max_retries: 14',
    '    max_delay: 10s',
    'cache:',
    '  enabled: false',
    ...(containers === undefined ? [] : ['container:', '  valid_volumes:', "    - '**'"]),
    '',
  ].join('\n');
}

export type RootInput = {
  readonly paths: MachinePaths;
  readonly image: RootImage;
  readonly spec: MachineSpec;
  readonly pool: Pool;
  readonly resolvers: readonly string[];
};

/** The root folder, on a disk of its own where the profile says how large. */
export async function makeRoot(stateDir: string, input: RootInput): Promise<void> {
  const { diskBytes } = input.spec.profile.limits;
  if (diskBytes !== undefined) await mountVolume(stateDir, input.paths, diskBytes);
  fillRoot(input);
}

/**
 * Fills the (empty) root folder. Owned by root on disk; nspawn gives it to the machine's uid range. Synchronous: sixty small steps take 1.5 ms
 * this way, and three times as much processor time when each goes to another thread and back.
 */
function fillRoot({ paths, image, spec, pool, resolvers }: RootInput): void {
  const overlaid = new Set(image.plan.overlaid);
  mkdirSync(paths.root, { recursive: true, mode: 0o755 });
  for (const [name, mode] of image.folders) makeFolder(`${paths.root}/${name}`, mode);
  if (ownStorageOf(spec.profile, image.plan)) makeFolder(`${paths.root}/${storageFolder}`, 0o711);
  if (overlaid.size > 0) {
    for (const name of ['.template', '.fresh']) mkdirSync(`${paths.root}/${name}`);
    for (const [name, mode] of image.folders) if (overlaid.has(name)) makeFolder(`${paths.root}/.fresh/${name}`, mode);
  }
  // nspawn would make missing mount points itself, owned by nobody.
  for (const path of [...image.plan.shared, ...(image.plan.plain ?? [])]) mkdirSync(`${paths.root}${path}`, { recursive: true });
  const { cache } = spec.profile;
  if (cache !== undefined) {
    const over = overlaid.has(cache.path.split('/')[1] ?? '') ? '/.fresh' : '';
    mkdirSync(`${paths.root}${over}${cache.path}`, { recursive: true });
  }
  const etc = overlaid.has('etc') ? `${paths.root}/.fresh/etc` : `${paths.root}/etc`;
  const files: Readonly<Record<string, string>> = {
    ...image.etc,
    hostname: `${spec.id}\n`,
    hosts: hostsFileOf(spec.id, extraHostsOf(spec.profile.extraHosts, pool, spec.slot), image.etc['hosts']),
    'resolv.conf': resolvers.map((address) => `nameserver ${address}\n`).join(''),
    // systemd would take one that is missing for a first boot.
    ...(image.plan.boot === undefined ? {} : { 'machine-id': `${randomUUID().replaceAll('-', '')}\n` }),
  };
  for (const [name, target] of image.links) symlinkSync(target, `${paths.root}/${name}`);
  for (const [name, text] of Object.entries(files)) {
    if (name.includes('/')) mkdirSync(dirname(`${etc}/${name}`), { recursive: true });
    writeFileSync(`${etc}/${name}`, text);
  }
  for (const [from, name] of image.copies ?? []) copyFileSync(from, `${paths.root}/${name}`);
}

function makeFolder(path: string, mode: number): void {
  mkdirSync(path);
  // mkdir's mode is cut by the umask.
  chmodSync(path, mode);
}

/** What the machine shares with the controller: init script, runner's configuration, and the FIFO that must come into being whole. */
export async function fillShared(
  paths: MachinePaths,
  { spec, image, pool }: Pick<RootInput, 'spec' | 'image' | 'pool'>,
  makeFifo: (path: string) => Promise<void>,
): Promise<void> {
  const draft = `${paths.shared}.new`;
  mkdirSync(`${draft}/assign`, { recursive: true });
  const fifo = makeFifo(`${draft}/assign/job`);
  chmodSync(draft, 0o755);
  chmodSync(`${draft}/assign`, 0o700);
  writeFileSync(`${draft}/init`, initScript);
  writeFileSync(`${draft}/config.yml`, runnerConfigOf(spec.profile));
  writeFileSync(`${draft}/runner`, '');
  const { boot, environment = {} } = image.plan;
  const guest =
    boot === undefined
      ? {}
      : guestFilesOf(spec.profile, { PATH: boot.path, ...environment }, extraHostsOf(spec.profile.extraHosts, pool, spec.slot));
  for (const [name, text] of Object.entries(guest)) writeFileSync(`${draft}/${name}`, text);
  await fifo;
  // From here on a missing FIFO means: was assigned.
  renameSync(draft, paths.shared);
}
