// Promises which runners that a person asked for are started, when one of them that has no job yet is asked about and when it ends, and which
// waiting jobs are left to them for a while. They are registered for labels, not for a job: which one it took is known afterwards. Pure.

import { serves, unmatchedSentenceOf } from './match.ts';
import { dispatchIdOf, jobKeyOf } from './naming.ts';
import { asksOrigin, type Gate } from './origin.ts';
import { standstillOf } from './room.ts';
import { nextSlot } from './subnets.ts';
import type { Dispatch, DispatchAnswer, DispatchOrder, DispatchRefusal } from './dispatched.ts';
import type { Job, JobRef, Machine, Policy, Profile, Runner, StopReason, World } from './model.ts';

/** Two rounds of the stock runner, which asks every two seconds, and what a job needs to be handed out; then the job gets a machine of its own. */
const offerMs = 10_000;
/** Behind its deadline whoever cannot be asked about is ended all the same. */
const forceAfterMs = 10_000;
/** A runner that was told its labels just now may not have declared them: they cannot be taken from it yet. */
const settleMs = 10_000;
/** What tells which job it took is on its console and in the forge's list by then, or never. */
const recogniseForMs = 30_000;
/** A task that was not its own by then may run on for hours. One that hid behind it all the same is found so often. */
const askAgainMs = 60_000;

/** What stands on the record of a runner until it is known which job it has. */
function noJobOf(labels: readonly string[]): JobRef {
  return { id: 0, handle: '', attempt: 0, repositoryId: 0, name: '', labels };
}

/** True while nobody knows of a job that it has. */
export function isJobless({ dispatch, job }: Pick<Runner, 'dispatch' | 'job'>): boolean {
  return dispatch !== undefined && job.id === 0;
}

/** When its life is over, job or no job. */
export function untilOf({ createdAt, dispatch }: Pick<Runner, 'createdAt' | 'dispatch'>): number {
  return dispatch === undefined ? Infinity : createdAt + dispatch.ttlMs;
}

/** Running jobs that it may have: its labels hold theirs. The newest first. */
export function candidatesOf({ forge, job }: Pick<Runner, 'forge' | 'job'>, jobs: readonly Job[]): readonly Job[] {
  return jobs
    .filter((each) => each.forge === forge && each.state === 'running' && each.taskId > 0 && serves(job, each))
    .toSorted((a, b) => b.taskId - a.taskId);
}

export type Claims = ReadonlySet<string>;

/** Jobs of which it is known who of ours has them. */
export function claimsOf(runners: readonly Runner[]): Claims {
  return new Set(
    runners.flatMap((runner) =>
      runner.pickedAt === undefined || isJobless(runner) ? [] : [jobKeyOf({ forge: runner.forge, ...runner.job })],
    ),
  );
}

type Waiting = {
  readonly runner: Runner;
  readonly assignedAt: number;
  readonly policy: Policy;
  readonly now: number;
  /** A running job that may be its own is listed, and the forge was not asked about it since. */
  readonly suspect: Job | undefined;
};

/** What is due for one that was told its labels and has no job that is known of: to end, to be asked about, or nothing. */
export function dueOf({ runner, assignedAt, policy, now, suspect }: Waiting): StopReason | Job | undefined {
  const overdueMs = now - untilOf(runner);
  if (runner.pickedAt !== undefined) {
    if (overdueMs > 0) return 'ttl';
    return now - runner.pickedAt < recogniseForMs ? suspect : undefined;
  }
  if (overdueMs > forceAfterMs) return 'ttl';
  if (overdueMs > 0 || (!isWanted(runner, policy) && now - assignedAt > settleMs)) return 'no-job';
  return suspect;
}

/** False for one that would not be started now: its labels, its profile or all of them are dispatched no more. */
export function isWanted({ profile, job }: Pick<Runner, 'profile' | 'job'>, policy: Policy): boolean {
  const profiles = policy.profiles.filter(({ name }) => name === profile);
  return policy.mode === 'serving' && mistakeOf(job.labels, { ...policy, profiles }) === undefined;
}

/** The newest job that may be its own, if its forge was not asked about it since the list came, nor often enough before. */
export function suspectOf(runner: Runner, { jobs, dispatching }: World, claims: Claims, now: number): Job | undefined {
  const reading = jobs.get(runner.forge);
  const asked = dispatching.asked.get(runner.id);
  if (reading?.state !== 'known' || (asked?.poll ?? -1) >= reading.value.poll) return undefined;
  const newest = candidatesOf(runner, reading.value.jobs).find((job) => !claims.has(jobKeyOf(job)));
  const isOld = asked !== undefined && asked.taskId === newest?.taskId && now - asked.since >= recogniseForMs;
  return isOld && now - asked.at < askAgainMs ? undefined : newest;
}

/**
 * Waiting jobs, the oldest first, for which there is a runner that has no job and would be handed them, one for one; and since when that is so.
 * They may be left to it, but not for long: it may be deaf, or the job one that Forgejo hands to nobody now.
 */
export function offersAfter(
  previous: ReadonlyMap<string, number>,
  world: Pick<World, 'jobs' | 'runners' | 'condemned' | 'endings'>,
  now: number,
): ReadonlyMap<string, number> {
  const next = new Map<string, number>();
  const takers = world.runners.filter((runner) => isTaker(runner, world, now));
  if (takers.length === 0) return next;
  const served = new Set(world.runners.map((runner) => jobKeyOf({ forge: runner.forge, ...runner.job })));
  for (const [forge, reading] of world.jobs) {
    if (reading.state !== 'known') continue;
    const free = takers.filter((runner) => runner.forge === forge);
    for (const job of reading.value.jobs.toSorted((a, b) => a.id - b.id)) {
      const key = jobKeyOf(job);
      if (job.state !== 'waiting' || served.has(key) || next.has(key)) continue;
      const place = free.findIndex((runner) => serves(runner.job, job));
      if (place < 0) continue;
      free.splice(place, 1);
      next.set(key, previous.get(key) ?? now);
    }
  }
  return next;
}

