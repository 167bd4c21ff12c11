// Promises who is started next, and for everybody else why not: fair between repositories, oldest first within one, never above a
// capacity (I4), each waiting job answered by a launch or by a Denial with a sentence. A machine that waits is given away or gives way. Pure.

import { dispatchesOf, offerSentenceOf } from './dispatch.ts';
import { serves, unmatchedSentenceOf } from './match.ts';
import { isMachineId, jobKeyOf, runnerIdOf } from './naming.ts';
import { gatesOpenTo, isOwnCode } from './origin.ts';
import { nextSlot } from './subnets.ts';
import { standstillOf } from './room.ts';
import { coolOf, warmMachinesOf, warmPoolOf, warmStartsOf, type WarmPool } from './warm.ts';
import type { Cool } from './warmth.ts';
import type { Denial, Job, Machine, Plan, Policy, Profile, Runner, World } from './model.ts';

type Candidate = { readonly job: Job; readonly key: string; readonly profiles: readonly Profile[] };

const standStill = { draining: 'it finishes what runs and starts nothing', ending: 'it stops everything of its own' };

/** Counts that grow while a plan is made, so that machines planned earlier in the same tick count too. */
type Books = {
  readonly ids: Set<string>;
  readonly slots: Set<number>;
  readonly perProfile: Map<string, number>;
  readonly perRepository: Map<string, number>;
  lastSlot: number;
  /** Machines that wait for a job, by profile. */
  readonly ready: WarmPool['ready'];
  readonly troubled: WarmPool['troubled'];
  /** Machines that are about to be gone and that no job waits for yet. */
  leaving: number;
  readonly cools: Cool[];
};

/**
 * Launches for this tick, and a denial for every other waiting job; also what becomes of machines that wait. `machines` must be known: unknown
 * machines deny everything (I2).
 */
export function admissionsOf(world: World, policy: Policy, now: number): Plan {
  const denials: Denial[] = [];
  const waiting = waitingJobsOf(world);
  if (world.machines.state !== 'known') {
    const sentence = `the host's machines cannot be listed (${world.machines.reason}), so nothing is started`;
    const dispatches = dispatchesOf(world, policy, now, undefined);
    return { actions: [], denials: waiting.map((job) => ({ job, reason: 'host-unknown', sentence })), dispatches };
  }
  const books = booksOf(world, warmPoolOf(world, policy, now));
  trim(books, policy);
  const matches = matcherOf(policy.profiles);
  const eligible = waiting.flatMap((job) => eligibleOf(job, matches(job), world, policy, now, denials));
  const admitted = inFairOrder(eligible, books.perRepository).flatMap((candidate, index): Runner[] => {
    const verdict = admit(candidate, books, policy, now);
    if ('id' in verdict) return [verdict];
    denials.push({ ...verdict, ...giveWay(verdict, books), position: index + 1 });
    return [];
  });
  const dispatches = dispatchesOf(world, policy, now, books);
  const launches = [...admitted, ...dispatches.flatMap(({ runners }) => runners)];
  const busy = launches.length > 0 || world.beginning.some(({ kind }) => kind === 'launch') || denials.some(needsPlace);
  const starts =
    busy || policy.mode !== 'serving' || standstillOf(world.room, policy.floor) !== undefined
      ? []
      : warmStartsOf(world, policy, now, books);
  return {
    actions: [...books.cools, ...launches.map((runner) => ({ kind: 'launch', id: runner.id, runner }) as const), ...starts],
    denials,
    dispatches,
  };
}

/** A configuration that allows fewer machines than there are takes away those that wait. */
function trim(books: Books, { maxConcurrent }: Policy): void {
  for (let over = books.ids.size - books.leaving - maxConcurrent; over > 0; over -= 1) {
    const machine = takeLast(books.ready);
    if (machine === undefined) return;
    books.cools.push(coolOf(machine, 'surplus'));
    books.leaving += 1;
  }
}

/** The one that would have been given away last, of whichever profile. */
function takeLast(ready: Map<string, Machine[]>): Machine | undefined {
  const [name, machines = []] = [...ready].find(([, { length }]) => length > 0) ?? [];
  if (name !== undefined) ready.set(name, machines.slice(0, -1));
  return machines.at(-1);
}

function needsPlace({ reason }: Pick<Denial, 'reason'>): boolean {
  return reason === 'capacity' || reason === 'no-slot';
}

