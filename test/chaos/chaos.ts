// Promises one chaos run: jobs come and run while faults strike at random moments, every kind at least once; then the faults stop, and within
// a bounded time every job has its result, none ran twice, none that nothing struck was stopped, nothing is left and no stranger was touched.

import { setTimeout as sleep } from 'node:timers/promises';
import { createChance, type Chance } from '../simulation/schedule.ts';
import { sh } from '../support/service.ts';
import { faults } from './faults.ts';
import { isDone, judge, planOf, queueJob, type ChaosJob } from './jobs.ts';
import { atRest, leftOverOf, openStage, touchedOf, type ChaosStage } from './stage.ts';

export type ChaosOptions = {
  readonly jobs: number;
  readonly seed: number;
  /** Faults go on for so long at least, with as many jobs as come. */
  readonly minutes?: number;
  readonly say: (line: string) => void;
};

export type ChaosReport = {
  readonly jobs: number;
  readonly attempts: number;
  /** By kind, how often each struck. */
  readonly faults: ReadonlyMap<string, number>;
  readonly requests: ReadonlyMap<string, number>;
  readonly seconds: number;
  /** From the death of a machine that the forge said was running to the end of its job in the forge; the longest. */
  readonly results: Readonly<Record<string, number>>;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly wronglyStopped: readonly string[];
  readonly leftOver: readonly string[];
};

/** How many jobs wait or run at once. */
const openJobs = 12;
const faultMs = 40_000;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const begunAt = Date.now();
  const chance = createChance(options.seed);
  const weather = createChance(options.seed + 1);
  const stage = await openStage({ random: () => weather.next() });
  const jobs: ChaosJob[] = [];
  const struck = new Map<string, number>();
  try {
    const strangers = await stage.foreign.seen();
    await stage.service.start();
    const enough = new AbortController();
    const storm = strikeUntil(enough.signal, { stage, chance: createChance(options.seed + 2), jobs, struck, say: options.say });
    await Promise.race([bringJobs(stage, jobs, chance, options, struck), storm]);
    enough.abort();
    await storm;
    options.say('the faults have stopped');
    const stillOpen = await atRest(stage, jobs);
    const verdict = await judge(stage.forgejo.control, jobs);
    const leftOver = [...(await leftOverOf(stage)), ...stillOpen, ...(await touchedOf(stage, strangers))];
    if (leftOver.length + Object.values(verdict).flat().length > 0) await explain(stage, options.say);
    return {
      jobs: jobs.length,
      attempts: jobs.reduce((sum, { handles }) => sum + handles.length, 0),
      faults: struck,
      requests: stage.proxy.struck(),
      seconds: (Date.now() - begunAt) / 1000,
      results: await resultsOf(stage, jobs),
      ...verdict,
      leftOver,
    };
  } catch (error) {
    options.say(String(error));
    await explain(stage, options.say);
    throw error;
  } finally {
    await stage.close();
  }
}

/** Queues jobs as others end, until there are enough, every kind of fault has struck and the time is over. */
async function bringJobs(
  { forgejo: { control }, service }: ChaosStage,
  jobs: ChaosJob[],
  chance: Chance,
  { jobs: wanted, minutes = 0 }: ChaosOptions,
  struck: ReadonlyMap<string, number>,
): Promise<void> {
  const until = Date.now() + minutes * 60_000;
  let lookedAt = 0;
  const allStruck = (): boolean => Object.keys(faults).every((kind) => struck.has(kind));
  while (jobs.length < wanted || Date.now() < until || !allStruck()) {
    if (Date.now() - lookedAt > 2_000) {
      // Frozen and killed for a moment it may be, but not for long, and never for good.
      await service.until('the service answers', () => true, 120_000);
      lookedAt = Date.now();
    }
    const open = (await control.jobs()).filter((job) => !isDone(job)).length;
    if (open < openJobs) jobs.push(await queueJob(control, planOf(jobs.length, chance)));
    else await sleep(50);
  }
}

type Storm = {
  readonly stage: ChaosStage;
  readonly chance: Chance;
  readonly jobs: readonly ChaosJob[];
  readonly struck: Map<string, number>;
  readonly say: (line: string) => void;
};

/** One fault after another from a shuffled deck of all kinds, now and then with a kill of the controller into the middle of it. */
async function strikeUntil(signal: AbortSignal, { struck, say, ...input }: Storm): Promise<void> {
  const { chance } = input;
  let deck: string[] = [];
  // What finds nothing to strike waits for the service to have something: on a slow host kills would keep it from ever coming up.
  let found = true;
  const strike = async (kind: string): Promise<void> => {
    const begunAt = Date.now();
    say(`${new Date(begunAt).toISOString().slice(11, 23)} ${kind} begins`);
    found = await inTime(kind, faults[kind]?.({ ...input, say }));
    if (!found) return void deck.unshift(kind);
    struck.set(kind, (struck.get(kind) ?? 0) + 1);
    say(`${new Date(begunAt).toISOString().slice(11, 23)} ${kind} (${Date.now() - begunAt} ms)`);
  };
  while (!signal.aborted) {
    if (deck.length === 0) deck = shuffled(Object.keys(faults), chance);
    const kind = deck.pop() ?? '';
    const kill = chance.hit(0.25) && found ? sleep(chance.between(0, 800)).then(() => strike('kill-controller')) : undefined;
    await strike(kind);
    await kill;
    await sleep(chance.between(50, 900), undefined, { signal }).catch(() => undefined);
  }
}

/** A fault that does not come back has broken the host itself: better said than waited for. */
async function inTime(kind: string, fault: Promise<boolean> | undefined): Promise<boolean> {
  const over = new AbortController();
  const late = sleep(faultMs, undefined, { signal: over.signal }).then(async () => {
    throw new Error(`the fault ${kind} did not end in ${faultMs} ms: ${await sh('ps', '-eo', 'pid,ppid,stat,wchan:20,etimes,args')}`);
  });
  late.catch(() => undefined);
  try {
    return (await Promise.race([fault, late])) ?? false;
  } finally {
    over.abort();
  }
}

function shuffled(items: readonly string[], chance: Chance): string[] {
  return items
    .map((item) => ({ item, at: chance.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

async function resultsOf({ forgejo: { control } }: ChaosStage, jobs: readonly ChaosJob[]): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const { jobId, struck } of jobs) {
    const { status } = await control.job(jobId);
    const name = struck.length === 0 ? status : `struck ${status}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

async function explain({ service }: ChaosStage, say: (line: string) => void): Promise<void> {
  const lines = await service.log();
  for (const line of lines) say(JSON.stringify(line));
}
