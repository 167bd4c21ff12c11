// Promises what lies in every root that is made of the Nix store: an environment whose programs are the PATH (kind nix-env), or a system that
// boots (kind nixos). The store is bound as a whole, read-only; the rest is links into it and a small /etc.

import { readdir, realpath } from 'node:fs/promises';
import type { Template } from '../core/model.ts';
import { ControllerError } from '../errors.ts';
import { canBeIdmapped } from './file-systems.ts';
import { hostsOfTemplate } from './hosts-file.ts';
import type { RootPlan } from './nspawn-unit.ts';
import { freshFolders, ownFolders, readText, usualEtc, type RootImage } from './template.ts';
import { exists } from './presence.ts';
import { mountsBelow } from './traces.ts';

export const nixStore = '/nix/store';

/** Folders of an environment that other software expects at the root. A nix-ld in lib64 makes foreign programs run. */
const topFolders = ['bin', 'sbin', 'lib', 'lib64'];
const usrFolders = [...topFolders, 'libexec', 'share', 'include'];
/** Files of the environment's etc that are copied, so that the machine may change them. */
const copied = ['passwd', 'group', 'nsswitch.conf', 'os-release', 'profile'];
/** Made for each machine. */
const own = new Set([...copied, 'hostname', 'hosts', 'resolv.conf', 'machine-id', 'mtab', 'ssl', 'pki']);
const storeFolders: readonly (readonly [string, number])[] = [
  ['nix', 0o755],
  ['nix/store', 0o755],
  ['nix/var', 0o755],
  ['nix/var/nix', 0o755],
];
/** What NixOS itself has there, once it is up. */
const systemPath = ['/run/wrappers', '/etc/profiles/per-user/root', '/nix/var/nix/profiles/default', '/run/current-system/sw']
  .map((folder) => `${folder}/bin`)
  .join(':');

/** How the store is bound: with its owners where the file system can, else as nobody's, which can be read as well. */
export async function storeBinds(): Promise<Pick<RootPlan, 'shared' | 'plain'>> {
  const below = (await mountsBelow(nixStore)).filter((path) => path !== nixStore);
  return below.length === 0 && (await canBeIdmapped(nixStore)) ? { shared: [nixStore] } : { shared: [], plain: [nixStore] };
}

export async function inspectNixEnv(template: Template & { readonly kind: 'nix-env' }): Promise<RootImage> {
  const path = await inStore(template);
  await need(template, path, ['bin/sh', 'bin/env']);
  const [etc, etcLinks, bundle] = await Promise.all([etcOf(path), etcLinksOf(path), bundleOf(path)]);
  const links: (readonly [string, string])[] = [['var/run', '../run'], ...etcLinks];
  for (const name of topFolders) if (await exists(`${path}/${name}`)) links.push([name, `${path}/${name}`]);
  for (const name of usrFolders) if (await exists(`${path}/${name}`)) links.push([`usr/${name}`, `${path}/${name}`]);
  const certificates = ['etc/ssl/certs/ca-bundle.crt', 'etc/ssl/certs/ca-certificates.crt', 'etc/pki/tls/certs/ca-bundle.crt'];
  if (bundle !== undefined) links.push(...certificates.map((name) => [name, bundle] as const));
  const locales = `${path}/lib/locale/locale-archive`;
  const environment = {
    PATH: ['/usr/local/bin', `${path}/bin`, ...((await exists(`${path}/sbin`)) ? [`${path}/sbin`] : [])].join(':'),
    ...(bundle === undefined ? {} : { SSL_CERT_FILE: `/${certificates[0] ?? ''}`, NIX_SSL_CERT_FILE: `/${certificates[0] ?? ''}` }),
    ...((await exists(locales)) ? { LOCALE_ARCHIVE: locales } : {}),
  };
  const etcFolders = ['etc/ssl', 'etc/ssl/certs', 'etc/pki', 'etc/pki/tls', 'etc/pki/tls/certs'].map((name) => [name, 0o755] as const);
  return {
    plan: { template, ...(await storeBinds()), overlaid: [], environment, storePath: path },
    links,
    folders: [...ownFolders, ...freshFolders, ...storeFolders, ['usr/local/bin', 0o755], ...etcFolders],
    etc,
  };
}

/** /etc and the links of /usr and /bin are made by the system itself when it boots; only its shell is needed before. */
export async function inspectNixos(template: Template & { readonly kind: 'nixos' }): Promise<RootImage> {
  const path = await inStore(template);
  await need(template, path, ['init', 'sw/bin/sh']);
  return {
    plan: {
      template,
      ...(await storeBinds()),
      overlaid: [],
      storePath: path,
      boot: { init: [`${path}/init`], path: `${systemPath}:${path}/sw/bin` },
    },
    links: [['bin/sh', `${path}/sw/bin/sh`]],
    folders: [
      ...ownFolders,
      ...freshFolders,
      ...storeFolders,
      ['bin', 0o755],
      ['nix/var/nix/gcroots', 0o755],
      ['nix/var/nix/profiles', 0o755],
      ['nix/var/nix/temproots', 0o755],
    ],
    etc: { 'os-release': '' },
  };
}

/** Where in the store the path ends. Links outside are followed each time, so a profile that was switched counts from the next check on. */
async function inStore({ kind, path }: Exclude<Template, { kind: 'host' }>): Promise<string> {
  const real = await realpath(path).catch((error: unknown) => {
    throw new ControllerError('DRIVER_UNAVAILABLE', `The template ${path} of kind "${kind}" cannot be read. Build it, or name another.`, {
      cause: error,
    });
  });
  if (real.startsWith(`${nixStore}/`)) return real;
  throw new ControllerError(
    'DRIVER_UNAVAILABLE',
    `The template ${path} of kind "${kind}" is not in ${nixStore}, but ends at ${real}. Name a path of the store or a link to one.`,
  );
}

async function need({ kind }: Template, path: string, names: readonly string[]): Promise<void> {
  const there = await Promise.all(names.map(async (name) => exists(`${path}/${name}`)));
  const missing = names.filter((_, index) => there[index] !== true);
  if (missing.length === 0) return;
  throw new ControllerError(
    'DRIVER_UNAVAILABLE',
    `The template ${path} is no ${kind === 'nixos' ? 'NixOS system' : 'environment for jobs'}: it has no ${missing.join(' and no ')}.`,
  );
}

async function etcOf(path: string): Promise<Readonly<Record<string, string>>> {
  const found = await Promise.all(copied.map(async (name) => [name, await readText(`${path}/etc/${name}`)] as const));
  return {
    'os-release': 'ID=nix-env\nNAME="Nix environment"\n',
    ...usualEtc,
    hosts: hostsOfTemplate(await readText(`${path}/etc/hosts`)),
    ...Object.fromEntries(found.filter(([, text]) => text !== '')),
  };
}

async function etcLinksOf(path: string): Promise<readonly (readonly [string, string])[]> {
  if (!(await exists(`${path}/etc`))) return [];
  const names = await readdir(`${path}/etc`);
  return names.filter((name) => !own.has(name)).map((name) => [`etc/${name}`, `${path}/etc/${name}`] as const);
}

async function bundleOf(path: string): Promise<string | undefined> {
  for (const name of ['ca-bundle.crt', 'ca-certificates.crt'])
    if (await exists(`${path}/etc/ssl/certs/${name}`)) return `${path}/etc/ssl/certs/${name}`;
  return undefined;
}
