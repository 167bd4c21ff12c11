// Promises one seeded run of the whole loop against a world of faults, delays and crashes, and its verdict. The same seed gives the same
// run. Most seeds are a storm and the calm after it; a few kill the controller at every single call of a short run.

import { aMinima, createController, jobClockMs, maxConcurrent, type Controller } from './controller.ts';
import { deathPlaces, type DeathPlace, type Stage } from './call.ts';
import { createForgeWorld, isOpen } from './forge-world.ts';
import { calmMs, createHostWorld, foreignMachine } from './host-world.ts';
import { createJudge } from './judge.ts';
import { createChance, createSchedule } from './schedule.ts';
import { stir } from './storm.ts';
import { createWeather } from './weather.ts';
import { mergedOf, type Tally, type Verdict } from './verdict.ts';
import { aProfile } from '../support/build.ts';

type Trace = ((line: string) => void) | undefined;

/** One seed in so many kills the controller at every call. */
export const sweepEvery = 400;
/** More ticks than this after the last fault are not "soon clean". */
const calmTicks = 1_000;

export function simulate(seed: number, trace?: (line: string) => void): Promise<Verdict> {
  return seed % sweepEvery === 0 ? sweep(seed, trace) : runStorm(seed, trace);
}

export type Scene = {
  readonly seed: number;
  readonly controllers: number;
  readonly rough: boolean;
  readonly lengthMs: number;
  /** Kills the controller at this call, counted from 1. */
  readonly death?: { readonly call: number; readonly place: DeathPlace };
  /** What happens while the storm lasts. */
  readonly script: (stage: Stage, controllers: readonly Controller[]) => void;
};

function runStorm(seed: number, trace: Trace): Promise<Verdict> {
  const chance = createChance(seed ^ 0x5eed);
  const lengthMs = chance.pick([40_000, 60_000, 90_000]);
  const controllers = chance.hit(0.08) ? 2 : 1;
  const script: Scene['script'] = (stage, all) => stir({ stage, controllers: all, lengthMs });
  return runScene({ seed, controllers, rough: true, lengthMs, script }, trace).then(({ verdict }) => verdict);
}

/** A short run once to count its calls, then once for each call and each place in it. */
async function sweep(seed: number, trace: Trace): Promise<Verdict> {
  const scene: Scene = {
    seed,
    controllers: 1,
    rough: false,
    lengthMs: 12_000,
    script({ schedule, chance, forge, host }, [controller]) {
      const jobs = [1, 2].map((repositoryId) => forge.queue({ repositoryId, lengthMs: chance.between(500, 6_000), labels: ['debian'] }));
      const [first, second] = jobs;
      schedule.after(300, () => controller?.dispatch({ labels: ['debian'], count: 1, ttlMs: 9_000 }));
      const turn = chance.pick(['none', 'cancel', 'strike', 'poach']);
      schedule.after(chance.between(500, 4_000), () => {
        if (turn === 'cancel' && first !== undefined) forge.cancel(first);
        if (turn === 'poach' && second !== undefined) forge.poach(second);
        const machine = [...host.machines.values()].find(({ owner }) => owner !== '');
        if (turn === 'strike' && machine !== undefined) host.strike(machine.spec.id, chance.hit(0.5));
      });
    },
  };
  const whole = await runScene(scene, trace);
  const verdicts = [whole.verdict];
  for (let call = 1; call <= whole.calls; call += 1) {
    for (const place of deathPlaces) {
      trace?.(`--- killed at call ${call} of ${whole.calls}, ${place}`);
      verdicts.push((await runScene({ ...scene, death: { call, place } }, trace)).verdict);
    }
  }
  return mergedOf(seed, verdicts);
}

