// Promises what a doctor finds on this host: every check that a start makes, in the same words, and what only costs jobs (a template without
// git, a full disk). It changes nothing on the host, and one look that fails hides no other.

import { statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import type { Profile } from '../core/model.ts';
import { faultAt, findingsOf, skippedAt, wellAt, type Finding } from '../doctor.ts';
import { isControllerError } from '../errors.ts';
import { looseOf } from '../ownership.ts';
import { examineCaches } from './cache-examination.ts';
import { examineNetwork } from './examination-network.ts';
import { tryRun } from './exec.ts';
import { configuredChecks, hostChecks, type HostCheck, type HostCheckInput } from './host-check.ts';
import { imageOf } from './image.ts';
import { nixFinding, systemdFinding } from './known-versions.ts';
import { entryIsThere, exists } from './presence.ts';

export type ExaminationInput = Omit<HostCheckInput, 'log'> & { readonly cacheDir: string; readonly minFreeDiskBytes: number };

/** The first with idmapped mounts. */
const oldestKernel = [5, 12] as const;
const host = 'host';

/** Without a configuration only what needs none is looked at. */
export async function examineHost(input: ExaminationInput | undefined): Promise<readonly Finding[]> {
  const unsaid: string[] = [];
  const heard = (_event: unknown, _facts?: unknown, message = ''): void => void unsaid.push(message);
  const looks = [
    ...hostChecks(input?.profiles ?? []).map((check) => findingsOfCheck(check)),
    findingsOf({ area: host, name: 'machined' }, machined),
    findingsOf({ area: host, name: 'kernel' }, kernel),
    findingsOf({ area: host, name: 'systemd version' }, async () => [systemdFinding(await firstLineOf('systemd-run'))]),
    findingsOf({ area: host, name: 'Nix version' }, () => nix(input?.profiles ?? [])),
    ...examineNetwork(input?.network),
  ];
  if (input !== undefined) {
    // A first start makes the state directory.
    const stateDir = await nearest(input.stateDir);
    const checks = configuredChecks({ ...input, stateDir, log: { info: heard, warn: heard } });
    looks.push(...checks.map((check) => findingsOfCheck(check)));
    looks.push(findingsOf({ area: host, name: 'free disk' }, () => freeDisk(stateDir, input.minFreeDiskBytes)));
    const { controllerId, cacheDir } = input;
    const question = { ...input, folder: `${cacheDir}/${controllerId}`, nearest: await nearest(cacheDir) };
    looks.push(findingsOf({ area: host, name: 'caches' }, () => examineCaches(question)));
    for (const profile of input.profiles) {
      const area = `profile ${profile.name}`;
      looks.push(findingsOf({ area, name: 'template' }, () => tools(profile)));
      looks.push(findingsOf({ area, name: 'paths' }, async () => paths(profile)));
    }
  }
  const found = (await Promise.all(looks)).flat();
  return [...found, ...unsaid.map((what) => faultAt({ area: host, name: 'runners' }, { what }, 'warning'))];
}

function findingsOfCheck({ name, well, faults }: HostCheck): Promise<readonly Finding[]> {
  const place = { area: host, name };
  return findingsOf(place, async () => {
    const found = await faults();
    return found.length === 0 ? [wellAt(place, well)] : found.map((fault) => faultAt(place, fault));
  });
}

async function machined(): Promise<readonly Finding[]> {
  const place = { area: host, name: 'machined' };
  const { stdout, trouble } = await tryRun('systemctl', ['show', '--property=LoadState', 'systemd-machined.service'], { timeoutMs: 5_000 });
  const state = /^LoadState=(.*)$/m.exec(stdout)?.[1];
  if (state === 'loaded') return [wellAt(place, 'systemd-machined is installed.')];
  if (state === 'masked')
    return [faultAt(place, { what: 'systemd-machined is masked', remedy: 'systemctl unmask systemd-machined.service' })];
  const what = state === undefined ? `systemctl ${trouble ?? 'says nothing of systemd-machined'}` : `systemd-machined is ${state}`;
  return [faultAt(place, { what, remedy: 'install systemd-container, on a host that systemd booted' })];
}

async function firstLineOf(program: string): Promise<string> {
  const { stdout, trouble } = await tryRun(program, ['--version'], { timeoutMs: 5_000 });
  return stdout.split('\n')[0] ?? trouble ?? '';
}

/** A host without Nix has nothing to be told. */
async function nix(profiles: readonly Profile[]): Promise<readonly Finding[]> {
  if (!(await exists('/nix/var/nix/daemon-socket'))) return [];
  const shared = profiles.filter(({ nixAccess }) => nixAccess === 'daemon').map(({ name }) => name);
  return [nixFinding(await firstLineOf('nix-daemon'), shared)];
}

function kernel(): Promise<readonly Finding[]> {
  return Promise.resolve([kernelFinding(release())]);
}

export function kernelFinding(version: string): Finding {
  const place = { area: host, name: 'kernel' };
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  const old = major < oldestKernel[0] || (major === oldestKernel[0] && minor < oldestKernel[1]);
  if (!old) return wellAt(place, `Linux ${version} has idmapped mounts.`);
  return faultAt(place, { what: `Linux ${version} has no idmapped mounts`, remedy: `boot Linux ${oldestKernel.join('.')} or newer` });
}

async function freeDisk(path: string, floor: number): Promise<readonly Finding[]> {
  const place = { area: host, name: 'free disk' };
  const { bavail, bsize } = await statfs(path);
  const [free, least] = [bavail * bsize, floor].map((bytes) => `${Math.round(bytes / 1024 ** 2)} MiB`);
  if (bavail * bsize >= floor) return [wellAt(place, `${free} are free at ${path}; minFreeDisk is ${least}.`)];
  const what = `${free} are free at ${path}, less than minFreeDisk (${least}): nothing is started`;
  return [faultAt(place, { what, remedy: 'make room there, or lower minFreeDisk' })];
}

const wanted = [
  ['bash', 'steps with `shell: bash`, and those written for it, fail'],
  ['git', 'steps that call it, and actions/checkout, fail'],
  ['node', 'actions written in JavaScript, such as actions/checkout, fail'],
] as const;
const folders = ['usr/local/sbin', 'usr/local/bin', 'usr/sbin', 'usr/bin', 'sbin', 'bin'];

/** What jobs usually need. A link is enough: where it leads is the template's own affair. */
async function tools(profile: Profile): Promise<readonly Finding[]> {
  const { name, template } = profile;
  const place = { area: `profile ${name}`, name: 'template' };
  const plain = (template.kind === 'host' || template.kind === 'directory') && profile.nixAccess !== 'own';
  const trouble = plain ? undefined : await troubleOf(profile);
  if (trouble !== undefined) return [faultAt(place, { what: trouble })];
  const root = template.kind === 'host' ? '/' : template.kind === 'nixos' ? `${template.path}/sw` : template.path;
  if (!(await exists(root))) return [skippedAt(place, `${root} is not there: see the failure above.`)];
  const where = template.kind === 'host' ? "the host's /usr" : template.path;
  const missing = wanted.filter(([tool]) => !isIn(root, tool));
  if (missing.length === 0) return [wellAt(place, `bash, git and node are in ${where}.`)];
  return missing.map(([tool, cost]) =>
    faultAt(place, { what: `There is no ${tool} in ${where}: ${cost}`, remedy: `install ${tool} there, if jobs need it` }, 'warning'),
  );
}

/** Why no machine can be made of the template; undefined when one can. */
async function troubleOf(profile: Profile): Promise<string | undefined> {
  try {
    await imageOf(profile);
    return undefined;
  } catch (error) {
    if (isControllerError(error)) return error.message.replace(/\.$/, '');
    throw error;
  }
}

function isIn(root: string, tool: string): boolean {
  return folders.some((folder) => entryIsThere(join(root, folder, tool)));
}

/** Whatever the host follows or runs as root for a machine. */
function paths({ name, binds, template, runnerPath }: Profile): readonly Finding[] {
  const place = { area: `profile ${name}`, name: 'paths' };
  const followed = [...binds.map(({ source }) => source), ...(template.kind === 'host' ? [] : [template.path])];
  const found = [...followed.map((path) => [path, looseOf(path)] as const), [runnerPath, looseOf(runnerPath, true)] as const];
  const loose = found.flatMap(([path, where]) => (where === undefined ? [] : [{ path, where }]));
  if (loose.length === 0) return [wellAt(place, 'Only root can change where its runner, template and binds lie.')];
  return loose.map(({ path, where }) => {
    const what = `Others than root can put something else in the place of ${path}, for ${where.path} ${where.why}`;
    return faultAt(place, { what, remedy: 'let root own every folder on the way, and nobody else write there' }, 'warning');
  });
}

async function nearest(path: string): Promise<string> {
  return (await exists(path)) || dirname(path) === path ? path : nearest(dirname(path));
}
