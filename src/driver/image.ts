// Promises what the machines of a profile are made of: its template as it is now, with what its jobs get of Nix; held in the Nix store, and the
// pinned runner, before a machine is made of them.

import type { Profile } from '../core/model.ts';
import { faultSentence } from '../doctor.ts';
import { ControllerError } from '../errors.ts';
import type { MachineSpec } from './driver.ts';
import { hold } from './gc-root.ts';
import { withDaemon } from './nix-daemon.ts';
import { withDatabase, withOwnStore } from './nix-own.ts';
import { pinFault } from './runner-pin.ts';
import { inspectDirectory, inspectHost, type RootImage } from './template.ts';
import { inspectNixEnv, inspectNixos } from './template-nix.ts';
import { exists } from './presence.ts';

/** Equal for profiles whose machines are made of the same. */
export function imageKeyOf({ template, nixAccess }: Profile): string {
  return [template.kind, nixAccess ?? 'none', template.kind === 'host' ? '' : template.path].join(':');
}

/** Looks at a template once. Rejects with DRIVER_UNAVAILABLE when no machine can be made of it. */
export async function imageOf(profile: Profile): Promise<RootImage> {
  const image = await inspect(profile);
  if (profile.nixAccess === undefined) return image;
  return profile.nixAccess === 'daemon' ? withDaemon(image) : withOwnStore(image);
}

/** The same with what has to be made of it before machines are. */
export async function preparedImageOf(stateDir: string, profile: Profile): Promise<RootImage> {
  return withDatabase(stateDir, await imageOf(profile));
}

function inspect({ template }: Profile): Promise<RootImage> {
  if (template.kind === 'host') return inspectHost();
  if (template.kind === 'nix-env') return inspectNixEnv(template);
  return template.kind === 'nixos' ? inspectNixos(template) : inspectDirectory(template);
}

/** What the machine is made of, held in the Nix store from here on; looked at again where it was collected since `images` were. */
export async function heldImage(
  { controllerId, stateDir }: { readonly controllerId: string; readonly stateDir: string },
  { id, profile }: MachineSpec,
  images: ReadonlyMap<string, RootImage>,
): Promise<RootImage> {
  const held = async (image: RootImage): Promise<boolean> => {
    const { storePath: template } = image.plan;
    await hold(controllerId, id, { ...(template === undefined ? {} : { template }), runner: profile.runnerPath });
    return template === undefined || exists(template);
  };
  const known = images.get(imageKeyOf(profile)) ?? (await preparedImageOf(stateDir, profile));
  if (await held(known)) return known;
  const now = await preparedImageOf(stateDir, profile);
  if (await held(now)) return now;
  const why = `The template of profile ${profile.name} is being collected from the Nix store. Give it a root there.`;
  throw new ControllerError('DRIVER_FAILED', why);
}

/** A runner that was changed since the last check starts no machine. Rejects with DRIVER_FAILED. */
export async function requirePin(profile: Profile): Promise<void> {
  const fault = await pinFault(profile);
  if (fault !== undefined) throw new ControllerError('DRIVER_FAILED', faultSentence(fault));
}
