// Promises to find everything on the host that bears our mark, by reading folders only: no process is started to learn that nothing is
// there. What cannot be read is an error, never "nothing" (I2). Reads are synchronous: a look at /run or /sys takes 10 microseconds, sending
// it to another thread and back costs 80 of processor time, and a hundred machines mean a thousand looks a tick.

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { isMachineId } from '../core/naming.ts';
import { addressToNumber } from '../core/subnets.ts';
import type { MachineId } from '../core/model.ts';
import { errnoOf } from '../errors.ts';
import type { Leftover } from './driver.ts';
import { doctorsId, isDoctorAtWork } from './doctor-claim.ts';
import { machinesWithRoots, rootsOf } from './gc-root.ts';
import { poolOf } from './network.ts';
import type { DriverNetwork } from './network.ts';
import { controllerOfAlias, interfaceOf, machineOfInterface, machineOfName, namespaceOf, pathsOf } from './nspawn-unit.ts';
import { exists, namesIn, textAt } from './presence.ts';
import type { Site } from './way.ts';

const namespaces = '/run/netns';
const interfaces = '/sys/class/net';
const machined = '/run/systemd/machines';

/** Ids with at least one trace of each kind. */
export type Traces = {
  readonly units: ReadonlySet<MachineId>;
  readonly folders: ReadonlySet<MachineId>;
  readonly namespaces: ReadonlySet<MachineId>;
  readonly interfaces: ReadonlySet<MachineId>;
  readonly exits: ReadonlySet<MachineId>;
  /** Of what only their way of running makes. */
  readonly others: ReadonlySet<MachineId>;
  readonly gcRoots: ReadonlySet<MachineId>;
};

export async function findTraces({ controllerId, stateDir, way }: Site): Promise<Traces> {
  const spared = sparing(controllerId);
  const links = namesIn(interfaces);
  const ours = await Promise.all(
    links
      .map((name) => machineOfInterface(name))
      .filter((id) => id !== undefined)
      .map(async (id) => ((await hasOurAlias(controllerId, id)) ? id : undefined)),
  );
  return {
    units: new Set(way.units()),
    folders: idsOf(namesIn(`${stateDir}/machines`).map((name) => (isMachineId(name) ? name : undefined))),
    namespaces: spared(idsOf(namesIn(namespaces).map((name) => machineOfName(controllerId, name, '')))),
    interfaces: spared(idsOf(ours)),
    exits: idsOf(namesIn(`${stateDir}/exits`).map((name) => (isMachineId(name) ? name : undefined))),
    others: new Set(way.traces()),
    gcRoots: new Set(machinesWithRoots(controllerId)),
  };
}

/** Without the network of a doctor that is at work; looked up only where there is one. */
function sparing(controllerId: string): (ids: ReadonlySet<MachineId>) => ReadonlySet<MachineId> {
  let working: boolean | undefined;
  return (ids) => {
    if (!ids.has(doctorsId)) return ids;
    working ??= isDoctorAtWork(controllerId);
    return working ? new Set([...ids].filter((id) => id !== doctorsId)) : ids;
  };
}

function idsOf(ids: readonly (MachineId | undefined)[]): ReadonlySet<MachineId> {
  return new Set(ids.filter((id) => id !== undefined));
}

export async function namespaceIsThere(controllerId: string, id: MachineId): Promise<boolean> {
  return exists(`${namespaces}/${namespaceOf(controllerId, id)}`);
}

/** True while machined has an entry of this machine; a foreign machine may bear the same name. */
export async function machineIsThere({ way }: Site, id: MachineId): Promise<boolean> {
  return unitOfMachine(id) === way.unitOf(id) && way.isOurs(id);
}

/** True while a machine of somebody else bears this name, which is told apart by its unit. */
export async function isTakenByOthers(site: Site, id: MachineId): Promise<boolean> {
  return unitOfMachine(id) !== undefined && !(await machineIsThere(site, id));
}

/** The unit of whatever machine machined knows by that name; undefined when it knows none. */
function unitOfMachine(id: MachineId): string | undefined {
  const text = textAt(`${machined}/${id}`);
  return text === undefined ? undefined : (/^SCOPE=(.*)$/m.exec(text)?.[1] ?? '');
}

