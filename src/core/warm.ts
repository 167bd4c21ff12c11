// Promises which machines wait for jobs to come: which of them a job may have, which are taken away and why, and how many more are started.
// Such a machine knows no secret and is registered nowhere; what is on the host of it is all its record (I1). Pure.

import { isMachineId, isWarmId, warmIdOf } from './naming.ts';
import { nextSlot } from './subnets.ts';
import type { Machine, Policy, Profile, World } from './model.ts';
import type { Cool, CoolReason, Warm, WarmStart, Warmth } from './warmth.ts';

export type WarmPool = {
  /** By profile, the next to be given away first. */
  readonly ready: Map<string, Machine[]>;
  /** To be taken away, whoever waits. */
  readonly cools: readonly Cool[];
  /** Profiles of which one is being taken away because it did not live: none is started before that is noted. */
  readonly troubled: ReadonlySet<string>;
  /** Machines of nobody that are about to be gone: whoever waits for a place waits for theirs. */
  readonly leaving: number;
};

/** So many are started at once: jobs come first, and a host that has just booted has other things to do, too. */
const startsAtOnce = 2;

/** Machines that wait for a job, or died while they did; nobody's record speaks of them. */
export function warmMachinesOf({ machines, runners, beginning }: Pick<World, 'machines' | 'runners' | 'beginning'>): readonly Machine[] {
  if (machines.state !== 'known' || !machines.value.some(isWaiting)) return [];
  const taken = new Set([
    ...runners.map(({ machine }) => machine),
    ...beginning.flatMap((begun) => (begun.kind === 'launch' ? [begun.runner.machine] : [])),
  ]);
  return machines.value.filter((machine) => isWaiting(machine) && !taken.has(machine.id));
}

/** One that was given a job and has lost its record is no such machine: it may be at work. */
function isWaiting({ id, state }: Machine): boolean {
  return isWarmId(id) && isMachineId(id) && state !== 'running';
}

export function warmPoolOf(world: World, policy: Policy, now: number): WarmPool {
  const ready = new Map<string, Machine[]>();
  const cools: Cool[] = [];
  const troubled = new Set<string>();
  let leaving = 0;
  // Whoever ends everything sweeps them, too.
  if (policy.mode === 'ending') return { ready, cools, troubled, leaving };
  const coming = countsOf(world.beginning.flatMap((begun) => (begun.kind === 'warm' ? [begun.profile] : [])));
  for (const machine of warmMachinesOf(world).toSorted(byReadiness)) {
    const profile = policy.profiles.find(({ name }) => name === machine.warm?.profile);
    if (world.inFlight.has(machine.id)) {
      if (world.beginning.some(({ id }) => id === machine.id)) continue;
      leaving += 1;
      if (machine.state !== 'idle' && profile !== undefined) troubled.add(profile.name);
      continue;
    }
    const kept = ready.get(profile?.name ?? '') ?? [];
    const most = profile === undefined ? 0 : targetOf(profile, world.warmth, now) - (coming.get(profile.name) ?? 0);
    const reason = endOf(machine, profile, world.warmth, policy, now, kept.length < most);
    if (reason === undefined) ready.set(profile?.name ?? '', [...kept, machine]);
    else {
      leaving += 1;
      if (isTrouble(reason, machine.exit) && profile !== undefined) troubled.add(profile.name);
      if (!rests(world, machine, now)) cools.push(coolOf(machine, reason));
    }
  }
  return { ready: fitOnly(ready, world.warmth), cools, troubled, leaving };
}

/** All of them end with their host; that says nothing about the next one. */
export function isTrouble(reason: CoolReason, exit: Machine['exit']): boolean {
  return reason === 'start-timeout' || (reason === 'died' && exit?.result !== 'lost');
}

/** Those that listen already first, then the oldest. */
function byReadiness(a: Machine, b: Machine): number {
  return Number(b.state === 'idle') - Number(a.state === 'idle') || a.startedAt - b.startedAt || a.id.localeCompare(b.id);
}

