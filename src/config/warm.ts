// Promises the machines of a profile that wait for jobs, as the configuration says them: a number, or a map with the number and how long they
// may wait.

import type { Profile } from '../core/model.ts';
import type { Warm } from '../core/warmth.ts';
import { duration, integer } from './kinds.ts';
import { isMap, type Findings, type Section } from './reader.ts';

const keys = ['min', 'maxAge', 'linger'] as const;
const number = integer(0, 1_000);
const hour = 3_600_000;

/** Undefined: none. `max`: how many machines the profile may have in all. */
export function readWarm(profile: Section, max: number | undefined, findings: Findings): Warm | undefined {
  if (!profile.has('warm')) return undefined;
  const section = isMap(profile.raw('warm')) ? profile.section('warm', keys) : undefined;
  const min = section === undefined ? profile.get('warm', number) : section.need('min', number);
  const lingerMs = section?.get('linger', duration(1_000));
  const maxAgeMs = section?.get('maxAge', duration(1_000, 168 * hour)) ?? hour;
  if (min !== undefined && max !== undefined && min > max)
    findings.add(profile.pathOf('warm'), `is ${min}, and max is ${max}: so many machines may never be there`, 'lower it, or raise max');
  return min === undefined || min === 0 ? undefined : { min, maxAgeMs, ...(lingerMs === undefined ? {} : { lingerMs }) };
}

/** Warm machines have a place each until a job needs it: all places taken would mean a machine removed for every other job. */
export function checkWarm(profiles: readonly Profile[], maxConcurrent: number, findings: Findings): void {
  const all = profiles.reduce((sum, { warm }) => sum + (warm?.min ?? 0), 0);
  if (all > maxConcurrent && maxConcurrent > 0)
    findings.warn('maxConcurrent', `is ${maxConcurrent}, and the profiles want ${all} warm machines: there will be fewer`);
}
