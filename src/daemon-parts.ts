// Promises the parts of a controller, built from its configuration and nothing else: store, driver, forges, policy. Only the daemon's files
// name adapters. Opening them takes the lock of the state directory and touches nothing that runs.

import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { createFileArchive, type FileArchive } from './archive/file-archive.ts';
import { hostTime, type Clock } from './clock.ts';
import type { Config } from './config/config.ts';
import { serves } from './core/match.ts';
import type { Job, Mode } from './core/model.ts';
import { descriptionOf, inItsPlace, placeOf } from './core/naming.ts';
import { asksOrigin } from './core/origin.ts';
import { slotCountOf } from './core/subnets.ts';
import { bootIdOf, openTimeLine } from './daemon-clock.ts';
import { createNixosContainerDriver } from './driver/nixos-container.ts';
import { createNspawnDriver, type NspawnDriver } from './driver/nspawn.ts';
import type { Forge, ForgeListener } from './forge/forge.ts';
import { createForgejo } from './forge/forgejo.ts';
import type { Log } from './log.ts';
import { createReconciler, type Reconciler, type Settings } from './reconciler/reconciler.ts';
import { openFileStore, type FileStore } from './store/file-store.ts';

/** How long a machine may outlive its job in the forge's list. */
const goneGraceMs = 5_000;
/** Free inodes without which nothing is started: those of a machine or two that make many small files. */
const leastInodes = 10_000;

export type Parts = {
  readonly driver: NspawnDriver;
  readonly clock: Clock;
  readonly archive: FileArchive;
  readonly reconciler: (mode: Mode) => Reconciler;
  /** What the reconciler is to work by under this configuration; a forge whose entry is unchanged is the same object again. */
  readonly settingsOf: (config: Config) => Settings;
  /** The forge of that name as it was asked for last. */
  readonly forgeOf: (name: string) => Forge | undefined;
  /** Gives back the lock and every connection. */
  close(): Promise<void>;
};

type Entry = { readonly config: Config['forges'][number]; readonly forge: Forge };

/** `mask` conceals in what is archived what `log` conceals in its lines; `onAnswer` hears of every exchange with a forge. */
export type PartsVoice = {
  readonly version: string;
  readonly log: Log;
  readonly mask: (text: string) => string;
  readonly onAnswer?: ForgeListener | undefined;
};

