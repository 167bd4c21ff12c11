// Promises the build of a machine: a short text that stays the same for as long as a machine of that profile would be made of the same files in
// the same way. What changes with every machine is not in it, nor what changes nothing inside.

import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import type { Profile } from '../core/model.ts';
import { errnoOf } from '../errors.ts';
import { guestFilesOf } from './guest.ts';
import { imageKeyOf } from './image.ts';
import { initScript } from './init-script.ts';
import { nspawnArgumentsOf, unitPropertiesOf } from './nspawn-unit.ts';
import { runnerConfigOf } from './root.ts';
import type { RootImage } from './template.ts';

/** What the host gives to machines, as the last check found it. */
type Host = { readonly images: ReadonlyMap<string, RootImage>; readonly resolvers: readonly string[]; readonly mtu: number };

type BuildInput = { readonly profile: Profile; readonly image: RootImage; readonly host: Omit<Host, 'images'> };

/** By the names of the profiles; without those that no check has looked at, or whose runner or template cannot be looked at. */
export async function buildsOf(profiles: readonly Profile[], { images, ...host }: Host): Promise<ReadonlyMap<string, string>> {
  const found = await Promise.all(
    profiles.map(async (profile) => {
      const image = images.get(imageKeyOf(profile));
      return [profile.name, image === undefined ? undefined : await buildOf({ profile, image, host })] as const;
    }),
  );
  return new Map(found.flatMap(([name, build]) => (build === undefined ? [] : [[name, build] as const])));
}

async function buildOf({ profile, image, host }: BuildInput): Promise<string | undefined> {
  const { template, overlaid } = image.plan;
  const root = template.kind === 'directory' || template.kind === 'system' ? template.path : undefined;
  const folders = root === undefined ? [] : [root, ...overlaid.map((name) => `${root}/${name}`)];
  const files = await Promise.all([profile.runnerPath, ...folders].map(identityOf));
  if (files.includes(undefined)) return undefined;
  // As if for a machine without a name: what a newer version of this program does differently shows here, too.
  const spec = { id: '', slot: 0, profile, runtimeMaxMs: profile.warm?.maxAgeMs ?? 0 };
  const unit = { controllerId: '', stateDir: '', spec, rootPlan: image.plan, uidBase: 0 };
  const { boot, environment = {} } = image.plan;
  const parts = [
    unitPropertiesOf(unit),
    nspawnArgumentsOf(unit),
    boot === undefined ? {} : guestFilesOf(profile, { PATH: boot.path, ...environment }),
    [initScript, runnerConfigOf(profile), profile.timeouts, profile.limits, profile.runnerSha256 ?? ''],
    [image, files, host, profile.nameservers ?? [], profile.extraHosts ?? []],
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22);
}

/** Another file has another one; so has a file that was written to, and a folder in which something was put or removed. */
async function identityOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs].join(' ');
  } catch (error) {
    if (errnoOf(error) !== undefined) return undefined;
    throw error;
  }
}
