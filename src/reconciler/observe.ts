// Promises one picture of the whole world for a tick. Ids of actions under way are taken first, so that what ends while we look is left
// alone; a source that fails is `unknown` with its reason, never empty (I2). One of the four places that catch.

import type { Clock } from '../clock.ts';
import { isJobless } from '../core/dispatch.ts';
import { jobKeyOf } from '../core/naming.ts';
import type { Absence } from '../core/memory.ts';
import type { ForgeName, JobList, Machine, Reading, Registration, Room, Runner, RunnerId, World } from '../core/model.ts';
import type { Driver } from '../driver/driver.ts';
import { isControllerError } from '../errors.ts';
import type { Forge } from '../forge/forge.ts';
import type { Poller } from './poller.ts';

/** What the reconciler remembers between ticks; all of it can be lost without losing a job. */
export type Memory = Pick<World, 'dispatching' | 'fresh' | 'backOffs' | 'condemned' | 'settled' | 'endings' | 'retries' | 'lastSlot'> & {
  /** All of it but the builds, which are read. */
  readonly warmth: Omit<World['warmth'], 'builds'>;
  readonly runners: readonly Runner[];
};

export type Sources = {
  readonly forges: ReadonlyMap<ForgeName, Forge>;
  readonly pollers: ReadonlyMap<ForgeName, Poller>;
  readonly driver: Driver;
  readonly clock: Clock;
  /** True: what the forges said last is taken, none is polled. */
  readonly hushed?: boolean;
  /** True when a profile keeps machines that wait: then it matters what they would be made of. */
  readonly warm?: boolean;
};

/** What is under way, taken before anything is read. */
export type UnderWay = Pick<World, 'inFlight' | 'beginning'>;

/** Reads everything that is due, all sources at once. What is under way must have been taken before the call. */
export async function observe(
  sources: Sources,
  { inFlight, beginning }: UnderWay,
  memory: () => Memory,
  maintenance: boolean,
  signal: AbortSignal,
): Promise<Omit<World, 'absences'>> {
  const machines = readMachines(sources);
  const room = readRoom(sources);
  const building = readBuilds(sources);
  const jobs = Promise.all(
    [...sources.forges.values()].map(async (forge): Promise<[ForgeName, Reading<JobList>]> => [
      forge.name,
      await readJobs(sources, forge, signal),
    ]),
  );
  const registrations = maintenance ? readAllRegistrations(sources, signal) : Promise.resolve([]);
  const [machinesRead, roomRead, builds, jobsRead, registrationsRead] = await Promise.all([machines, room, building, jobs, registrations]);
  const { runners, dispatching, fresh, backOffs, condemned, settled, endings, retries, lastSlot, warmth } = memory();
  return {
    jobs: new Map(jobsRead),
    registrations: new Map(registrationsRead),
    machines: machinesRead,
    room: roomRead,
    runners,
    inFlight,
    beginning,
    warmth: { ...warmth, builds },
    dispatching,
    fresh,
    backOffs,
    condemned,
    settled,
    endings,
    retries,
    lastSlot,
  };
}

async function readMachines({ driver, clock }: Sources): Promise<Reading<readonly Machine[]>> {
  const at = clock.now();
  try {
    return { state: 'known', value: await driver.list(), at };
  } catch (error) {
    return unknown(error);
  }
}

async function readBuilds({ driver, clock, warm }: Sources): Promise<World['warmth']['builds']> {
  const at = clock.now();
  if (warm !== true) return { state: 'known', value: new Map(), at };
  try {
    return { state: 'known', value: await driver.builds(), at };
  } catch (error) {
    return unknown(error);
  }
}

async function readRoom({ driver, clock }: Sources): Promise<Reading<Room>> {
  const at = clock.now();
  try {
    return { state: 'known', value: await driver.room(), at };
  } catch (error) {
    return unknown(error);
  }
}

/**
 * A tick waits this long for a forge, then goes on with what that forge said last: a slow one must not hold up the clocks of all the others.
 * The next tick waits for the same answer again, so a late one is seen when it comes.
 */
const patienceMs = 1_000;

async function readJobs(sources: Sources, forge: Forge, signal: AbortSignal): Promise<Reading<JobList>> {
  const { pollers, clock } = sources;
  const poller = pollers.get(forge.name);
  if (poller === undefined) throw new Error(`no poller for forge ${forge.name}`);
  if (sources.hushed === true) return poller.last();
  if (poller.underWay === undefined) {
    if (!poller.due(clock.now())) return poller.last();
    poller.underWay = poll(sources, poller, forge, signal);
  }
  const patience = new AbortController();
  const answer = await Promise.race([poller.underWay, clock.sleep(patienceMs, patience.signal)]);
  patience.abort();
  if (answer === undefined) return poller.last();
  poller.underWay = undefined;
  return answer;
}

async function poll({ clock }: Sources, poller: Poller, forge: Forge, signal: AbortSignal): Promise<Reading<JobList>> {
  const number = poller.begin();
  const at = clock.now();
  try {
    const jobs = await forge.jobs(signal);
    return poller.succeeded({ jobs, poll: number }, at, clock.now());
  } catch (error) {
    if (!isControllerError(error)) throw error;
    return poller.failed(error, clock.now());
  }
}

async function readAllRegistrations(
  { forges, clock }: Sources,
  signal: AbortSignal,
): Promise<[ForgeName, Reading<readonly Registration[]>][]> {
  return Promise.all(
    [...forges.values()].map(async (forge): Promise<[ForgeName, Reading<readonly Registration[]>]> => {
      const at = clock.now();
      try {
        return [forge.name, { state: 'known', value: await forge.registrations(signal), at }];
      } catch (error) {
        return [forge.name, unknown(error)];
      }
    }),
  );
}

/** Only the world's doing makes a reading unknown; a bug goes up and ends the process. */
function unknown(error: unknown): { readonly state: 'unknown'; readonly reason: string } {
  if (!isControllerError(error)) throw error;
  return { state: 'unknown', reason: `${error.code}: ${error.message}` };
}

/**
 * Counts, for every runner, good polls in a row without its job. Only polls that began after the runner was made count, and a poll counts
 * once however often a tick looks at it.
 */
export function absencesAfter(
  previous: ReadonlyMap<RunnerId, Absence & { readonly poll: number }>,
  world: Pick<World, 'jobs' | 'runners'>,
  now: number,
): Map<RunnerId, Absence & { readonly poll: number }> {
  const present = new Map<ForgeName, ReadonlySet<string>>();
  for (const [forge, reading] of world.jobs) {
    if (reading.state === 'known' && world.runners.length > 0) present.set(forge, new Set(reading.value.jobs.map(jobKeyOf)));
  }
  const next = new Map<RunnerId, Absence & { readonly poll: number }>();
  for (const runner of world.runners) {
    // Of no list can be said that its job is missing.
    if (isJobless(runner)) continue;
    const before = previous.get(runner.id);
    const reading = world.jobs.get(runner.forge);
    if (reading?.state !== 'known' || reading.at < runner.createdAt) {
      if (before !== undefined) next.set(runner.id, before);
      continue;
    }
    if (present.get(runner.forge)?.has(jobKeyOf({ forge: runner.forge, ...runner.job })) === true) continue;
    if (before === undefined) next.set(runner.id, { polls: 1, since: now, poll: reading.value.poll });
    else
      next.set(
        runner.id,
        reading.value.poll > before.poll ? { polls: before.polls + 1, since: before.since, poll: reading.value.poll } : before,
      );
  }
  return next;
}
