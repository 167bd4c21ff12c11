// Promises what lies in every root of one template, found by looking at it once: the host's own /usr, or a root directory. Nothing is copied
// here. What is made of the Nix store is another file's matter (template-nix.ts).

import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises';
import type { Template } from '../core/model.ts';
import { ControllerError, errnoOf } from '../errors.ts';
import { hostsOfTemplate } from './hosts-file.ts';
import type { RootPlan } from './nspawn-unit.ts';
import { exists } from './presence.ts';

/** What lies in every root of one template; looked up once. */
export type RootImage = {
  readonly plan: RootPlan;
  /** By paths below the root. */
  readonly links: readonly (readonly [name: string, target: string])[];
  /** Paths and modes of folders below the root, each after the one it lies in. */
  readonly folders: readonly (readonly [name: string, mode: number])[];
  /** Files below etc/ by name; the machine's own ones are added. */
  readonly etc: Readonly<Record<string, string>>;
  /** Files of the host, and where below the root they are copied to. */
  readonly copies?: readonly (readonly [from: string, name: string])[];
  /** Of a template whose machines have a Nix store of their own over that of the host: its nix-store. */
  readonly nixProgram?: string;
};

export const freshFolders: readonly (readonly [string, number])[] = [
  ['proc', 0o555],
  ['sys', 0o555],
  ['dev', 0o755],
  ['run', 0o755],
  ['tmp', 0o1777],
];
/** Of a root that is made of nothing but links and binds. */
export const ownFolders: readonly (readonly [string, number])[] = [
  ['usr', 0o755],
  ['usr/local', 0o755],
  ['etc', 0o755],
  ['var', 0o755],
  ['var/lib', 0o755],
  ['var/cache', 0o755],
  ['var/log', 0o755],
  ['var/tmp', 0o1777],
  ['root', 0o700],
  ['home', 0o755],
  ['opt', 0o755],
  ['srv', 0o755],
  ['mnt', 0o755],
];
const neverOverlaid = new Set(['proc', 'sys', 'dev', 'run', 'tmp', 'lost+found', 'boot']);
const plainNames = 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n';

/** Beside what a Nix environment brings itself. */
export const usualEtc: Readonly<Record<string, string>> = {
  passwd: 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  group: 'root:x:0:\nnogroup:x:65534:\n',
  'nsswitch.conf': plainNames,
};

export async function inspectHost(): Promise<RootImage> {
  const links: (readonly [string, string])[] = [];
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']) {
    const found = await lstat(`/${name}`).catch(() => undefined);
    if (found?.isSymbolicLink() === true) links.push([name, (await readlink(`/${name}`)).replace(/^\//, '')]);
  }
  if (!links.some(([name]) => name === 'bin')) {
    throw new ControllerError(
      'DRIVER_UNAVAILABLE',
      'The template "host" needs a host whose /bin is a link into /usr; this one is not. Use a template of kind "directory", or on NixOS "nix-env".',
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
    'nsswitch.conf': plainNames,
  };
  for (const name of ['protocols', 'services', 'mime.types', 'ld.so.conf', 'bash.bashrc', 'profile', 'debian_version', 'environment']) {
    const text = await readText(`/etc/${name}`);
    if (text !== '') etc[name] = text;
  }
  links.push(['var/run', '../run']);
  // /usr is bound over what is made of it here.
  return { plan: { template: { kind: 'host' }, shared, overlaid: [] }, links, folders: [...ownFolders, ...freshFolders], etc };
}

export async function inspectDirectory(template: Template & { readonly kind: 'directory' | 'system' }): Promise<RootImage> {
  const { path } = template;
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throw new ControllerError('DRIVER_UNAVAILABLE', `The template directory ${path} cannot be read.`, { cause: error });
  });
  const links: (readonly [string, string])[] = [];
  const folders: (readonly [string, number])[] = [...freshFolders];
  const overlaid: string[] = [];
  for (const entry of entries) {
    if (entry.isSymbolicLink()) links.push([entry.name, await readlink(`${path}/${entry.name}`)]);
    else if (entry.isDirectory() && !neverOverlaid.has(entry.name)) {
      overlaid.push(entry.name);
      // Not that new files shall have its group: a sandbox may forbid to set that (RestrictSUIDSGID=).
      folders.push([entry.name, (await stat(`${path}/${entry.name}`)).mode & 0o1777]);
    }
  }
  if (!overlaid.includes('usr') || !overlaid.includes('etc'))
    throw new ControllerError('DRIVER_UNAVAILABLE', `The template directory ${path} is no root directory: it has no usr/ or no etc/.`);
  const plan: RootPlan = { template, shared: [], overlaid };
  const etc = { hosts: await hostsIn(`${path}/etc/hosts`) };
  return { plan: template.kind === 'system' ? { ...plan, boot: await bootOf(path) } : plan, links, folders, etc };
}

/** A link is left alone: it would be followed on the host, and lead elsewhere than in the template. */
async function hostsIn(path: string): Promise<string> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isFile() === true ? hostsOfTemplate(await readText(path)) : '';
}

/** The systemd of a root directory. Asked to say only what fails: the console is for the job. */
async function bootOf(path: string): Promise<NonNullable<RootPlan['boot']>> {
  for (const init of ['/usr/lib/systemd/systemd', '/lib/systemd/systemd'])
    if (await exists(`${path}${init}`))
      return { init: [init, '--show-status=error'], path: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  throw new ControllerError(
    'DRIVER_UNAVAILABLE',
    `The template ${path} of kind "system" has no systemd: there is no usr/lib/systemd/systemd in it. Install systemd there, or use kind "directory".`,
  );
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

/** '' where there is none. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw error;
  }
}
