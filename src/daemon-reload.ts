// Promises the configuration of a running service, read again: taken whole where it can change live, or refused whole with every mistake in the
// log and the old one kept. No running machine is touched either way.

import { schedule, validate, type ScheduledTask } from 'node-cron';
import { configHashOf, guardedPathsOf, liveOf, type Config } from './config/config.ts';
import { urlsOf, type Parts } from './daemon-parts.ts';
import { ControllerError, isControllerError } from './errors.ts';
import type { ApiSettings } from './http/app.ts';
import type { RootLog } from './log.ts';
import type { Metrics } from './metrics/metrics.ts';
import type { Reconciler } from './reconciler/reconciler.ts';

export type LiveConfig = {
  /** For the API. */
  readonly settings: () => ApiSettings;
  /** Those in force. */
  readonly forges: () => Config['forges'];
  /** Reads again; asked while it reads, it reads once more. Rejects only on a bug. */
  reload(by: string): Promise<void>;
  close(): Promise<void>;
};

export type LiveOptions = {
  readonly config: Config;
  readonly parts: Pick<Parts, 'clock' | 'settingsOf'> & {
    readonly driver: Pick<Parts['driver'], 'configure'>;
    readonly metrics: Pick<Metrics, 'configure'>;
    readonly archive: Pick<Parts['archive'], 'configure'>;
  };
  readonly reconciler: Pick<Reconciler, 'configure' | 'maintain'>;
  readonly log: RootLog;
  readonly mask: (text: string) => string;
  /** Reads file and environment; `guarded` are paths that no job may see, beside those it names itself. */
  readonly read: (guarded: readonly string[]) => Promise<Config>;
};

export function createLiveConfig({ config, parts, reconciler, log, mask, read }: LiveOptions): LiveConfig {
  let current = config;
  let configHash = configHashOf(config);
  let cron = scheduled(current, reconciler);
  let last: ApiSettings['reload'];
  let asked: string | undefined;
  let busy: Promise<void> | undefined;

  async function reloadOnce(by: string): Promise<void> {
    const at = parts.clock.now();
    try {
      const { taken, waiting } = await take(await read(guardedPathsOf(current)));
      last = { at, by, waiting: waiting.map(({ path }) => path) };
      log.info('reload', { by, config: configHash, taken }, taken.length === 0 ? 'nothing changed' : 'in force from the next tick');
      for (const { path, why } of waiting) log.warn('reload', { by, setting: path }, `${path} takes effect at the next start: ${why}`);
      for (const warning of current.warnings) log.warn('warning', {}, warning);
    } catch (error) {
      if (!isControllerError(error)) throw error;
      last = { at, by, error: mask(error.message), waiting: [] };
      log.error('reload', { by, error }, `refused whole, the configuration before stays in force: ${error.message}`);
    }
  }

  /** What can be refused comes first, so that a refusal has changed nothing. */
  async function take(next: Config): Promise<Omit<ReturnType<typeof liveOf>, 'config'>> {
    const { config: wanted, taken, waiting } = liveOf(current, next);
    requireCron(wanted);
    await parts.driver.configure({ profiles: wanted.profiles, forgeUrls: urlsOf(wanted), minFreeDiskBytes: wanted.minFreeDiskBytes });
    reconciler.configure(parts.settingsOf(wanted));
    parts.metrics.configure(wanted.metrics);
    parts.archive.configure(wanted.archive);
    log.setLevel(wanted.logLevel);
    if (wanted.maintenance !== current.maintenance) {
      await cron.destroy();
      cron = scheduled(wanted, reconciler);
    }
    current = wanted;
    configHash = configHashOf(wanted);
    return { taken, waiting };
  }

  async function reloadWhileAsked(): Promise<void> {
    for (let by = asked; by !== undefined; by = asked) {
      asked = undefined;
      await reloadOnce(by);
    }
    busy = undefined;
  }

  return {
    forges: () => current.forges,
    settings: () => {
      const { maxConcurrent, pollIntervalMs, jobTimeoutMs, forges } = current;
      return {
        configHash,
        maxConcurrent,
        pollIntervalMs,
        jobTimeoutMs,
        forges,
        ...(last === undefined ? {} : { reload: last }),
      };
    },
    reload(by) {
      asked = by;
      busy ??= reloadWhileAsked();
      return busy;
    },
    async close() {
      await cron.destroy();
    },
  };
}

function scheduled(config: Config, reconciler: Pick<Reconciler, 'maintain'>): ScheduledTask {
  requireCron(config);
  return schedule(config.maintenance, () => reconciler.maintain(), { noOverlap: true });
}

/** The configuration looks at it lightly; the last word has the library that will run it. */
function requireCron({ maintenance }: Config): void {
  if (validate(maintenance)) return;
  const mistake = { path: 'maintenance', message: 'is no cron expression', remedy: 'write one such as "*/10 * * * *"' };
  throw new ControllerError('CONFIG_INVALID', `The configuration has one mistake:\n  maintenance ${mistake.message}: ${mistake.remedy}`, {
    details: { mistakes: [mistake] },
  });
}