/** Whoever waits for a place gets that of a machine which waits for nobody. */
function giveWay(denial: Omit<Denial, 'position'>, books: Books): { readonly sentence?: string } {
  if (!needsPlace(denial)) return {};
  if (books.leaving > 0) {
    books.leaving -= 1;
    return { sentence: `${denial.sentence}; it starts when one that waits for jobs is gone` };
  }
  const machine = takeLast(books.ready);
  if (machine === undefined) return {};
  books.cools.push(coolOf(machine, 'room'));
  return { sentence: `${denial.sentence}; ${machine.id}, which waits for jobs, gives way for it` };
}

/** Records, and the runners that are about to have one. */
function runnersOf({ runners, beginning }: World): readonly Runner[] {
  if (beginning.length === 0) return runners;
  const known = new Set(runners.map(({ id }) => id));
  return [...runners, ...beginning.flatMap((begun) => (begun.kind === 'launch' && !known.has(begun.id) ? [begun.runner] : []))];
}

/** Waiting jobs of every known list that nobody of ours serves yet, each attempt once even when two forge entries list it. */
function waitingJobsOf(world: World): Job[] {
  const taken = new Set(runnersOf(world).map((runner) => jobKeyOf({ forge: runner.forge, ...runner.job })));
  const jobs: Job[] = [];
  for (const reading of world.jobs.values()) {
    if (reading.state !== 'known') continue;
    for (const job of reading.value.jobs) {
      const key = jobKeyOf(job);
      if (job.state !== 'waiting' || taken.has(key) || (world.settled.get(key) ?? -1) >= reading.value.poll) continue;
      taken.add(key);
      jobs.push(job);
    }
  }
  return jobs;
}

type Match = { readonly profiles: readonly Profile[]; readonly unmatched?: string };

/** Matching remembered by label set: ten thousand waiting jobs have a handful of them. */
function matcherOf(profiles: readonly Profile[]): (job: Job) => Match {
  const known = new Map<string, Match>();
  return (job) => {
    // Whoever writes a workflow may put anything into a label, a line break too: two lists must never look like one.
    const signature = JSON.stringify(job.labels);
    let match = known.get(signature);
    if (match === undefined) {
      const serving = profiles.filter((profile) => serves(profile, job));
      match = serving.length > 0 ? { profiles: serving } : { profiles: [], unmatched: unmatchedSentenceOf(job, profiles) };
      known.set(signature, match);
    }
    return match;
  };
}

function eligibleOf(job: Job, { profiles, unmatched }: Match, world: World, policy: Policy, now: number, denials: Denial[]): Candidate[] {
  const key = jobKeyOf(job);
  const deny = (reason: Denial['reason'], sentence: string): Candidate[] => {
    denials.push({ job, reason, sentence });
    return [];
  };
  if (unmatched !== undefined) return deny('unmatched', unmatched);
  if (policy.mode !== 'serving') return deny('draining', `the controller is ${policy.mode}: ${standStill[policy.mode]}`);
  const standstill = standstillOf(world.room, policy.floor);
  if (standstill !== undefined) return deny(standstill.reason, standstill.sentence);
  const backOff = world.backOffs.get(key);
  if (backOff !== undefined && backOff.until > now) {
    const seconds = Math.ceil((backOff.until - now) / 1000);
    const why =
      backOff.reason === 'unpicked'
        ? 'Forgejo did not hand it to the machine that waited for it (a concurrency group, most often)'
        : `its last machine ended with ${backOff.reason}`;
    return deny('back-off', `${why}; next try in ${seconds} s (try ${backOff.count + 1})`);
  }
  const offered = offerSentenceOf(key, world, now);
  if (offered !== undefined) return deny('dispatched', offered);
  const { open, refusal } = gatesOpenTo(job, profiles);
  return refusal === undefined ? [{ job, key, profiles: open }] : deny(refusal.reason, refusal.sentence);
}

