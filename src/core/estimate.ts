// Promises a guess when each job that waits for its turn starts: the plan's own order played forward over the places that there are, each job
// taking as long as those like it took before. A guess says on how much it rests; what nothing tells is unknown, and who waits for something
// that no clock tells gets none. Pure.

import { inFairOrder, repositoryKeyOf } from './admission.ts';
import { serves } from './match.ts';
import { isDispatchId } from './naming.ts';
import type { Denial, Job } from './model.ts';
import type { Snapshot } from './snapshot.ts';

/** `endings`: the fewest ended jobs that any duration in it was taken from; 0 when it needed none. */
export type Estimate =
  | { readonly at: number; readonly endings: number }
  | { readonly at?: never; readonly unknown: 'no-clock' | 'no-history' | 'too-far' };

type Picture = Pick<Snapshot, 'denials' | 'runners' | 'ended' | 'capacity'>;

/** What such a job took from its start until its place was free again. */
export type Lasting = { readonly ms: number; readonly endings: number };
type Kind = { readonly forge: string; readonly repositoryId: number; readonly name: string; readonly profile: string };

/** The game is played for so many of those that wait. */
const played = 300;
/** Of a job by its name, or of a repository, so many tell what is usual; of a whole profile one does, for want of better. */
const enough = 3;

type Holder = { readonly profile: string; readonly repository: string; readonly endsAt: number; readonly endings: number };
type Player = { readonly denial: Denial; readonly job: Job };

/** For every waiting job. */
export function estimatesOf(picture: Picture, now: number): ReadonlyMap<Denial, Estimate> {
  const inTurn = picture.denials.filter(hasTurn).toSorted((a, b) => (a.position ?? 0) - (b.position ?? 0));
  const game = createGame(picture, now);
  const found = game.play(inTurn.slice(0, played).map((denial) => ({ denial, job: denial.job })));
  const rest = new Set(inTurn.slice(played));
  return new Map(
    picture.denials.map((denial): [Denial, Estimate] => [
      denial,
      found.get(denial) ?? { unknown: rest.has(denial) ? 'too-far' : hasTurn(denial) ? 'no-history' : 'no-clock' },
    ]),
  );
}

/** Waits for nothing but a place that others hold. */
function hasTurn({ position, reason }: Denial): boolean {
  return position !== undefined && reason !== 'id-taken';
}

function createGame({ runners, ended, capacity }: Picture, now: number) {
  const lasting = lastingOf(ended);
  const most = Math.min(capacity.max, capacity.slots ?? Infinity);
  const mostOfRepository = capacity.maxPerRepository ?? Infinity;
  // Machines that no record speaks of hold a place, and nobody knows for how long.
  const strangers = Math.max(0, capacity.used - runners.length);
  let holders: readonly Holder[] = runners.map((runner): Holder => {
    const { forge, profile, phase, job } = runner;
    const repository = repositoryKeyOf(forge, job.repositoryId);
    if (phase === 'stopping' || phase === 'finalizing') return { profile, repository, endsAt: now, endings: Infinity };
    const lasted = Math.max(0, now - runner.createdAt);
    const usual = lasting({ forge, profile, name: job.name, repositoryId: job.repositoryId }, lasted);
    return { profile, repository, ...endOf(runner.createdAt, usual) };
  });

  /** Where the plan would start it now; undefined when there is no place. */
  function start(job: Job, at: number): Holder | undefined {
    const repository = repositoryKeyOf(job.forge, job.repositoryId);
    if (holders.length + strangers >= most) return undefined;
    if (holders.filter((holder) => holder.repository === repository).length >= mostOfRepository) return undefined;
    const free = capacity.profiles.find(
      ({ name, max, ...profile }) =>
        serves(profile, job) && (max === undefined || holders.filter((holder) => holder.profile === name).length < max),
    );
    if (free === undefined) return undefined;
    const kind = { forge: job.forge, repositoryId: job.repositoryId, name: job.name, profile: free.name };
    return { profile: free.name, repository, ...endOf(at, lasting(kind, 0)) };
  }

  /** From one end to the next: those that end give their places back, then the plan's order decides who gets them. */
  function play(players: readonly Player[]): ReadonlyMap<Denial, Estimate> {
    const found = new Map<Denial, Estimate>();
    let waiting = players;
    let endings = Infinity;
    for (let at = now; waiting.length > 0 && at < Infinity; at = Math.min(...holders.map(({ endsAt }) => endsAt))) {
      for (const holder of holders) if (holder.endsAt <= at) endings = Math.min(endings, holder.endings);
      holders = holders.filter(({ endsAt }) => endsAt > at);
      const started = new Set<Player>();
      for (const player of inFairOrder(waiting, heldOf(holders))) {
        const holder = start(player.job, at);
        if (holder === undefined) continue;
        holders = [...holders, holder];
        started.add(player);
        found.set(player.denial, { at, endings: endings === Infinity ? 0 : endings });
        if (holders.length + strangers >= most) break;
      }
      waiting = waiting.filter((player) => !started.has(player));
    }
    return found;
  }

  return { play };
}

function endOf(startedAt: number, usual: Lasting | undefined): Pick<Holder, 'endsAt' | 'endings'> {
  return usual === undefined ? { endsAt: Infinity, endings: 0 } : { endsAt: startedAt + usual.ms, endings: usual.endings };
}

function heldOf(holders: readonly Holder[]): Map<string, number> {
  const held = new Map<string, number>();
  for (const { repository } of holders) held.set(repository, (held.get(repository) ?? 0) + 1);
  return held;
}

/**
 * How long such a job takes that has taken `lastedMs` already: the median of those that took longer, of the same job, else of its repository,
 * else of its profile. Undefined when none did: it has outlived what is known.
 */
export function lastingOf(ended: Picture['ended']): (kind: Kind, lastedMs: number) => Lasting | undefined {
  const known = new Map<string, number[]>();
  for (const { id, forge, profile, job, createdAt, endedAt, pickedAt, reason } of ended) {
    // What they took is mostly what they waited.
    if (isDispatchId(id) || (pickedAt === undefined && reason !== 'finished')) continue;
    for (const { key } of levelsOf({ forge, profile, name: job.name, repositoryId: job.repositoryId })) {
      const all = known.get(key) ?? [];
      if (all.length === 0) known.set(key, all);
      all.push(endedAt - createdAt);
    }
  }
  for (const all of known.values()) all.sort((a, b) => a - b);
  return (kind, lastedMs) => {
    for (const { key, least } of levelsOf(kind)) {
      const all = known.get(key) ?? [];
      const longer = all.filter((ms) => ms > lastedMs);
      const median = longer[(longer.length - 1) >> 1];
      if (all.length >= least && median !== undefined) return { ms: median, endings: longer.length };
    }
    return undefined;
  };
}

function levelsOf({ forge, repositoryId, name, profile }: Kind): readonly { readonly key: string; readonly least: number }[] {
  return [
    { key: JSON.stringify([profile, forge, repositoryId, name]), least: enough },
    { key: JSON.stringify([profile, forge, repositoryId]), least: enough },
    { key: JSON.stringify([profile]), least: 1 },
  ];
}
