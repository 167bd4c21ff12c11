// Promises jobs a Nix store of their machine's own, where their profile asks for it: the template's store lies under it and is never written
// to, what is built lies in the machine's root and goes with it, and a database in there knows what the template is made of. Why so:
// docs/decisions/0015-a-nix-store-of-the-machines-own.md.

import { randomUUID } from 'node:crypto';
import { mkdir, realpath, rename, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Template } from '../core/model.ts';
import { ControllerError } from '../errors.ts';
import { perform, tryPerform } from './exec.ts';
import { storeLayers } from './nspawn-unit.ts';
import { entryIsThere, exists, namesIn } from './presence.ts';
import { readText, type RootImage } from './template.ts';
import { nixStore, storeBinds } from './template-nix.ts';

/** Where Nix' own installer puts it; Debian's is in /usr/bin. */
const usualProfile = '/nix/var/nix/profiles/default';
const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const databaseFiles = ['db.sqlite', 'schema'] as const;

/** What Nix makes itself but for the layers and the database. */
const folders: readonly (readonly [string, number])[] = [
  [storeLayers.top, 0o700],
  [storeLayers.lower, 0o755],
  [storeLayers.upper, 0o1775],
  ['nix', 0o755],
  ['nix/store', 0o755],
  ['nix/var', 0o755],
  ['nix/var/nix', 0o755],
  ['nix/var/nix/db', 0o755],
  ['nix/var/nix/gcroots', 0o755],
  ['nix/var/nix/profiles', 0o755],
];

/** The same root with a store of its own; rejects with DRIVER_UNAVAILABLE where the template has no Nix, or its store cannot lie under another. */
export async function withOwnStore(image: RootImage): Promise<RootImage> {
  const { template } = image.plan;
  if (template.kind === 'host' && !(await exists('/usr/bin/nix-store'))) return withLayer(withSettings(image, []), await installed(), true);
  if (template.kind === 'host') return withSettings(image, []);
  if (template.kind === 'directory' || template.kind === 'system') return inDirectory(image, template.path);
  const path = image.plan.storePath ?? template.path;
  const layered = await withLayer(image, path, false);
  if (template.kind === 'nixos') {
    await requireNoSandbox(path);
    return layered;
  }
  return withSettings(layered, (await exists(`${path}/etc/nix/nix.conf`)) ? [`${path}/etc/nix/nix.conf`] : []);
}

/** What a directory holds is the machine's own to change anyway: it only has to work for who builds without a sandbox. */
async function inDirectory(image: RootImage, path: string): Promise<RootImage> {
  const places = ['usr/bin/nix-store', 'usr/local/bin/nix-store', usualProfile.slice(1)];
  if (!places.some((place) => entryIsThere(`${path}/${place}`))) throw without(image.plan.template, 'usr/bin/nix-store');
  return withSettings(image, (await exists(`${path}/etc/nix/nix.conf`)) ? ['/.template/etc/nix/nix.conf'] : []);
}

/** Where the profile that Nix' installer makes ends in the host's store. */
async function installed(): Promise<string> {
  const path = await realpath(usualProfile).catch(() => '');
  if (path.startsWith(`${nixStore}/`)) return path;
  throw without({ kind: 'host' }, `/usr/bin/nix-store, and none at ${usualProfile}`);
}

async function withLayer(image: RootImage, storePath: string, asProfile: boolean): Promise<RootImage> {
  const { plan } = image;
  const bin = `${storePath}/${plan.template.kind === 'nixos' ? 'sw/bin' : 'bin'}`;
  if (!(await exists(`${bin}/nix-store`))) throw without(plan.template, `${bin}/nix-store`);
  if ((await storeBinds()).shared.length === 0)
    throw new ControllerError(
      'DRIVER_UNAVAILABLE',
      `nix.access own lays a store over ${nixStore}, which cannot be idmapped, or has something mounted below it. Put it on ext4, xfs, btrfs or tmpfs, without mounts below, or write nix.access: daemon.`,
    );
  await requireKnown(`${bin}/nix-store`, storePath);
  const known = new Set(image.folders.map(([name]) => name));
  const profile = usualProfile.slice(1);
  return {
    ...image,
    plan: {
      ...plan,
      shared: plan.shared.filter((path) => path !== nixStore),
      ...(plan.plain === undefined ? {} : { plain: plan.plain.filter((path) => path !== nixStore) }),
      layered: nixStore,
      storePath,
      ...(asProfile ? { environment: { ...plan.environment, PATH: `${usualPath}:${usualProfile}/bin` } } : {}),
    },
    folders: [...image.folders, ...folders.filter(([name]) => !known.has(name))],
    // A collection of garbage in the machine leaves it what it is made of.
    links: [...image.links, ['nix/var/nix/gcroots/template', storePath], ...(asProfile ? ([[profile, storePath]] as const) : [])],
    nixProgram: `${bin}/nix-store`,
  };
}