export async function runScene(scene: Scene, trace?: Trace): Promise<{ readonly verdict: Verdict; readonly calls: number }> {
  const { seed, lengthMs } = scene;
  const { stage, tally, calls } = createStage(scene, trace);
  const { schedule, chance, forge, weather } = stage;
  const startedAt = schedule.now();
  const pollIntervalMs = chance.pick([1_000, 2_000, 5_000]);
  const minima = aMinima(chance);
  const names = ['main', 'other'].slice(0, scene.controllers);
  const controllers = names.map((name) => createController(stage, name, pollIntervalMs, minima));
  const ticks = (): number => controllers.reduce((sum, each) => sum + each.ticks(), 0);
  const bug = (): boolean => controllers.some((each) => each.bug() !== undefined);
  const clean = (): boolean => forge.open() === 0 && leftOver(stage, controllers).length === 0 && coldOf(stage, controllers).length === 0;
  for (const controller of controllers) controller.start();
  scene.script(stage, controllers);
  await schedule.run(startedAt + lengthMs, bug);
  weather.calm();
  for (const controller of controllers) if (!controller.alive()) controller.start();
  stage.trace?.('world the storm is over');
  const before = ticks();
  const until = schedule.now() + calmMs;
  // A reply that was slow in the storm may still set something off: clean is what stays clean.
  do {
    await schedule.run(until, () => bug() || clean());
    await schedule.run(schedule.now() + 3_000, bug);
  } while (!bug() && !clean() && schedule.now() < until);
  const needed = ticks() - before;
  const late = needed > calmTicks * controllers.length ? [`${needed} ticks until the world was clean`] : [];
  const died = controllers.flatMap((each) => each.bug() ?? []).map((stack) => `the process died: ${stack}`);
  const verdict: Verdict = {
    seed,
    ticks: ticks(),
    crashes: controllers.reduce((sum, each) => sum + each.crashes(), 0),
    faults: tally,
    jobs: forge.jobs.size,
    lost: [...forge.jobs.values()].filter(isOpen).map(({ job, state }) => `${job.handle} is ${state}`),
    doubled: stage.judge.doubled,
    wronglyStopped: stage.judge.wronglyStopped,
    leftOver: leftOver(stage, controllers),
    broken: [...stage.judge.broken, ...coldOf(stage, controllers), ...late, ...died],
  };
  return { verdict, calls: calls() };
}

function createStage(scene: Scene, trace: Trace): { readonly stage: Stage; readonly tally: Tally; readonly calls: () => number } {
  const { seed, death } = scene;
  const chance = createChance(seed);
  const schedule = createSchedule();
  const startedAt = schedule.now();
  const judge = createJudge(schedule.now, jobClockMs);
  const forge = createForgeWorld(schedule, judge);
  const weather = createWeather(schedule, chance, scene.rough, forge.isUp);
  const host = createHostWorld(schedule, chance, forge, judge, { maxConcurrent, oddity: weather.oddity });
  const tally: Tally = new Map();
  let calls = 0;
  const deathAt = (): DeathPlace | undefined => {
    calls += 1;
    if (death !== undefined) return calls === death.call ? death.place : undefined;
    return chance.hit(weather.odds.death) ? chance.pick(deathPlaces) : undefined;
  };
  const told =
    trace === undefined
      ? undefined
      : (line: string): void => trace(`${((schedule.now() - startedAt) / 1_000).toFixed(3).padStart(9)} ${line}`);
  const stage: Stage = { forge, host, judge, schedule, chance, weather, tally, deathAt, trace: told };
  host.boot('', { id: foreignMachine, slot: -7, profile: aProfile(), runtimeMaxMs: 0 });
  const { id } = forge.register('office', 'mine');
  const office = forge.registrations.get(id);
  if (office !== undefined) forge.registrations.set(id, { ...office, ephemeral: false });
  return { stage, tally, calls: () => calls };
}

/** Machines of a controller that wait for jobs. */
function warmOf({ host }: Stage, { post }: Controller): ReadonlySet<string> {
  return new Set(host.warm(post.name, (id) => post.records.has(id)).map(({ spec }) => spec.id));
}

/** Controllers for which not as many machines wait as are to. */
function coldOf(stage: Stage, controllers: readonly Controller[]): string[] {
  return controllers.flatMap((each) => {
    const [there, wanted] = [warmOf(stage, each).size, each.warm()];
    return there === wanted ? [] : [`${there} machines wait for jobs of ${each.post.name}, and ${wanted} are to`];
  });
}

/** What is there of ours, but for machines that wait for jobs; also what is not there of others. */
function leftOver(stage: Stage, controllers: readonly Controller[]): string[] {
  const { forge, host } = stage;
  const waiting = new Set(controllers.flatMap((each) => [...warmOf(stage, each)]));
  return [
    ...[...host.machines].filter(([id, { owner }]) => owner !== '' && !waiting.has(id)).map(([id]) => `machine ${id}`),
    ...[...forge.registrations.values()].filter(({ name }) => name !== 'office').map(({ name }) => `registration ${name}`),
    ...controllers.flatMap(({ post }) => [...post.records.keys()].map((id) => `record ${id} of ${post.name}`)),
    ...(host.machines.has(foreignMachine) ? [] : ['I6 the machine of somebody else is gone']),
    ...([...forge.registrations.values()].some(({ name }) => name === 'office') ? [] : ['I6 the registration of somebody else is gone']),
  ];
}
