// Promises that after remove() nothing of a machine is left on the host, whatever its root holds and wherever an earlier try stopped: the
// marker goes last, and what stayed is named. Files are another file's matter (clearing.ts).

import { rm, rmdir, stat } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { MachineId } from '../core/model.ts';
import { ControllerError, errnoOf } from '../errors.ts';
import { clearFolder, unmountBelow } from './clearing.ts';
import type { Leftover } from './driver.ts';
import { perform, tryPerform } from './exec.ts';
import { gathered } from './gathering.ts';
import { letGo } from './gc-root.ts';
import { readExit } from './listing.ts';
import { interfaceOf, namespaceOf, pathsOf } from './nspawn-unit.ts';
import type { MachinePaths } from './nspawn-unit.ts';
import { exists } from './presence.ts';
import { hasOurAlias, isTakenByOthers, leftoversOf, machineIsThere, namespaceIsThere } from './traces.ts';
import type { Site } from './way.ts';

const nspawnRun = '/run/systemd/nspawn';

export type RemovalInput = Site & { readonly clock: Clock; readonly id: MachineId };

/** Ends and removes a machine. Absent = success. Rejects with DRIVER_FAILED and `details.leftovers`. */
export async function removeMachine(input: RemovalInput): Promise<void> {
  const { stateDir, way, id } = input;
  const paths = pathsOf(stateDir, id);
  if ((await leftoversOf(input, id)).length === 0) return;
  await endUnit(input);
  await Promise.all([removeLink(input), removeFiles(input, paths), leaveMachined(input), letGo(input.controllerId, id)]);
  // Last of these: it may be what says that the machine is ours.
  await way.letGo(id);
  await rm(paths.exit, { force: true });
  const left = (await leftoversOf(input, id)).filter((leftover) => leftover.name !== paths.folder);
  if (left.length > 0) throw stayed(id, left);
  await removeMarker(paths);
  if (await exists(paths.folder)) throw stayed(id, [{ kind: 'directory', name: paths.folder }]);
}

function stayed(id: MachineId, leftovers: readonly Leftover[]): ControllerError {
  const names = leftovers.map(({ kind, name }) => `${kind} ${name}`).join(', ');
  return new ControllerError('DRIVER_FAILED', `Machine ${id} could not be removed completely; still there: ${names}.`, {
    details: { leftovers },
  });
}

/** Polls with growing pauses until `done`; false when the time is over. */
async function until(clock: Clock, limitMs: number, done: () => Promise<boolean>): Promise<boolean> {
  const end = clock.now() + limitMs;
  for (let pause = 2; !(await done()); pause = Math.min(pause * 1.5, 15)) {
    if (clock.now() >= end) return false;
    await clock.sleep(pause);
  }
  return true;
}

/** Kills the unit's whole control group and waits until systemd has forgotten the unit. */
async function endUnit({ stateDir, way, clock, id }: RemovalInput): Promise<void> {
  const unit = way.unitOf(id);
  const gone = async (): Promise<boolean> => !(await way.unitIsThere(id));
  if (await gone()) {
    await way.callOff(id);
    if (await gone()) return;
  }
  // It ended by itself and systemd is about to drop it: no need to kill.
  if ((await readExit(pathsOf(stateDir, id).exit)) !== undefined && (await until(clock, 400, gone))) return;
  for (let tries = 0; tries < 5; tries += 1) {
    // The stop takes back a start that is still queued, the kill ends what runs without any grace.
    await tryPerform('systemctl', ['stop', '--no-block', '--', unit], { timeoutMs: 5_000 });
    await tryPerform('systemctl', ['kill', '--signal=KILL', '--', unit], { timeoutMs: 5_000 });
    if (await until(clock, 2_000, gone)) return;
    await tryPerform('systemctl', ['reset-failed', '--', unit], { timeoutMs: 5_000 });
    if (await gone()) return;
  }
  throw stayed(id, [{ kind: 'unit', name: unit }]);
}

/** Deletes the namespace and waits until the veth pair, which the kernel drops later, is seen gone: only then is the slot free. */
async function removeLink({ controllerId, clock, id }: RemovalInput): Promise<void> {
  const name = interfaceOf(id);
  if (await namespaceIsThere(controllerId, id)) {
    const { code, trouble, stderr } = await deleteNamespaces({ controllerId, id });
    if (code !== 0) throw new ControllerError('DRIVER_FAILED', `The network of machine ${id} is not removed: ${trouble ?? stderr.trim()}`);
  }
  const gone = async (): Promise<boolean> => !(await hasOurAlias(controllerId, id));
  if (await until(clock, 1_000, gone)) return;
  await tryPerform('ip', ['link', 'del', name], { timeoutMs: 10_000 });
  await until(clock, 3_000, gone);
}

/** One that a run of several deleted before it failed is not asked for again. */
const deleteNamespaces = gathered(async (machines: readonly Pick<RemovalInput, 'controllerId' | 'id'>[]) => {
  const lines: string[] = [];
  for (const { controllerId, id } of machines)
    if (await namespaceIsThere(controllerId, id)) lines.push(`netns del ${namespaceOf(controllerId, id)}\n`);
  return tryPerform('ip', ['-batch', '-'], { input: lines.join(''), timeoutMs: 10_000 });
});

/** machined drops its entry a moment after the unit went; a new machine of that name would be refused until then. */
async function leaveMachined({ clock, id, ...site }: RemovalInput): Promise<void> {
  const gone = async (): Promise<boolean> => !(await machineIsThere(site, id));
  if (await until(clock, 1_000, gone)) return;
  await tryPerform('machinectl', ['terminate', '--', id], { timeoutMs: 5_000 });
  await until(clock, 1_000, gone);
}

/** Everything in the folder but the marker, and what nspawn keeps elsewhere. */
async function removeFiles({ id, ...site }: RemovalInput, paths: MachinePaths): Promise<void> {
  const locks = await lockOf(paths);
  const taken = await isTakenByOthers(site, id);
  await Promise.all([clearFolder(paths), leaveNspawn([...locks, ...(taken ? [] : await keptOf(id))])]);
}

/** What nspawn keeps by a machine's name. */
async function keptOf(id: MachineId): Promise<readonly string[]> {
  // Newer nspawns mount a small file system here, which stays when they are killed.
  const mounted = `${nspawnRun}/unix-export/${id}`;
  if (await exists(mounted)) await unmountBelow(mounted);
  return [`${nspawnRun}/propagate/${id}`, mounted, `${nspawnRun}/${id}.nspawn`];
}

/** Most often there is nothing. Not by ourselves: in a sandbox we write to our own folders only. */
async function leaveNspawn(paths: readonly string[]): Promise<void> {
  const found = await Promise.all(paths.map(async (path) => ((await exists(path)) ? [path] : [])));
  if (found.flat().length > 0) await perform('rm', ['-rf', '--one-file-system', '--', ...found.flat()], { timeoutMs: 10_000 });
}

/** nspawn's lock on the root's inode: stays behind when nspawn is killed. */
async function lockOf(paths: MachinePaths): Promise<readonly string[]> {
  try {
    const root = await stat(paths.root, { bigint: true });
    return [`${nspawnRun}/locks/inode-${root.dev.toString()}:${root.ino.toString()}`];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function removeMarker(paths: MachinePaths): Promise<void> {
  await rm(paths.marker, { force: true });
  try {
    await rmdir(paths.folder);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}