export async function openParts(config: Config, voice: PartsVoice): Promise<Parts> {
  const description = descriptionOf(config.controllerId, await hostKey());
  const store = await openFileStore(config);
  try {
    return await partsOf(config, store, description, voice);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** A folder that cannot be read is the driver's matter, who says why. */
async function isFilled(folder: string): Promise<boolean> {
  return readdir(folder).then(
    ({ length }) => length > 0,
    () => false,
  );
}

async function partsOf(config: Config, store: FileStore, description: string, voice: PartsVoice): Promise<Parts> {
  const { version, log, mask, onAnswer } = voice;
  const loaded = await store.load();
  const { quarantined } = loaded;
  for (const { name, reason } of loaded.aside)
    log.error('quarantine', { file: name }, `a record is put aside: it ${reason}; see docs/OPERATIONS.md`);
  for (const name of loaded.returned) log.warn('quarantine', { file: name }, 'a record that had been put aside can be read and is back');
  const machines = await isFilled(join(config.stateDir, 'machines'));
  const line = { source: hostTime, bootId: await bootIdOf(), anchors: store.anchors, store, loaded, machines, log };
  const { clock, runners } = await openTimeLine(line);
  const { stateDir } = config;
  const host = { ...config, forgeUrls: urlsOf(config), log, clock };
  const driver = config.driver === 'nspawn' ? createNspawnDriver(host) : createNixosContainerDriver(host);
  const archive = createFileArchive({
    folder: join(stateDir, 'archive'),
    caps: config.archive,
    consoles: (wanted, maxBytes) => driver.consoles(wanted, maxBytes),
    mask,
    log,
    clock,
  });
  // Those that were replaced, too: what is under way through them must not be cut before the end.
  const entries: Entry[] = [];
  let asking = askingOf(config);
  const isAsked = (job: Job): boolean => asking.some((profile) => serves(profile, job));

  function forgeOf(entry: Entry['config']): Forge {
    const known = entries.findLast(({ config: { name } }) => name === entry.name);
    if (known !== undefined && isDeepStrictEqual(placeOnly(known.config), placeOnly(entry))) return known.forge;
    const forge = createForgejo({ ...entry, asksOrigin: isAsked, clock, log, ...(onAnswer === undefined ? {} : { onAnswer }) });
    entries.push({ config: entry, forge });
    return forge;
  }

  const places = new Map(config.forges.map(({ name, url, scope }) => [name, placeOf(url, scope)]));
  const settingsOf = (wanted: Config): Settings => {
    asking = askingOf(wanted);
    return {
      forges: wanted.forges.map((entry) => ({ forge: forgeOf(entry), ...cadenceOf(entry) })),
      policy: policyOf(wanted, description),
    };
  };
  return {
    driver,
    clock,
    archive,
    forgeOf: (name) => entries.findLast(({ config: { name: of } }) => of === name)?.forge,
    settingsOf,
    reconciler: (mode) =>
      createReconciler({
        ...settingsOf(config),
        mode,
        driver,
        store,
        archive,
        records: runners.map((runner) => inItsPlace(runner, places)),
        quarantined,
        clock,
        log,
        random: Math.random,
        version,
      }),
    async close() {
      await archive.close();
      await Promise.all(entries.map(({ forge }) => forge.close()));
      await store.close();
    },
  };
}

function cadenceOf({ url, pollIntervalMs, unpolled, webhook }: Entry['config']): Omit<Settings['forges'][number], 'forge'> {
  const hooked = webhook === undefined ? {} : { hookedIntervalMs: webhook.pollIntervalMs };
  return { url, pollIntervalMs, ...(unpolled === undefined ? {} : { unpolled }), ...hooked };
}

/** For these it counts where a job comes from. */
function askingOf({ profiles }: Config): Config['profiles'] {
  return profiles.filter((profile) => asksOrigin(profile) || profile.cache !== undefined);
}

/** How often it is asked is the reconciler's business. */
function placeOnly({
  pollIntervalMs: _interval,
  unpolled: _unpolled,
  waitingStatus: _status,
  webhook,
  ...place
}: Entry['config']): unknown {
  return { ...place, hook: webhook === undefined ? [] : [webhook.secretFile, webhook.ensureUrl, webhook.events, webhook.inactive] };
}

/** Every address under which machines or this service know a forge. */
export function urlsOf(config: Config): readonly string[] {
  return config.forges.flatMap((forge) => [forge.url, forge.instanceUrl]);
}

function policyOf(config: Config, description: string): Settings['policy'] {
  const { controllerId, maxConcurrent, maxPerRepository, minFreeDiskBytes, profiles, dispatch, network } = config;
  return {
    controllerId,
    description,
    maxConcurrent,
    profiles,
    slots: slotCountOf({ ...network.pool, prefix: network.prefix }),
    goneGraceMs,
    ...(dispatch === undefined ? {} : { dispatch }),
    ...(maxPerRepository === undefined ? {} : { maxPerRepository }),
    ...(minFreeDiskBytes === 0 ? {} : { floor: { bytes: minFreeDiskBytes, inodes: leastInodes } }),
  };
}

/** Tells hosts apart without giving the machine id away (machine-id(5) asks for a keyed hash). It survives the loss of the state directory. */
async function hostKey(): Promise<string> {
  const id = await machineId();
  return createHash('sha256').update(`forgejo-runner-controller\n${id.trim()}`).digest('hex').slice(0, 8);
}

/** A host without a machine id is told apart by its name; one whose id cannot be read must not change its mark unnoticed. */
async function machineId(): Promise<string> {
  try {
    return await readFile('/etc/machine-id', 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return hostname();
    throw error;
  }
}