function booksOf(world: World, { ready, cools, troubled, leaving }: WarmPool): Books {
  const machines = world.machines.state === 'known' ? world.machines.value : [];
  const books: Books = {
    ids: new Set([...world.inFlight].filter(isMachineId)),
    slots: new Set(),
    perProfile: new Map(),
    perRepository: new Map(),
    lastSlot: world.lastSlot,
    ready,
    troubled,
    cools: [...cools],
    leaving,
  };
  const recorded = new Set<string>();
  for (const runner of runnersOf(world)) {
    books.ids.add(runner.id);
    recorded.add(runner.machine);
    books.slots.add(runner.slot);
    add(books.perProfile, runner.profile);
    add(books.perRepository, repositoryKeyOf(runner.forge, runner.job.repositoryId));
  }
  for (const machine of machines) {
    books.slots.add(machine.slot);
    if (!recorded.has(machine.id)) books.ids.add(machine.id);
  }
  const waiting = new Map(warmMachinesOf(world).map(({ id, warm }) => [id, warm?.profile]));
  for (const begun of world.beginning) {
    if (begun.kind !== 'warm') continue;
    books.slots.add(begun.slot);
    waiting.set(begun.id, begun.profile);
  }
  for (const profile of waiting.values()) if (profile !== undefined) add(books.perProfile, profile);
  return books;
}

/** The place of a job is the number of machines its repository would hold before it; ties go to the older job. */
export function inFairOrder<C extends Pick<Candidate, 'job'>>(candidates: readonly C[], held: ReadonlyMap<string, number>): C[] {
  const rank = new Map(held);
  return candidates
    .toSorted((a, b) => a.job.id - b.job.id)
    .map((candidate) => {
      const key = repositoryKeyOf(candidate.job.forge, candidate.job.repositoryId);
      const place = rank.get(key) ?? 0;
      rank.set(key, place + 1);
      return { candidate, place };
    })
    .toSorted((a, b) => a.place - b.place || a.candidate.job.id - b.candidate.job.id)
    .map(({ candidate }) => candidate);
}

function admit(candidate: Candidate, books: Books, policy: Policy, now: number): Runner | Omit<Denial, 'position'> {
  const { job, profiles } = candidate;
  const profile = profiles.find(
    ({ name, max }) => max === undefined || (books.perProfile.get(name) ?? 0) < max || (books.ready.get(name)?.length ?? 0) > 0,
  );
  const [machine, ...others] = books.ready.get(profile?.name ?? '') ?? [];
  if (machine === undefined && books.ids.size >= policy.maxConcurrent) {
    const closed = policy.maxConcurrent === 0;
    const sentence = closed
      ? 'nothing is started here: maxConcurrent is 0'
      : `all ${policy.maxConcurrent} machines are in use (maxConcurrent)`;
    return { job, reason: 'capacity', sentence };
  }
  const repository = repositoryKeyOf(job.forge, job.repositoryId);
  if (policy.maxPerRepository !== undefined && (books.perRepository.get(repository) ?? 0) >= policy.maxPerRepository) {
    return {
      job,
      reason: 'repository-capacity',
      sentence: `its repository already has ${policy.maxPerRepository} machines (maxPerRepository)`,
    };
  }
  if (profile === undefined) {
    const names = profiles.map((each) => `\`${each.name}\` (max ${each.max})`).join(', ');
    return { job, reason: 'profile-capacity', sentence: `every profile that serves it is full: ${names}` };
  }
  const place = machine ?? newPlaceOf(job, profile, books, policy);
  if ('reason' in place) return place;
  if (machine !== undefined) books.ready.set(profile.name, others);
  add(books.perRepository, repository);
  // One id names the record, the registration and the machine, be it one that waited or a new one.
  const { id, slot } = place;
  const { handle, attempt, repositoryId, name, labels } = job;
  return {
    id,
    forge: job.forge,
    job: { id: job.id, handle, attempt, repositoryId, name, labels },
    ...(isOwnCode(job.origin) ? { ownCode: true } : {}),
    profile: profile.name,
    machine: id,
    slot,
    createdAt: now,
    timeouts: profile.timeouts,
  };
}

function newPlaceOf(job: Job, profile: Profile, books: Books, policy: Policy): Pick<Machine, 'id' | 'slot'> | Omit<Denial, 'position'> {
  const id = runnerIdOf(policy.controllerId, job);
  if (books.ids.has(id))
    return { job, reason: 'id-taken', sentence: `its runner id ${id} is still held by another job; it is next when that one is gone` };
  const slot = nextSlot(books.slots, policy.slots, books.lastSlot);
  if (slot === undefined) {
    return { job, reason: 'no-slot', sentence: `all ${policy.slots} subnets of the pool are in use or not yet seen gone (network.pool)` };
  }
  books.ids.add(id);
  books.slots.add(slot);
  books.lastSlot = slot;
  add(books.perProfile, profile.name);
  return { id, slot };
}

export function repositoryKeyOf(forge: string, repositoryId: number): string {
  return `${forge}/${repositoryId}`;
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