function isTaker(runner: Runner, { condemned, endings }: Pick<World, 'condemned' | 'endings'>, now: number): boolean {
  if (!isJobless(runner) || runner.assignedAt === undefined || runner.pickedAt !== undefined || now > untilOf(runner)) return false;
  return runner.stop === undefined && runner.ending === undefined && !condemned.has(runner.id) && !endings.has(runner.id);
}

/** Why a waiting job is not started now: somebody who waits for one like it takes it. */
export function offerSentenceOf(key: string, { dispatching }: Pick<World, 'dispatching'>, now: number): string | undefined {
  const since = dispatching.offers.get(key);
  if (since === undefined || now - since >= offerMs) return undefined;
  return `a dispatched runner waits for a job with its labels and takes it, most likely; if not, it is started in ${Math.ceil((offerMs - now + since) / 1000)} s`;
}

/** Profiles that may be dispatched with these labels. Whoever asks where a job comes from cannot have what such a runner is handed. */
function dispatchableOf<P extends Gate & Pick<Profile, 'labels'>>(labels: readonly string[], profiles: readonly P[]): readonly P[] {
  return profiles.filter((profile) => serves(profile, { labels }) && !asksOrigin(profile));
}

/** Why nothing with these labels can ever be dispatched under this configuration; undefined when it can. */
export function mistakeOf(labels: readonly string[], { dispatch, profiles }: Pick<Policy, 'dispatch' | 'profiles'>): string | undefined {
  const foreign = labels.find((label) => dispatch?.labels.includes(label) !== true);
  if (foreign !== undefined)
    return `${JSON.stringify(foreign)} is not among those that may be dispatched (dispatch.labels in the configuration)`;
  if (dispatchableOf(labels, profiles).length > 0) return undefined;
  const serving = profiles.find((profile) => serves(profile, { labels }));
  if (serving === undefined) return unmatchedSentenceOf({ labels }, profiles);
  return `the profile that serves them, ${serving.name}, asks where jobs come from (forks, repositories, events), and a dispatched runner takes whatever comes`;
}

/** What the plan of this tick leaves free when jobs have had their turn. */
export type Places = {
  readonly ids: Set<string>;
  readonly slots: Set<number>;
  readonly perProfile: Map<string, number>;
  lastSlot: number;
};

/** An answer for every order. `free`: undefined while nobody can say what is there (I2). */
export function dispatchesOf(world: World, policy: Policy, now: number, free: Places | undefined): readonly DispatchAnswer[] {
  return world.dispatching.orders.map((order) => {
    const runners: DispatchAnswer['runners'][number][] = [];
    while (runners.length < order.count) {
      const made = standingOf(world, policy) ?? madeOf(order, policy, now, free);
      if ('reason' in made) return { order, runners, refused: made };
      runners.push(made);
    }
    return { order, runners };
  });
}

function standingOf({ room, machines }: World, { mode, floor }: Policy): DispatchRefusal | undefined {
  if (mode !== 'serving') return { reason: 'draining', sentence: `the controller is ${mode}, and starts nothing` };
  if (machines.state === 'known') return standstillOf(room, floor);
  return { reason: 'host-unknown', sentence: `the host's machines cannot be listed (${machines.reason}), so nothing is started` };
}

function madeOf(
  order: DispatchOrder,
  policy: Policy,
  now: number,
  free: Places | undefined,
): (Runner & { readonly dispatch: Dispatch }) | DispatchRefusal {
  // It was asked of the configuration that was in force then.
  const mistake = mistakeOf(order.labels, policy);
  if (mistake !== undefined || free === undefined)
    return { reason: 'unmatched', sentence: mistake ?? 'no profile serves these labels any more' };
  const profiles = dispatchableOf(order.labels, policy.profiles);
  if (free.ids.size >= policy.maxConcurrent)
    return { reason: 'capacity', sentence: `all ${policy.maxConcurrent} places are taken, warm machines included (maxConcurrent)` };
  const profile = profiles.find(({ name, max = Infinity }) => (free.perProfile.get(name) ?? 0) < max);
  if (profile === undefined) {
    const names = profiles.map(({ name, max }) => `\`${name}\` (max ${max})`).join(', ');
    return { reason: 'profile-capacity', sentence: `every profile that serves these labels is full: ${names}` };
  }
  const slot = nextSlot(free.slots, policy.slots, free.lastSlot);
  if (slot === undefined)
    return { reason: 'no-slot', sentence: `all ${policy.slots} subnets of the pool are in use or not yet seen gone (network.pool)` };
  const id = dispatchIdOf(policy.controllerId, slot, now);
  free.ids.add(id);
  free.slots.add(slot);
  free.lastSlot = slot;
  free.perProfile.set(profile.name, (free.perProfile.get(profile.name) ?? 0) + 1);
  return runnerOf(order, profile, { id, slot }, now);
}

function runnerOf(
  { forge, labels, ttlMs = Infinity }: DispatchOrder,
  { name, timeouts }: Profile,
  { id, slot }: Pick<Machine, 'id' | 'slot'>,
  now: number,
): Runner & { readonly dispatch: Dispatch } {
  const most = Math.min(ttlMs, timeouts.jobMs);
  return {
    id,
    forge,
    job: noJobOf(labels),
    profile: name,
    machine: id,
    slot,
    createdAt: now,
    // The unit's own end on the host is reckoned from these.
    timeouts: { ...timeouts, pickMs: most, jobMs: most },
    dispatch: { ttlMs: most },
  };
}
