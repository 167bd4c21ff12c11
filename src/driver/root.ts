// Promises the fresh root of one machine: folders, links and a small /etc, written with node's own file calls, plus the FIFO. What is
// large (/usr, a template) is never copied, only bound or overlaid by nspawn.

import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { lstat, readFile, readdir, readlink, stat } from 'node:fs/promises';
import type { Template } from '../core/model.ts';
import { ControllerError } from '../errors.ts';
import type { MachineSpec } from './driver.ts';
import { initScript } from './init-script.ts';
import { isIpv4, nameserversOf } from './network.ts';
import type { DriverNetwork } from './network.ts';
import type { MachinePaths, RootPlan } from './nspawn-unit.ts';

/** What lies in every root of one template; looked up once. */
export type RootImage = {
  readonly plan: RootPlan;
  readonly links: readonly (readonly [name: string, target: string])[];
  /** Name and mode of the top folders. */
  readonly folders: readonly (readonly [name: string, mode: number])[];
  /** Files below etc/ by name; the machine's own ones are added. */
  readonly etc: Readonly<Record<string, string>>;
};

const freshFolders: readonly (readonly [string, number])[] = [
  ['proc', 0o555],
  ['sys', 0o555],
  ['dev', 0o755],
  ['run', 0o755],
  ['tmp', 0o1777],
];
const hostFolders: readonly (readonly [string, number])[] = [
  ['usr', 0o755],
  ['etc', 0o755],
  ['var', 0o755],
  ['root', 0o700],
  ['home', 0o755],
  ['opt', 0o755],
  ['srv', 0o755],
  ['mnt', 0o755],
];
const neverOverlaid = new Set(['proc', 'sys', 'dev', 'run', 'tmp', 'lost+found', 'boot']);

/** Looks at a template once. Rejects with DRIVER_UNAVAILABLE when no machine can be made of it. */
export async function inspectTemplate(template: Template): Promise<RootImage> {
  if (template.kind === 'host') return inspectHost();
  if (template.kind === 'directory') return inspectDirectory(template);
  throw new ControllerError('DRIVER_UNAVAILABLE', `Templates of kind "${template.kind}" are not made here yet.`);
}

