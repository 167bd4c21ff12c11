// Promises what a running service takes of a configuration that was read again, and what has to wait for its next start. Pure.

import { isDeepStrictEqual } from 'node:util';
import type { Config, ForgeConfig } from './settings.ts';

export type Live = {
  /** In force from now on: the new one, but for what has to wait. */
  readonly config: Config;
  /** Paths whose new value is taken. */
  readonly taken: readonly string[];
  /** Paths whose new value takes effect at the next start, each with the reason. */
  readonly waiting: readonly { readonly path: string; readonly why: string }[];
};

/** Names of machines, the lock, the socket and the address pool are made once. */
const fixed = [
  ['controllerId', 'it is in the name of everything that was made'],
  ['stateDir', 'the records of what runs are there'],
  ['cacheDir', 'machines that run have what lies there'],
  ['driver', 'machines that run are of the old one, and the new one does not know them'],
  ['nixosContainer', 'machines that run were made by it'],
  ['network', 'machines that run hold addresses of it'],
  ['http', 'the API listens already'],
  ['telemetry', 'its spans are on their way already'],
] as const;
const live = [
  'maxConcurrent',
  'maxPerRepository',
  'minFreeDiskBytes',
  'pollIntervalMs',
  'jobTimeoutMs',
  'profiles',
  'dispatch',
  'archive',
  'maintenance',
  'metrics',
  'logLevel',
] as const;

export function liveOf(current: Config, next: Config): Live {
  const waiting: { path: string; why: string }[] = fixed
    .filter(([key]) => !isDeepStrictEqual(current[key], next[key]))
    .map(([path, why]) => ({ path, why }));
  const taken: string[] = live.filter((key) => !isDeepStrictEqual(current[key], next[key])).map((key) => key.replace(/Ms$|Bytes$/, ''));
  const forges = next.forges.map((forge): ForgeConfig => {
    const before = current.forges.find(({ name }) => name === forge.name);
    if (before === undefined || isSamePlace(before, forge)) return forge;
    waiting.push({
      path: `forges.${forge.name}`,
      why: 'its url or scope changed, and its running jobs would seem gone; give it another name',
    });
    return before;
  });
  if (!isDeepStrictEqual(current.forges, forges)) taken.push('forges');
  const { controllerId, controllerIdIsDefault, stateDir, cacheDir, driver, nixosContainer, network, http, telemetry } = current;
  const { telemetry: _, ...rest } = next;
  const kept = {
    controllerId,
    controllerIdIsDefault,
    stateDir,
    cacheDir,
    driver,
    nixosContainer,
    network,
    http,
    ...(telemetry === undefined ? {} : { telemetry }),
  };
  return { config: { ...rest, ...kept, forges }, taken, waiting };
}

/** The same jobs and registrations are seen through both entries. */
function isSamePlace(a: ForgeConfig, b: ForgeConfig): boolean {
  return a.url === b.url && isDeepStrictEqual(a.scope, b.scope);
}
