// Promises to say why machines of a profile could not run containers: a device or user namespaces that the host lacks, or an engine that the
// template lacks. Changes nothing.

import { readFile, realpath } from 'node:fs/promises';
import type { Profile } from '../core/model.ts';
import type { Fault } from '../doctor.ts';
import { containerDevices } from './confinement.ts';
import type { RunResult } from './exec.ts';
import { exists } from './presence.ts';

type Look = (command: string, args: readonly string[]) => Promise<Pick<RunResult, 'code'>>;

/** Any one of each line, by what installs it. */
const parts: readonly (readonly [what: string, paths: readonly string[]])[] = [
  ['podman', ['bin/podman']],
  ['conmon', ['bin/conmon', 'libexec/podman/conmon']],
  ['crun (or runc)', ['bin/crun', 'bin/runc', 'sbin/runc']],
  ['netavark', ['lib/podman/netavark', 'libexec/podman/netavark']],
  ['slirp4netns (or passt)', ['bin/slirp4netns', 'bin/pasta']],
  ['util-linux (nsenter, unshare)', ['bin/nsenter']],
];

/** `look` runs a program on the host, outside of a sandbox, and rejects when it could not be run. */
export async function checkEngine(profiles: readonly Profile[], look: Look): Promise<Fault[]> {
  const asking = profiles.filter(({ containers }) => containers !== undefined);
  if (asking.length === 0) return [];
  const asks = `Profile ${asking.map(({ name }) => name).join(', ')} has containers podman`;
  const templates = await Promise.all(asking.map(async (profile) => checkTemplate(profile)));
  return [...(await checkDevices(asks, look)), ...(await checkNamespaces(asks)), ...templates.flat()];
}

/** Not looked at from here: a sandbox has few devices, and it is others that bind them. */
async function checkDevices(asks: string, look: Look): Promise<Fault[]> {
  const found = await Promise.all(containerDevices.map(async (path) => (await look('test', ['-c', path])).code === 0));
  return containerDevices
    .filter((_, index) => found[index] !== true)
    .map((path) => ({ what: `${asks}, and there is no ${path}`, remedy: 'load the kernel module "tun", or write containers: none' }));
}

/** Settings of some kernels that take user namespaces, or their worth, from whoever is not root of the host. */
const settings: readonly (readonly [path: string, forbids: (value: number) => boolean, wanted: string])[] = [
  ['/proc/sys/user/max_user_namespaces', (value) => value === 0, 'user.max_user_namespaces to some thousands'],
  ['/proc/sys/kernel/unprivileged_userns_clone', (value) => value === 0, 'kernel.unprivileged_userns_clone to 1'],
  ['/proc/sys/kernel/apparmor_restrict_unprivileged_userns', (value) => value !== 0, 'kernel.apparmor_restrict_unprivileged_userns to 0'],
];

async function checkNamespaces(asks: string): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const [path, forbids, wanted] of settings) {
    if (!(await exists(path)) || !forbids(Number(await readFile(path, 'utf8')))) continue;
    const what = `${asks}, and this host lets nobody but its root use user namespaces`;
    faults.push({ what, remedy: `set ${wanted}, or write containers: none` });
  }
  return faults;
}

async function checkTemplate({ name, template }: Profile): Promise<Fault[]> {
  if (template.kind === 'nixos') {
    // Its wrapper brings the rest. A template that cannot be read is told of elsewhere.
    const root = await realpath(template.path).catch(() => undefined);
    if (root === undefined || (await exists(`${root}/sw/bin/podman`))) return [];
    return [
      {
        what: `Profile ${name} has containers podman, and there is no podman in its system`,
        remedy: 'set virtualisation.podman.enable in it, or write containers: none',
      },
    ];
  }
  if (template.kind !== 'system' || !(await exists(template.path))) return [];
  const missing: string[] = [];
  for (const [what, paths] of parts) {
    const there = await Promise.all(paths.map(async (path) => exists(`${template.path}/usr/${path}`)));
    if (!there.includes(true)) missing.push(what);
  }
  if (missing.length === 0) return [];
  const what = `Profile ${name} has containers podman, and ${template.path} lacks ${missing.join(', ')}`;
  return [{ what, remedy: 'install that in the template, or write containers: none' }];
}
