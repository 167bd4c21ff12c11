// Promises the two steps of machines that wait for jobs, each safe twice, and what is remembered of them between ticks: when a profile was
// last used, and which may start none for a while because theirs die. All of it can be lost without losing a job.

import type { Action, Policy, Profile, World } from '../core/model.ts';
import type { Cool, WarmStart, Warmth } from '../core/warmth.ts';
import { isWarmId } from '../core/naming.ts';
import { isTrouble } from '../core/warm.ts';
import type { Hands } from './hands.ts';

/** The host's own fence (RuntimeMaxSec) behind the clocks of the plan; beyond them it leaves time for stopping. */
export function fenceMsOf({ timeouts: { startMs, pickMs, jobMs } }: Profile): number {
  return startMs + pickMs + jobMs + 60_000;
}

/** Started, and that is all: its folder on the host says what it is. A job may be given to it for `maxAge`, and has all of its clocks then. */
export async function warm(hands: Hands, { id, profile: name, slot }: WarmStart, by: string): Promise<void> {
  const { driver, clock, log, policy } = hands;
  const profile = policy().profiles.find((each) => each.name === name);
  // Planned before the configuration changed.
  if (profile?.warm === undefined) return;
  const begunAt = clock.now();
  await driver.start({ id, slot, profile, runtimeMaxMs: profile.warm.maxAgeMs + fenceMsOf(profile) });
  log.info('warm', { by, runner: id, profile: name, slot, startedMs: clock.now() - begunAt }, 'a machine was started to wait for a job');
}

export async function cool({ driver, log }: Hands, { id, profile, reason, exit }: Cool, by: string): Promise<void> {
  await driver.remove(id);
  const facts = { by, runner: id, profile, reason, ...(exit === undefined ? {} : { exit }) };
  const sentence = `a machine that waited for a job ${sentences[reason]}`;
  if (isTrouble(reason, exit)) log.warn('cool', facts, sentence);
  else log.info('cool', facts, sentence);
}

const sentences: Readonly<Record<Cool['reason'], string>> = {
  died: 'had ended, and was removed',
  'start-timeout': 'did not come up in time, and was removed',
  outdated: 'was removed: machines of its profile are made of something else now',
  aged: 'was removed: it had waited for as long as one may (warm.maxAge)',
  unused: 'was removed: its profile had no job for long (warm.linger)',
  surplus: 'was removed: its profile wants fewer of them',
  room: 'was removed: a job needs its place',
  draining: 'was removed: nothing more is started',
};

const restFirstMs = 1_000;
const restCapMs = 300_000;
/** Whoever has waited for so long is well: the one before died by accident. */
const wellAfterMs = 60_000;

export type WarmMemory = Omit<Warmth, 'builds'> & {
  /** Notes which profiles are used, and whose machines live. */
  look(world: World, policy: Pick<Policy, 'profiles'>, now: number): void;
  succeeded(action: Action, now: number): void;
  failed(action: Action, now: number): void;
};

export function createWarmMemory(): WarmMemory {
  const usedAt = new Map<string, number>();
  const rests = new Map<string, { readonly until: number; readonly count: number }>();

  function rest(profile: string, now: number): void {
    const count = (rests.get(profile)?.count ?? 0) + 1;
    rests.set(profile, { until: now + Math.min(restCapMs, restFirstMs * 2 ** Math.min(count - 1, 10)), count });
  }

  return {
    usedAt,
    rests,
    look({ runners, machines }, { profiles }, now) {
      for (const { name } of profiles) if (!usedAt.has(name)) usedAt.set(name, now);
      for (const { profile } of runners) usedAt.set(profile, now);
      for (const known of [usedAt, rests])
        for (const name of known.keys()) if (!profiles.some((profile) => profile.name === name)) known.delete(name);
      for (const { state, startedAt, warm: waiting } of machines.state === 'known' ? machines.value : [])
        if (waiting !== undefined && state === 'idle' && now - startedAt > wellAfterMs) rests.delete(waiting.profile);
    },
    succeeded(action, now) {
      if (action.kind === 'cool' && isTrouble(action.reason, action.exit)) rest(action.profile, now);
      // It lived until its job came.
      if (action.kind === 'launch' && isWarmId(action.id)) rests.delete(action.runner.profile);
    },
    failed(action, now) {
      if (action.kind === 'warm') rest(action.profile, now);
    },
  };
}
