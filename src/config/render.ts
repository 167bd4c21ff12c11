// Promises the resolved configuration as YAML that loads to the same configuration: what `check-config` prints. No secret is in it, because
// none is in the Config.

import { stringify } from 'yaml';
import type { Config, ForgeConfig } from './settings.ts';
import { formatDuration, formatSize } from '../core/units.ts';
import type { Cache } from '../core/cache.ts';
import type { Limits, Profile, Scope } from '../core/model.ts';
import type { Warm } from '../core/warmth.ts';

/** YAML with every default spelled out; warnings stand first as comments. */
export function renderConfig(config: Config): string {
  const warnings = config.warnings.map((warning) => `# warning: ${warning}\n`).join('');
  const { pool } = config.network;
  return (
    warnings +
    stringify(
      {
        controllerId: config.controllerId,
        stateDir: config.stateDir,
        cacheDir: config.cacheDir,
        driver: config.driver,
        nixosContainer: { ...config.nixosContainer },
        maxConcurrent: config.maxConcurrent,
        ...(config.maxPerRepository === undefined ? {} : { maxPerRepository: config.maxPerRepository }),
        minFreeDisk: formatSize(config.minFreeDiskBytes),
        pollInterval: formatDuration(config.pollIntervalMs),
        jobTimeout: formatDuration(config.jobTimeoutMs),
        archive: archiveOf(config.archive),
        maintenance: config.maintenance,
        metrics: { ...config.metrics },
        ...(config.telemetry === undefined ? {} : { telemetry: { ...config.telemetry } }),
        logLevel: config.logLevel,
        http: { ...config.http, socket: config.http.socket ?? 'none' },
        forges: config.forges.map(forgeOf),
        profiles: config.profiles.map(profileOf),
        ...(config.dispatch === undefined ? {} : { dispatch: { labels: [...config.dispatch.labels] } }),
        network: { ...config.network, pool: `${pool.first}-${pool.last}` },
      },
      { lineWidth: 0, aliasDuplicateObjects: false },
    )
  );
}

function archiveOf({ maxAgeMs, maxBytes, perJobBytes }: Config['archive']): Readonly<Record<string, unknown>> {
  return { maxAge: formatDuration(maxAgeMs), maxSize: formatSize(maxBytes), perJob: formatSize(perJobBytes) };
}

function forgeOf(forge: ForgeConfig): Readonly<Record<string, unknown>> {
  const { name, url, instanceUrl, ca, scope, unpolled, tokenFile, webhook, waitingStatus } = forge;
  return {
    name,
    url,
    instanceUrl,
    scope: scopeOf(scope),
    ...(ca === undefined ? {} : { caFile: ca.file }),
    tokenFile,
    pollInterval: unpolled === true ? 'none' : formatDuration(forge.pollIntervalMs),
    ...(webhook === undefined ? {} : { webhook: webhookOf(webhook, unpolled === true) }),
    ...(waitingStatus === undefined ? {} : { waitingStatus: { after: formatDuration(waitingStatus.afterMs) } }),
  };
}

function webhookOf(
  { secretFile, pollIntervalMs, ensureUrl, events, inactive }: NonNullable<ForgeConfig['webhook']>,
  unpolled: boolean,
): Readonly<Record<string, unknown>> {
  return {
    secretFile,
    ...(unpolled ? {} : { pollInterval: formatDuration(pollIntervalMs) }),
    ...(ensureUrl === undefined ? {} : { ensure: ensureUrl }),
    ...(events === undefined ? {} : { events }),
    ...(inactive === undefined ? {} : { active: false }),
  };
}

function scopeOf(scope: Scope): Readonly<Record<string, unknown>> {
  if (scope.kind === 'repository') return { repository: `${scope.owner}/${scope.name}` };
  return scope.kind === 'organization' ? { organization: scope.name } : { [scope.kind]: true };
}

function profileOf({
  name,
  labels,
  template,
  limits,
  timeouts,
  runnerPath,
  runnerSha256,
  nixAccess,
  containers,
  refusesForks,
  repositories,
  events,
  nameservers,
  extraHosts,
  binds,
  environment,
  max,
  cache,
  warm,
}: Profile): Readonly<Record<string, unknown>> {
  return {
    name,
    labels,
    template,
    nix: { access: nixAccess ?? 'none' },
    containers: containers ?? 'none',
    forks: refusesForks === true ? 'refuse' : 'accept',
    ...(repositories === undefined ? {} : { repositories: { ...repositories } }),
    ...(events === undefined ? {} : { events: { ...events } }),
    limits: limitsOf(limits),
    timeouts: {
      start: formatDuration(timeouts.startMs),
      pick: formatDuration(timeouts.pickMs),
      job: formatDuration(timeouts.jobMs),
      stop: formatDuration(timeouts.stopMs),
    },
    runner: runnerPath,
    ...(runnerSha256 === undefined ? {} : { runnerSha256 }),
    ...(nameservers === undefined ? {} : { nameservers }),
    ...(extraHosts === undefined ? {} : { extraHosts: extraHosts.map(({ name, address }) => `${name}=${address}`) }),
    binds,
    environment,
    ...(max === undefined ? {} : { max }),
    ...(cache === undefined ? {} : { cache: cacheOf(cache) }),
    warm: warm === undefined ? 0 : warmOf(warm),
  };
}

function cacheOf({ path, maxBytes, maxAgeMs }: Cache): Readonly<Record<string, unknown>> {
  return { path, maxSize: formatSize(maxBytes), maxAge: formatDuration(maxAgeMs) };
}

function warmOf({ min, maxAgeMs, lingerMs }: Warm): Readonly<Record<string, unknown>> {
  return { min, maxAge: formatDuration(maxAgeMs), ...(lingerMs === undefined ? {} : { linger: formatDuration(lingerMs) }) };
}

function limitsOf({ cpus, memoryBytes, tasks, diskBytes }: Limits): Readonly<Record<string, unknown>> {
  return {
    cpus: cpus ?? 'none',
    memory: memoryBytes === undefined ? 'none' : formatSize(memoryBytes),
    tasks: tasks ?? 'none',
    disk: diskBytes === undefined ? 'none' : formatSize(diskBytes),
  };
}