export function coolOf({ id, warm, exit }: Machine, reason: CoolReason): Cool {
  return { kind: 'cool', id, reason, profile: warm?.profile ?? '', ...(exit === undefined ? {} : { exit }) };
}

function rests({ retries }: World, { id }: Machine, now: number): boolean {
  return (retries.get(id)?.at ?? 0) > now;
}

function endOf(
  machine: Machine,
  profile: Profile | undefined,
  { builds, usedAt }: Warmth,
  { mode }: Policy,
  now: number,
  wanted: boolean,
): CoolReason | undefined {
  if (machine.state === 'exited') return 'died';
  if (mode !== 'serving') return 'draining';
  if (profile?.warm === undefined) return 'surplus';
  const age = now - machine.startedAt;
  if (machine.state === 'starting' && age > profile.timeouts.startMs) return 'start-timeout';
  const build = builds.state === 'known' ? builds.value.get(profile.name) : undefined;
  if (build !== undefined && build !== machine.warm?.build) return 'outdated';
  // One from the future was started on another time line: nobody knows how old it is.
  if (age > profile.warm.maxAgeMs || age < 0) return 'aged';
  if (wanted) return undefined;
  return isLeft(profile.warm, usedAt.get(profile.name), now) ? 'unused' : 'surplus';
}

/** Whether the time is over for which machines are kept after the profile's last job. */
function isLeft({ lingerMs }: Warm, usedAt: number | undefined, now: number): boolean {
  return lingerMs !== undefined && now - (usedAt ?? now) > lingerMs;
}

/** How many machines of the profile are to wait now. */
function targetOf({ name, warm }: Profile, { usedAt }: Warmth, now: number): number {
  return warm === undefined || isLeft(warm, usedAt.get(name), now) ? 0 : warm.min;
}

/** Of what a profile's machines would be made now nobody may know: then no job is given to those that wait, and none of them is removed. */
function fitOnly(ready: ReadonlyMap<string, Machine[]>, { builds }: Warmth): Map<string, Machine[]> {
  return new Map(builds.state === 'known' ? [...ready].filter(([name]) => builds.value.has(name)) : []);
}

/** What the plan of this tick leaves free. */
export type Free = Pick<WarmPool, 'ready' | 'troubled'> & {
  readonly ids: Set<string>;
  readonly slots: Set<number>;
  readonly perProfile: Map<string, number>;
  lastSlot: number;
};

/** Machines to start for jobs to come; the caller has seen that no job waits for a place and none is being launched. */
export function warmStartsOf(world: World, policy: Policy, now: number, free: Free): WarmStart[] {
  const { builds, rests: resting } = world.warmth;
  if (builds.state !== 'known') return [];
  const coming = world.beginning.flatMap((begun) => (begun.kind === 'warm' ? [begun.profile] : []));
  const starts: WarmStart[] = [];
  for (const profile of policy.profiles) {
    const { name, max = Infinity } = profile;
    if (!builds.value.has(name) || (resting.get(name)?.until ?? 0) > now || free.troubled.has(name)) continue;
    const there = (free.ready.get(name)?.length ?? 0) + coming.filter((each) => each === name).length;
    for (let count = there; count < targetOf(profile, world.warmth, now); count += 1) {
      if (coming.length + starts.length >= startsAtOnce || free.ids.size >= policy.maxConcurrent) return starts;
      if ((free.perProfile.get(name) ?? 0) >= max) break;
      const slot = nextSlot(free.slots, policy.slots, free.lastSlot);
      if (slot === undefined) return starts;
      const id = warmIdOf(policy.controllerId, slot, now);
      starts.push({ kind: 'warm', id, profile: name, slot });
      free.ids.add(id);
      free.slots.add(slot);
      free.lastSlot = slot;
      free.perProfile.set(name, (free.perProfile.get(name) ?? 0) + 1);
    }
  }
  return starts;
}

function countsOf(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