async function inspectHost(): Promise<RootImage> {
  const links: (readonly [string, string])[] = [];
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']) {
    const found = await lstat(`/${name}`).catch(() => undefined);
    if (found?.isSymbolicLink() === true) links.push([name, (await readlink(`/${name}`)).replace(/^\//, '')]);
  }
  if (!links.some(([name]) => name === 'bin')) {
    throw new ControllerError(
      'DRIVER_UNAVAILABLE',
      'The template "host" needs a host whose /bin is a link into /usr; this one is not. Use a template of kind "directory".',
    );
  }
  const shared = ['/usr'];
  // Certificates and Debian's alternatives; never /etc/ssl as a whole, which holds private keys.
  for (const path of [
    '/etc/alternatives',
    '/etc/ssl/certs',
    '/etc/pki/tls/certs',
    '/etc/pki/ca-trust/extracted',
    '/etc/ca-certificates/extracted',
  ]) {
    if ((await lstat(path).catch(() => undefined))?.isDirectory() === true) shared.push(path);
  }
  const etc: Record<string, string> = {
    passwd: systemAccounts(await readText('/etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n'),
    group: systemAccounts(await readText('/etc/group'), 'root:x:0:\n'),
    'os-release': await readText('/etc/os-release'),
    'nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n',
  };
  for (const name of ['protocols', 'services', 'mime.types', 'ld.so.conf', 'bash.bashrc', 'profile', 'debian_version', 'environment']) {
    const text = await readText(`/etc/${name}`);
    if (text !== '') etc[name] = text;
  }
  return { plan: { template: { kind: 'host' }, shared, overlaid: [] }, links, folders: [...hostFolders, ...freshFolders], etc };
}

async function inspectDirectory(template: Template & { readonly kind: 'directory' }): Promise<RootImage> {
  const entries = await readdir(template.path, { withFileTypes: true }).catch((error: unknown) => {
    throw new ControllerError('DRIVER_UNAVAILABLE', `The template directory ${template.path} cannot be read.`, { cause: error });
  });
  const links: (readonly [string, string])[] = [];
  const folders: (readonly [string, number])[] = [...freshFolders];
  const overlaid: string[] = [];
  for (const entry of entries) {
    if (entry.isSymbolicLink()) links.push([entry.name, await readlink(`${template.path}/${entry.name}`)]);
    else if (entry.isDirectory() && !neverOverlaid.has(entry.name)) {
      overlaid.push(entry.name);
      folders.push([entry.name, (await stat(`${template.path}/${entry.name}`)).mode & 0o7777]);
    }
  }
  if (!overlaid.includes('usr') || !overlaid.includes('etc')) {
    throw new ControllerError(
      'DRIVER_UNAVAILABLE',
      `The template directory ${template.path} is no root directory: it has no usr/ or no etc/.`,
    );
  }
  return { plan: { template, shared: [], overlaid }, links, folders, etc: {} };
}

/** The host's system accounts: what /usr expects. People's names and homes stay out. */
function systemAccounts(text: string, fallback: string): string {
  const kept = text.split('\n').filter((line) => {
    const fields = line.split(':');
    const number = Number(fields[2]);
    return fields.length >= 3 && fields[2] !== '' && Number.isInteger(number) && (number < 1000 || number === 65_534);
  });
  return kept.length === 0 ? fallback : `${kept.map((line) => withoutMembers(line)).join('\n')}\n`;
}

function withoutMembers(line: string): string {
  const fields = line.split(':');
  return fields.length === 4 ? `${fields.slice(0, 3).join(':')}:` : line;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** Resolvers for machines: the configured ones, or the host's, looked for behind a local stub if need be. */
export async function resolversOf(network: DriverNetwork): Promise<readonly string[]> {
  if (network.nameservers.length > 0) return network.nameservers.filter(isIpv4);
  for (const path of ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']) {
    const found = nameserversOf(await readText(path));
    if (found.length > 0) return found.slice(0, 3);
  }
  return [];
}

/** The runner's own clock only has to be later than the reconciler's, which alone says in Forgejo and /status that a job was too long. */
const runnerClockMarginMs = 30_000;

/**
 * The runner's configuration. A result is offered for more than a minute, so that none is lost to a forge that restarts just then. A runner whose
 * registration is gone offers it as long, to nobody: the reconciler sees that its job is gone and stops the machine.
 */
export function runnerConfigOf(jobMs: number): string {
  return [
    'log:',
    '  level: info',
    'runner:',
    `  timeout: ${Math.ceil((jobMs + runnerClockMarginMs) / 1000)}s`,
    '  report_retry:',
    '    max_retries: 14',
    '    max_delay: 10s',
    'cache:',
    '  enabled: false',
    '',
  ].join('\n');
}

export type RootInput = {
  readonly paths: MachinePaths;
  readonly image: RootImage;
  readonly spec: MachineSpec;
  readonly resolvers: readonly string[];
};

/**
 * Fills the (empty) root folder. Owned by root on disk; nspawn gives it to the machine's uid range. Synchronous: sixty small steps take 1.5 ms
 * this way, and three times as much processor time when each goes to another thread and back.
 */
export function fillRoot({ paths, image, spec, resolvers }: RootInput): void {
  const overlaid = new Set(image.plan.overlaid);
  mkdirSync(paths.root, { recursive: true, mode: 0o755 });
  for (const [name, mode] of image.folders) makeFolder(`${paths.root}/${name}`, mode);
  if (overlaid.size > 0) {
    for (const name of ['.template', '.fresh']) mkdirSync(`${paths.root}/${name}`);
    for (const [name, mode] of image.folders) if (overlaid.has(name)) makeFolder(`${paths.root}/.fresh/${name}`, mode);
  }
  // nspawn would make missing mount points itself, owned by nobody.
  for (const path of image.plan.shared) mkdirSync(`${paths.root}${path}`, { recursive: true });
  const etc = overlaid.has('etc') ? `${paths.root}/.fresh/etc` : `${paths.root}/etc`;
  const files: Readonly<Record<string, string>> = {
    ...image.etc,
    hostname: `${spec.id}\n`,
    hosts: `127.0.0.1 localhost ${spec.id}\n::1 localhost\n`,
    'resolv.conf': resolvers.map((address) => `nameserver ${address}\n`).join(''),
  };
  for (const [name, target] of image.links) symlinkSync(target, `${paths.root}/${name}`);
  for (const [name, text] of Object.entries(files)) writeFileSync(`${etc}/${name}`, text);
  if (image.plan.template.kind === 'host') {
    for (const name of ['var/lib', 'var/cache', 'var/log', 'usr/local']) mkdirSync(`${paths.root}/${name}`);
    makeFolder(`${paths.root}/var/tmp`, 0o1777);
    symlinkSync('../run', `${paths.root}/var/run`);
  }
}

function makeFolder(path: string, mode: number): void {
  mkdirSync(path);
  // mkdir's mode is cut by the umask.
  chmodSync(path, mode);
}

/** What the machine shares with the controller: init script, runner's configuration, and the FIFO that must come into being whole. */
export async function fillShared(paths: MachinePaths, spec: MachineSpec, makeFifo: (path: string) => Promise<void>): Promise<void> {
  const draft = `${paths.shared}.new`;
  mkdirSync(`${draft}/assign`, { recursive: true });
  const fifo = makeFifo(`${draft}/assign/job`);
  chmodSync(draft, 0o755);
  chmodSync(`${draft}/assign`, 0o700);
  writeFileSync(`${draft}/init`, initScript);
  writeFileSync(`${draft}/config.yml`, runnerConfigOf(spec.profile.timeouts.jobMs));
  writeFileSync(`${draft}/runner`, '');
  await fifo;
  // From here on a missing FIFO means: was assigned.
  renameSync(draft, paths.shared);
}
