// Promises the driver for one systemd host: every machine is a transient unit that runs systemd-nspawn, owned by PID 1 and never by us.
// Wires the parts of this folder together; every verb is safe twice and touches only names with our mark (I6).

import { mkdirSync, watch } from 'node:fs';
import { statfs, writeFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import { isMachineId, isWarmId } from '../core/naming.ts';
import type { Machine, MachineId, Room } from '../core/model.ts';
import { uidBaseOf } from '../core/subnets.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import type { Log } from '../log.ts';
import { deliver } from './assignment.ts';
import type { Console } from '../archive/archive.ts';
import { buildsOf } from './build.ts';
import { createCaches } from './caches.ts';
import { consoleOf, consolesOf, followConsole } from './console.ts';
import type { Assignment, Driver, Leftover, MachineSpec } from './driver.ts';
import { perform } from './exec.ts';
import type { DriverChoice } from './container-check.ts';
import { createFirewall } from './firewall.ts';
import { checkHost } from './host-check.ts';
import { onHost } from './host-error.ts';
import { assignmentText } from './init-script.ts';
import { namesOf, resolveEndpoints, tellOfDeafForges } from './forge-addresses.ts';
import { heldImage, imageKeyOf, preparedImageOf, requirePin } from './image.ts';
import { listMachines } from './listing.ts';
import { dropDatabases } from './nix-own.ts';
import { prepareHost } from './making.ts';
import { nameserversOfMachines, writeMarker } from './marker.ts';
import { machineMtu } from './network-host.ts';
import { poolOf, type DriverNetwork } from './network.ts';
import { pathsOf } from './nspawn-unit.ts';
import { claimPool } from './pool-claim.ts';
import { removeMachine } from './removal.ts';
import { resolversIn, resolversOf, tellOfResolvers } from './resolvers.ts';
import { fillShared, makeRoot } from './root.ts';
import type { RootImage } from './template.ts';
import { exists } from './presence.ts';
import { findTraces, isTakenByOthers, leftoversOf } from './traces.ts';
import { transientUnits } from './transient-units.ts';
import type { Site, Way } from './way.ts';

export { examineHost } from './examination.ts';
export { reachFromMachine, type Reached } from './reach.ts';

export type NspawnDriverInput = DriverChoice & {
  /** Absolute; must be on a file system with idmapped mounts. */
  readonly stateDir: string;
  /** Where what jobs keep between them lies; absent = they keep nothing. */
  readonly cacheDir?: string;
  /** So much stays free on its file system. */
  readonly minFreeDiskBytes?: number;
  readonly network: DriverNetwork;
  /** Where machines reach their forges; resolved again at every check(). */
  readonly forgeUrls: readonly string[];
  readonly log: Log;
  readonly clock: Clock;
};

/** What check() found out and start() builds on. */
type Prepared = { readonly images: ReadonlyMap<string, RootImage>; readonly resolvers: readonly string[]; readonly mtu: number };

/** What may change while machines run; they keep what they were started with. */
export type NspawnSettings = Pick<NspawnDriverInput, 'profiles' | 'forgeUrls' | 'minFreeDiskBytes'>;

export type NspawnDriver = Driver & {
  /** Takes the address pool for this process, and gives the way to give it back. Rejects with DRIVER_UNAVAILABLE when another controller has it. */
  claim(): Promise<() => void>;
  /**
   * All that the machines wrote to their consoles, also of those that were removed, at most so many bytes each, without what one of that name
   * wrote before `after`. Never rejects.
   */
  consoles(
    wanted: readonly { readonly id: MachineId; readonly after?: number }[],
    maxBytes: number,
  ): Promise<ReadonlyMap<MachineId, Console>>;
  /** The last lines that the machine wrote to its console and all that come, until the signal aborts. */
  follow(id: MachineId, signal: AbortSignal): AsyncIterable<string>;
  /** From now on these profiles and forges. Rejects as check() does, and changes nothing, when this host cannot run them. */
  configure(settings: NspawnSettings): Promise<void>;
};

/** Another `way` has other units run the machines; all else is the same. */
export function createNspawnDriver(input: NspawnDriverInput, way: Way = transientUnits(input.controllerId)): NspawnDriver {
  const { controllerId, stateDir, network, log, clock } = input;
  const site: Site = { controllerId, stateDir, way };
  const firewall = createFirewall({ controllerId, clock, log });
  const caches = createCaches(input);
  let { profiles, minFreeDiskBytes = 0 } = input;
  // A forge that left the configuration still hears from the machines it has: its address stays open until the next start.
  const forgeUrls = new Set(input.forgeUrls);
  let last: Promise<unknown> = Promise.resolve();
  const starting = new Set<MachineId>();
  let prepared: Promise<Prepared> | undefined;
  /** While the host is checked again, what the last check found holds. */
  let lastPrepared: Prepared | undefined;
  let waiting = 0;

  /** One after the other: the rules of an older look must not replace those of a newer one. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work);
    last = turn;
    return turn;
  }

  /** `must`: what machines can do without is to be there, too. */
  async function prepare(wanted: NspawnSettings, must: boolean): Promise<Prepared> {
    mkdirSync(`${stateDir}/machines`, { recursive: true, mode: 0o700 });
    mkdirSync(`${stateDir}/exits`, { recursive: true, mode: 0o700 });
    await checkHost({ ...input, profiles: wanted.profiles });
    await caches.prepare(wanted.profiles, must);
    const templates = new Map(wanted.profiles.map((profile) => [imageKeyOf(profile), profile]));
    const resolvers = await resolversOf(network);
    const urls = [...new Set([...forgeUrls, ...wanted.forgeUrls])];
    const [images, mtu, endpoints] = await Promise.all([
      Promise.all([...templates].map(async ([key, profile]) => [key, await preparedImageOf(stateDir, profile)] as const)),
      machineMtu(network),
      resolveEndpoints(urls, { names: namesOf(wanted.profiles), resolvers, log }),
    ]);
    await tellOfDeafForges(endpoints, log);
    tellOfResolvers(resolvers, wanted.profiles, log);
    await firewall.apply({ controllerId, network, endpoints, nameservers: resolvers }, await nameserversOfMachines(stateDir));
    await dropDatabases(
      stateDir,
      images.map(([, image]) => image),
    );
    await caches.tidy(wanted.profiles, wanted.minFreeDiskBytes ?? minFreeDiskBytes);
    lastPrepared = { images: new Map(images), resolvers, mtu };
    return lastPrepared;
  }

  async function check(): Promise<void> {
    // Whoever starts the service is told what is wrong; later, jobs would stand still for it.
    const attempt = inTurn(() => prepare({ profiles, forgeUrls: [] }, lastPrepared === undefined));
    // A failed check must not be remembered: the next start tries again.
    prepared = attempt;
    try {
      await attempt;
    } catch (error) {
      if (prepared === attempt) prepared = undefined;
      throw error;
    }
  }

  async function configure(settings: NspawnSettings): Promise<void> {
    await inTurn(async () => {
      const found = await prepare(settings, true);
      prepared = Promise.resolve(found);
      ({ profiles, minFreeDiskBytes = minFreeDiskBytes } = settings);
      for (const url of settings.forgeUrls) forgeUrls.add(url);
    });
  }

  async function list(): Promise<readonly Machine[]> {
    const machines = await listMachines({ ...site, network, beingStarted: (id) => starting.has(id) });
    if (machines.some(({ state }) => state !== 'exited')) firewall.watch();
    return machines;
  }

  async function ready(): Promise<Prepared> {
    if (prepared === undefined) await check();
    return prepared ?? ready();
  }

  async function start(spec: MachineSpec): Promise<void> {
    requireId(spec.id);
    if (starting.has(spec.id)) return;
    starting.add(spec.id);
    try {
      await startOnce(spec);
    } finally {
      starting.delete(spec.id);
    }
  }

  async function startOnce(asked: MachineSpec): Promise<void> {
    let spec = asked;
    const paths = pathsOf(stateDir, spec.id);
    const { nameservers } = spec.profile;
    const host = await ready();
    // Begun here, waited for below: it costs a start nothing that way.
    firewall.watch();
    if (await exists(paths.exit)) return;
    if ((await exists(paths.started)) && (await way.unitIsThere(spec.id))) return;
    if ((await exists(paths.shared)) && !(await exists(paths.fifo))) return; // had its job, and is gone: list() says so
    // nspawn would only notice after it has cleared away what it keeps of that one.
    if (await isTakenByOthers(site, spec.id))
      throw new ControllerError('DRIVER_FAILED', `Another machine of this host is named ${spec.id}. It is left alone; end or rename it.`);
    await removeMachine({ ...site, clock, id: spec.id }); // of a start that was cut short
    await requirePin(spec.profile);
    const build = isWarmId(spec.id) ? (await buildsOf([spec.profile], host)).get(spec.profile.name) : undefined;
    await writeMarker(paths, {
      version: 1,
      id: spec.id,
      controllerId,
      slot: spec.slot,
      startedAt: clock.now(),
      profile: spec.profile.name,
      ...(nameservers === undefined ? {} : { nameservers }),
      ...(build === undefined ? {} : { build }),
    });
    spec = await caches.lend(asked);
    if (nameservers !== undefined) await firewall.narrow(spec.id, nameservers);
    const image = await heldImage(site, spec, host.images);
    const link = { controllerId, id: spec.id, slot: spec.slot, network, mtu: host.mtu };
    const uidBase = uidBaseOf(poolOf(network), spec.slot);
    // The network first: it is made by others while we make the root.
    const shared = fillShared(paths, { spec, image, pool: poolOf(network) }, async (fifo) => prepareHost(link, fifo));
    // Nothing starts without its isolation.
    const resolvers = nameservers ?? resolversIn(spec.slot, host.resolvers, network);
    await Promise.all([shared, makeRoot(stateDir, { paths, image, spec, pool: poolOf(network), resolvers }), firewall.look()]);
    await way.launch({ controllerId, stateDir, spec, rootPlan: image.plan, uidBase });
    // Without this mark a unit that is there may lack its network: start() makes such a machine anew.
    await writeFile(paths.started, '');
  }

  async function builds(): Promise<ReadonlyMap<string, string>> {
    const host = lastPrepared ?? (await ready());
    return buildsOf(profiles, host);
  }

  async function stop(id: MachineId, graceMs: number): Promise<void> {
    requireId(id);
    if (!(await way.unitIsThere(id))) return;
    const args = graceMs > 0 ? ['stop', '--no-block', '--', way.unitOf(id)] : ['kill', '--signal=KILL', '--', way.unitOf(id)];
    try {
      await perform('systemctl', args, { timeoutMs: 10_000 });
    } catch (error) {
      if (isControllerError(error) && !(await way.unitIsThere(id))) return;
      throw error;
    }
  }

  async function artefacts(): Promise<readonly Leftover[]> {
    const traces = await findTraces(site);
    const ids = [...new Set(Object.values(traces).flatMap((set) => [...set]))];
    return (await Promise.all(ids.map(async (id) => leftoversOf(site, id)))).flat();
  }

  async function assign(id: MachineId, assignment: Assignment, signal: AbortSignal): Promise<void> {
    requireId(id);
    const text = assignmentText(assignment);
    const paths = pathsOf(stateDir, id);
    waiting += 1;
    try {
      await deliver({ id, paths, text, signal, clock, beingStarted: () => starting.has(id), waiting: () => waiting });
    } finally {
      waiting -= 1;
    }
  }

  async function room(): Promise<Room> {
    const { bavail, bsize, files, ffree } = await statfs(stateDir);
    // Some file systems make inodes as they need them, and count none.
    return { path: stateDir, bytes: bavail * bsize, ...(files === 0 ? {} : { inodes: ffree }) };
  }

  async function remove(id: MachineId): Promise<void> {
    requireId(id);
    await removeMachine({ ...site, clock, id });
    firewall.forget(id);
  }

  return {
    check: () => onHost('check', check),
    configure: (settings) => onHost('configure', () => configure(settings)),
    list: () => onHost('list', list),
    claim: () => onHost('claim', () => claimPool(controllerId, network.pool)),
    room: () => onHost('room', room),
    builds: () => onHost('builds', builds),
    start: (spec) => onHost(`start ${spec.id}`, () => start(spec)),
    assign: (id, assignment, signal) => onHost(`assign ${id}`, () => assign(id, assignment, signal)),
    stop: (id, graceMs) => onHost(`stop ${id}`, () => stop(id, graceMs)),
    remove: (id) => onHost(`remove ${id}`, () => remove(id)),
    output: async (id) => consoleOf(way, id),
    consoles: async (wanted, maxBytes) =>
      consolesOf(
        way,
        wanted.map(({ id, after }) => ({ id, ...(after === undefined ? {} : { afterMs: clock.wallOf(after) }) })),
        maxBytes,
      ),
    follow: (id, signal) => {
      requireId(id);
      return followConsole(way, id, signal);
    },
    artefacts: () => onHost('artefacts', artefacts),
    watch: (wake) => {
      mkdirSync(`${stateDir}/exits`, { recursive: true, mode: 0o700 });
      const watcher = watch(`${stateDir}/exits`, { persistent: false }, () => wake());
      watcher.on('error', (error) => log.warn('host-error', { error }, 'the exit records are no longer watched; ends are seen by polling'));
      return () => watcher.close();
    },
  };
}

/** A name that could leave our folder or namespace is a bug of the caller, but one that must never reach the host. */
function requireId(id: string): void {
  if (!isMachineId(id)) throw new ControllerError('DRIVER_FAILED', `"${String(id)}" is not the id of a machine of ours.`);
}
