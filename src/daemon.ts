// Promises the composition root: the only module that names adapters. Starts the parts in order, wires cron and the way out, and stops them
// in the reverse order. The end of the service touches no running job.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { schedule } from 'node-cron';
import { hostTime, type Clock } from './clock.ts';
import { configHashOf, type Config } from './config/config.ts';
import { descriptionOf } from './core/naming.ts';
import { slotCountOf } from './core/subnets.ts';
import { bootIdOf, openTimeLine } from './daemon-clock.ts';
import { createNspawnDriver } from './driver/nspawn.ts';
import { createForgejo } from './forge/forgejo.ts';
import { createApp, serveHttp } from './http/app.ts';
import type { Log } from './log.ts';
import { createReconciler, type Reconciler } from './reconciler/reconciler.ts';
import { openFileStore } from './store/file-store.ts';

/** How long a machine may outlive its job in the forge's list. */
const goneGraceMs = 5_000;

/** `mask` conceals in the API's answers what `log` conceals in its lines. */
type Voice = { readonly version: string; readonly log: Log; readonly mask: (text: string) => string };

/** Runs until the signal aborts. Rejects with the code that main turns into an exit code, or with a bug. */
export async function runDaemon(config: Config, voice: Voice, signal: AbortSignal): Promise<void> {
  const { version, log } = voice;
  log.info('start', { version, controllerId: config.controllerId, config: configHashOf(config), pid: process.pid });
  for (const warning of config.warnings) log.warn('warning', {}, warning);
  const store = await openFileStore(config);
  try {
    const loaded = await store.load();
    const { quarantined } = loaded;
    for (const name of quarantined)
      log.error('quarantine', { file: name }, 'a record could not be read and was put aside; see docs/OPERATIONS.md');
    const line = { source: hostTime, bootId: await bootIdOf(), anchors: store.anchors, store, loaded, log };
    const { clock, runners } = await openTimeLine(line);
    const { controllerId, stateDir, network, profiles } = config;
    const forgeUrls = config.forges.flatMap((forge) => [forge.url, forge.instanceUrl]);
    const driver = createNspawnDriver({ controllerId, stateDir, network, profiles, forgeUrls, log, clock });
    await driver.check();
    const forges = config.forges.map((forge) => ({ ...forge, forge: createForgejo({ ...forge, clock, log }) }));
    const reconciler = createReconciler({
      forges,
      driver,
      store,
      records: runners,
      quarantined,
      policy: await policyOf(config),
      clock,
      log,
      random: Math.random,
      version,
    });
    await serve(config, reconciler, clock, voice, signal);
    await Promise.all(forges.map(({ forge }) => forge.close()));
  } finally {
    await store.close();
  }
  log.info('detach', {}, 'stopped; running jobs go on and are picked up at the next start');
}

async function policyOf(config: Config) {
  const { controllerId, maxConcurrent, maxPerRepository, profiles, network } = config;
  return {
    controllerId,
    description: descriptionOf(controllerId, await hostKey()),
    maxConcurrent,
    profiles,
    slots: slotCountOf({ ...network.pool, prefix: network.prefix }),
    goneGraceMs,
    ...(maxPerRepository === undefined ? {} : { maxPerRepository }),
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

async function serve(config: Config, reconciler: Reconciler, clock: Clock, { log, mask }: Voice, signal: AbortSignal): Promise<void> {
  const { maxConcurrent, pollIntervalMs, jobTimeoutMs, forges, http: address } = config;
  const settings = { host: address.host, configHash: configHashOf(config), maxConcurrent, pollIntervalMs, jobTimeoutMs, forges };
  const app = createApp({ snapshot: () => reconciler.snapshot(), settings, clock, log, mask });
  const http = await serveHttp({ app, ...address });
  const cron = schedule(config.maintenance, () => reconciler.maintain(), { noOverlap: true });
  log.info('ready', { http: http.url, forges: config.forges.map(({ name }) => name), profiles: config.profiles.map(({ name }) => name) });
  try {
    await reconciler.run(signal);
  } finally {
    await cron.destroy();
    await http.close();
  }
}
