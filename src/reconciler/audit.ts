// Promises maintenance beside the loop: what lies on the host under our mark that nothing speaks of, and whether each forge can still be
// worked with. Only looks; sweeping is the plan's.

import type { Clock } from '../clock.ts';
import type { ForgeName } from '../core/model.ts';
import type { Driver, Leftover } from '../driver/driver.ts';
import { isControllerError } from '../errors.ts';
import type { Forge, ForgeVersion } from '../forge/forge.ts';
import type { Log } from '../log.ts';

export type Fault = { readonly code: string; readonly message: string; readonly since: number };

export type Auditor = {
  leftovers(): readonly Leftover[];
  /** Why the host can run no machines, as found by the last audit; undefined when it can. */
  hostFault(): Fault | undefined;
  readonly versions: ReadonlyMap<ForgeName, ForgeVersion>;
  readonly faults: ReadonlyMap<ForgeName, Fault>;
  /** `owned` gives the machine ids that records and actions speak of, at the moment of the call. Rejects only on a bug. */
  run(owned: () => ReadonlySet<string>, signal: AbortSignal): Promise<void>;
};

export function createAuditor(driver: Driver, forges: ReadonlyMap<ForgeName, Forge>, clock: Clock, log: Log): Auditor {
  const versions = new Map<ForgeName, ForgeVersion>();
  const faults = new Map<ForgeName, Fault>();
  const hookFaults = new Map<ForgeName, string>();
  let leftovers: readonly Leftover[] = [];
  let hostFault: Fault | undefined;

  /** What all machines share can be lost under us (a firewall that is reloaded flushes every table): checking also restores it. */
  async function checkHost(): Promise<void> {
    try {
      await driver.check();
      hostFault = undefined;
    } catch (error) {
      if (!isControllerError(error)) throw error;
      hostFault = { code: error.code, message: error.message, since: hostFault?.since ?? clock.now() };
      log.error('host-error', { code: error.code }, error.message);
    }
  }

  async function auditHost(owned: () => ReadonlySet<string>): Promise<void> {
    const before = owned();
    const [machines, artefacts] = [await driver.list(), await driver.artefacts()];
    const spoken = new Set([...before, ...owned(), ...machines.map(({ id }) => id)]);
    leftovers = artefacts.filter(({ name }) => ![...name.matchAll(/[jw][0-9a-z]{10}/g)].some(([id]) => spoken.has(id)));
    for (const { kind, name } of leftovers) log.warn('leftover', { kind, name }, 'lies on the host under our mark and belongs to nothing');
    log.debug('maintenance', { artefacts: artefacts.length, leftovers: leftovers.length });
  }

  /** Nothing rests on it: what goes wrong is said once, and tried again the next time. */
  async function keepWebhook(forge: Forge, signal: AbortSignal): Promise<void> {
    try {
      const outcome = (await forge.keepWebhook?.(signal)) ?? 'none';
      if (outcome === 'made' || outcome === 'replaced') log.info('webhook', { forge: forge.name, outcome }, `the webhook was ${outcome}`);
      hookFaults.delete(forge.name);
    } catch (error) {
      if (!isControllerError(error)) throw error;
      if (signal.aborted || hookFaults.get(forge.name) === error.message) return;
      hookFaults.set(forge.name, error.message);
      log.warn('webhook', { forge: forge.name, code: error.code }, `the webhook cannot be made sure of: ${error.message}`);
    }
  }

  async function checkForge(forge: Forge, signal: AbortSignal): Promise<void> {
    try {
      versions.set(forge.name, await forge.check(signal));
      faults.delete(forge.name);
      await keepWebhook(forge, signal);
    } catch (error) {
      if (!isControllerError(error)) throw error;
      if (signal.aborted) return;
      faults.set(forge.name, { code: error.code, message: error.message, since: faults.get(forge.name)?.since ?? clock.now() });
      log.warn('forge-error', { forge: forge.name, code: error.code }, error.message);
    }
  }

  const checksOf = (signal: AbortSignal): Promise<void>[] => [...forges.values()].map((forge) => checkForge(forge, signal));

  return {
    leftovers: () => leftovers,
    hostFault: () => hostFault,
    versions,
    faults,
    async run(owned, signal) {
      const outcomes = await Promise.allSettled([checkHost(), auditHost(owned), ...checksOf(signal)]);
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') continue;
        if (!isControllerError(outcome.reason)) throw outcome.reason;
        log.warn('host-error', { code: outcome.reason.code }, outcome.reason.message);
      }
    },
  };
}