export async function hasOurAlias(controllerId: string, id: MachineId): Promise<boolean> {
  return (await ownerOfInterface(interfaceOf(id))) === controllerId;
}

/** The controller id that made an interface, undefined for those of others, false when there is none of that name any more. */
export async function ownerOfInterface(name: string): Promise<string | undefined | false> {
  try {
    return controllerOfAlias(readFileSync(`${interfaces}/${name}/ifalias`, 'utf8').trim());
  } catch (error) {
    const code = errnoOf(error);
    // EINVAL, ENODEV: it went away between the listing and the reading.
    if (code === 'ENOENT' || code === 'EINVAL' || code === 'ENODEV') return false;
    throw error;
  }
}

/** The slot that an interface's address tells, for machines whose marker is lost; -1 when nothing tells. */
export function slotOfInterface(network: DriverNetwork, id: MachineId): number {
  const address = networkInterfaces()[interfaceOf(id)]?.find((entry) => entry.family === 'IPv4')?.address;
  if (address === undefined) return -1;
  const pool = poolOf(network);
  const size = 2 ** (32 - pool.prefix);
  const slot = Math.floor(addressToNumber(address) / size) - Math.ceil(addressToNumber(pool.first) / size);
  return slot >= 0 ? slot : -1;
}

/** Mount points at or below a folder, deepest first. */
export async function mountsBelow(folder: string): Promise<readonly string[]> {
  const list = mountList();
  // Nearly always there is none: not worth taking the whole list apart.
  if (!list.includes(mountWordOf(folder))) return [];
  return mountsIn(list)
    .map(({ path }) => path)
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .toSorted((a, b) => b.length - a.length);
}

/** True where this process, which has mounts of its own, sees what is mounted and unmounted below a folder in those of the host. */
export function followsTheHost(folder: string, list = mountList()): boolean {
  const [on] = mountsIn(list)
    .filter(({ path }) => path === folder || folder.startsWith(path === '/' ? path : `${path}/`))
    .toSorted((a, b) => a.path.length - b.path.length)
    .slice(-1);
  return on?.words.slice(6, on.words.indexOf('-', 6)).some((word) => word.startsWith('master:')) ?? false;
}

/** As the kernel writes a path in the list of mounts. */
export function mountWordOf(path: string): string {
  return path.replaceAll(/[ \t\n\\]/g, (character) => `\\${(character.codePointAt(0) ?? 0).toString(8).padStart(3, '0')}`);
}

export function mountList(): string {
  return readFileSync('/proc/self/mountinfo', 'utf8');
}

/** `words`: a line of the list, as the kernel documents it. */
export function mountsIn(list: string): readonly { readonly path: string; readonly words: readonly string[] }[] {
  return list.split('\n').map((line) => {
    const words = line.split(' ');
    const path = (words[4] ?? '').replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8)));
    return { path, words };
  });
}

/** Everything that is there of one machine now. */
export async function leftoversOf(site: Site, id: MachineId): Promise<readonly Leftover[]> {
  const { controllerId, stateDir, way } = site;
  const paths = pathsOf(stateDir, id);
  const [unit, namespace, link, folder, mounts, exit, machine] = await Promise.all([
    way.unitIsThere(id),
    namespaceIsThere(controllerId, id),
    hasOurAlias(controllerId, id),
    exists(paths.folder),
    mountsBelow(paths.folder),
    exists(paths.exit),
    machineIsThere(site, id),
  ]);
  return [
    ...(unit ? [{ kind: 'unit', name: way.unitOf(id) } as const] : []),
    ...(namespace ? [{ kind: 'network-namespace', name: namespaceOf(controllerId, id) } as const] : []),
    ...(link ? [{ kind: 'interface', name: interfaceOf(id) } as const] : []),
    ...(folder ? [{ kind: 'directory', name: paths.folder } as const] : []),
    ...mounts.map((name) => ({ kind: 'mount', name }) as const),
    ...(exit ? [{ kind: 'exit-record', name: paths.exit } as const] : []),
    ...(machine ? [{ kind: 'machine', name: id } as const] : []),
    ...(await way.leftoversOf(id)),
    ...rootsOf(site.controllerId, id).map((name) => ({ kind: 'gc-root', name }) as const),
  ];
}
