// Promises the nouns of machines that were started before they had a job and wait for one. Pure types and nothing else.

import type { MachineExit, MachineId, Reading } from './model.ts';

/**
 * How many machines of a profile wait for jobs to come. `maxAgeMs`: no job is given to one that has waited longer, another takes its place.
 * `lingerMs`: so long after the profile's last job they are kept; absent = always.
 */
export type Warm = { readonly min: number; readonly maxAgeMs: number; readonly lingerMs?: number };

/** What plan knows beside the machines; nothing of it is needed where no profile keeps any warm. */
export type Warmth = {
  /** By the name of a profile: the build that its machines would have now, as Driver.builds says it. */
  readonly builds: Reading<ReadonlyMap<string, string>>;
  /** When a profile was last seen to have a runner, or was first seen at all. */
  readonly usedAt: ReadonlyMap<string, number>;
  /** Profiles whose waiting machines died or could not be made: none is started before `until`. */
  readonly rests: ReadonlyMap<string, { readonly until: number; readonly count: number }>;
};

/** Start a machine that waits for a job to come. */
export type WarmStart = { readonly kind: 'warm'; readonly id: MachineId; readonly profile: string; readonly slot: number };

/** Remove a machine that waits for a job, or died while it did. */
export type Cool = {
  readonly kind: 'cool';
  readonly id: MachineId;
  readonly reason: CoolReason;
  /** '' where nothing tells. */
  readonly profile: string;
  readonly exit?: MachineExit;
};

/** Why a machine that waited for a job is taken away. */
export type CoolReason =
  | 'died' // it ended while it waited
  | 'start-timeout' // it did not come up in time
  | 'outdated' // it is not what a machine of its profile would be now
  | 'aged' // it has waited for as long as one may
  | 'unused' // its profile had no job for as long as its machines linger
  | 'surplus' // its profile wants fewer, or none
  | 'room' // a job that waits needs its place
  | 'draining'; // nothing more is started