/** Rejects with DRIVER_UNAVAILABLE for what was never built here, with DRIVER_FAILED when Nix gave no answer: the next time it may (I2). */
async function requireKnown(program: string, storePath: string): Promise<void> {
  const { code, trouble, stderr } = await tryPerform(program, ['--check-validity', storePath]);
  if (code === 0 && trouble === undefined) return;
  if (trouble === undefined && stderr.includes('is not valid'))
    throw new ControllerError(
      'DRIVER_UNAVAILABLE',
      `nix.access own: the Nix of this host does not know ${storePath}. Build it on this host, or name what was built here.`,
    );
  throw new ControllerError(
    'DRIVER_FAILED',
    `nix.access own: ${program} did not say whether it knows ${storePath}: ${(trouble ?? stderr).trim()}`,
  );
}

/**
 * Settings that let the machine's root build: it is the only user there is, and no sandbox can be made by who may not mount. They come after the
 * template's own, which are read where the machine sees them.
 */
function withSettings(image: RootImage, included: readonly string[]): RootImage {
  const lines = [
    ...included.map((path) => `!include ${path}`),
    'extra-experimental-features = nix-command flakes',
    'build-users-group =',
    'sandbox = false',
    '',
  ];
  return {
    ...image,
    links: image.links.filter(([name]) => name !== 'etc/nix'),
    etc: { ...image.etc, 'nix/nix.conf': lines.join('\n') },
  };
}

/** A system makes its own settings when it boots, and those of NixOS have a sandbox where nothing is said. */
async function requireNoSandbox(path: string): Promise<void> {
  const said = (await readText(`${path}/etc/nix/nix.conf`)).matchAll(/^\s*sandbox\s*=\s*(\S*)/gm);
  const last = [...said].at(-1)?.[1];
  if (last === undefined || last === 'false') return;
  throw new ControllerError(
    'DRIVER_UNAVAILABLE',
    `nix.access own: the system ${path} builds in a sandbox, which needs mounts that no machine may make. Write nix.settings.sandbox = false in its configuration.`,
  );
}

function without({ kind }: Template, what: string): ControllerError {
  return new ControllerError(
    'DRIVER_UNAVAILABLE',
    `nix.access own needs Nix in the template of kind "${kind}": there is no ${what}. Install Nix there, or write nix.access: none.`,
  );
}

/**
 * The same image with a database for its machines, made once for each path of the store: by the Nix that will read it, of what the host's Nix
 * says. A path of the store never changes, so neither does that.
 */
export async function withDatabase(stateDir: string, image: RootImage): Promise<RootImage> {
  const { nixProgram, plan } = image;
  if (nixProgram === undefined || plan.storePath === undefined) return image;
  const folder = `${stateDir}/nix/${basename(plan.storePath)}`;
  if (!(await exists(`${folder}/${databaseFiles[0]}`))) await makeDatabase(stateDir, folder, nixProgram, plan.storePath);
  return { ...image, copies: databaseFiles.map((name) => [`${folder}/${name}`, `nix/var/nix/db/${name}`] as const) };
}

/** Outside of the service's sandbox, where the host's Nix can be asked without its daemon, and Nix may give away what it makes. */
const script = `set -ef
all=$("$1" --query --requisites "$2")
"$1" --dump-db $all >"$3/registration"
export NIX_REMOTE="local?root=$3" NIX_CONFIG="build-users-group =
use-sqlite-wal = false"
"$1" --load-db <"$3/registration"`;

/** Those that are being made. */
const drafts = new Set<string>();

async function makeDatabase(stateDir: string, folder: string, program: string, storePath: string): Promise<void> {
  const name = `.${randomUUID()}`;
  const draft = `${stateDir}/nix/${name}`;
  drafts.add(name);
  try {
    await mkdir(`${draft}/made`, { recursive: true, mode: 0o700 });
    await perform('sh', ['-c', script, 'sh', program, storePath, draft], { timeoutMs: 60_000 });
    for (const file of databaseFiles) await rename(`${draft}/nix/var/nix/db/${file}`, `${draft}/made/${file}`);
    // Of two that are made at once either will do.
    await rename(`${draft}/made`, folder).catch(async (error: unknown) => {
      if (!(await exists(`${folder}/${databaseFiles[0]}`))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
    drafts.delete(name);
  }
}

/** Removes the databases of templates that no profile has any longer. */
export async function dropDatabases(stateDir: string, images: Iterable<RootImage>): Promise<void> {
  const wanted = new Set([...images].map(({ plan }) => basename(plan.storePath ?? '')));
  const old = namesIn(`${stateDir}/nix`).filter((name) => !wanted.has(name) && !drafts.has(name));
  await Promise.all(old.map((name) => rm(`${stateDir}/nix/${name}`, { recursive: true, force: true })));
}
