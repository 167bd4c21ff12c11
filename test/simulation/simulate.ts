// Promises one seeded run of the whole loop against a world of faults, delays and crashes, and its verdict: what was lost, stopped wrongly,
// broken or left over. The same seed gives the same run.

import type { Log } from '../../src/log.ts';
import { createReconciler } from '../../src/reconciler/reconciler.ts';
import { aPolicy, aProfile } from '../support/build.ts';
import { createPorts, type Incarnation, type Surroundings, type Weather } from './ports.ts';
import { createChance, createSchedule, type Chance, type Schedule } from './schedule.ts';
import type { Tally, Verdict } from './verdict.ts';
import { createWorld, foreignMachine, type SimJob, type SimWorld } from './world.ts';

const stormMs = 120_000;
/** Longest honest way to a clean world: the last back-off, a job clock, its stop and retries at their cap. */
const calmMs = 1_500_000;
const jobClockMs = 120_000;
const maxConcurrent = 4;

export async function simulate(seed: number, trace?: (line: string) => void): Promise<Verdict> {
  const chance = createChance(seed);
  const schedule = createSchedule();
  const world = createWorld(schedule, chance, { jobClockMs, maxConcurrent });
  const weather: Weather = {
    failure: chance.pick([0, 0.02, 0.1, 0.3]),
    forgeDown: false,
    diskFull: false,
    stale: chance.pick([0, 0, 0.1]),
  };
  const tally: Tally = new Map();
  const startedAt = schedule.now();
  const told = trace === undefined ? undefined : (line: string): void => trace(`${String(schedule.now() - startedAt).padStart(8)} ${line}`);
  const surroundings: Surroundings = { world, schedule, chance, weather, tally, trace: told };
  plantForeign(world, schedule.now());
  const controller = createController(surroundings);
  controller.start();
  stir(surroundings, controller);
  await schedule.run(startedAt + stormMs, () => controller.bug() !== undefined);
  calm(weather, controller);
  told?.('the storm is over');
  await schedule.run(
    startedAt + stormMs + calmMs,
    () => controller.bug() !== undefined || (isClean(world) && jobsOpen(world).length === 0),
  );
  const bug = controller.bug();
  return {
    seed,
    ticks: controller.ticks(),
    crashes: controller.crashes(),
    faults: tally,
    jobs: world.jobs.size,
    lost: jobsOpen(world),
    doubled: world.faults.doubled,
    wronglyStopped: world.faults.wronglyStopped,
    leftOver: leftOver(world),
    broken: bug === undefined ? world.faults.broken : [...world.faults.broken, `the process died: ${bug}`],
  };
}

/** A job that ran when its machine was struck down is failed by the forge after its own time-out; it counts as ended here. */
function jobsOpen(world: SimWorld): string[] {
  return [...world.jobs.values()]
    .filter((job) => job.state === 'waiting' || (job.state === 'running' && isWorkedOn(world, job)))
    .map(({ job }) => job.handle);
}

function isWorkedOn(world: SimWorld, job: SimJob): boolean {
  return [...world.machines.values()].some((machine) => machine.handle === job.job.handle && machine.exit === undefined);
}

function leftOver(world: SimWorld): string[] {
  return [
    ...[...world.machines.keys()].filter((id) => id !== foreignMachine).map((id) => `machine ${id}`),
    ...[...world.registrations.values()]
      .filter(({ name, task }) => name !== 'office' && !isZombie(world, task))
      .map(({ name }) => `registration ${name}`),
    ...[...world.records.keys()].map((id) => `record ${id}`),
  ];
}

function isZombie(world: SimWorld, task: string | undefined): boolean {
  const job = task === undefined ? undefined : world.jobs.get(task);
  return job?.state === 'running' && !isWorkedOn(world, job);
}

function isClean(world: SimWorld): boolean {
  return leftOver(world).length === 0;
}

function plantForeign(world: SimWorld, now: number): void {
  const profile = aProfile();
  const spec = { id: foreignMachine, slot: -7, profile, runtimeMaxMs: 0 };
  world.machines.set(foreignMachine, {
    spec,
    startedAt: now,
    boot: now,
    ready: true,
    assignment: undefined,
    handle: undefined,
    exit: undefined,
  });
  world.registrations.set(0, {
    id: 0,
    uuid: 'uuid-0',
    name: 'office',
    description: 'mine',
    ephemeral: false,
    status: 'idle',
    token: 'x',
    active: false,
    task: undefined,
  });
}

type Controller = {
  start(): void;
  kill(): void;
  ticks(): number;
  crashes(): number;
  bug(): string | undefined;
  alive(): boolean;
};

function createController(surroundings: Surroundings): Controller {
  const { schedule, chance, world, trace } = surroundings;
  let self: Incarnation = { alive: false };
  let ticksBefore = 0;
  let current: (() => number) | undefined;
  let crashes = 0;
  let bug: string | undefined;
  return {
    start() {
      const mine: Incarnation = { alive: true };
      self = mine;
      const { forge, driver, store } = createPorts(surroundings, mine);
      const reconciler = createReconciler({
        forges: [{ forge, url: 'http://forge.test', pollIntervalMs: 2_000 }],
        driver,
        store,
        records: [...world.records.values()],
        quarantined: [],
        policy: policy(),
        clock: schedule.clockFor(() => mine.alive),
        log: logTo(trace),
        random: () => chance.next(),
        version: '0',
        maxActions: 8,
      });
      current = () => reconciler.snapshot().ticks;
      trace?.('the controller starts');
      reconciler.run(new AbortController().signal).catch((error: unknown) => {
        bug = error instanceof Error ? error.stack : String(error);
      });
      const maintain = (): void => {
        if (!mine.alive) return;
        reconciler.maintain();
        schedule.after(60_000, maintain);
      };
      schedule.after(60_000, maintain);
    },
    kill() {
      if (!self.alive) return;
      self.alive = false;
      crashes += 1;
      ticksBefore += current?.() ?? 0;
      trace?.('the controller is killed');
    },
    ticks: () => ticksBefore + (self.alive ? (current?.() ?? 0) : 0),
    crashes: () => crashes,
    bug: () => bug,
    alive: () => self.alive,
  };
}

function policy() {
  const timeouts = { startMs: 60_000, pickMs: 30_000, jobMs: jobClockMs, stopMs: 5_000 };
  const profiles = [aProfile({ timeouts, labels: ['debian'], max: 3 }), aProfile({ name: 'big', timeouts, labels: ['debian', 'big'] })];
  return { ...aPolicy({ maxConcurrent, profiles, slots: 6 }) };
}

function logTo(trace: ((line: string) => void) | undefined): Log {
  if (trace === undefined) return { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, conceal: () => {} };
  const at =
    (level: string) =>
    (event: string, facts: Readonly<Record<string, unknown>> = {}, message = ''): void => {
      const { runner = '', reason = '', action = '', job = '' } = facts;
      trace(`  ${level} ${event} ${[runner, action, reason, job].map(String).join(' ').trim()} ${message}`);
    };
  return { debug: () => {}, info: at('info'), warn: at('warn'), error: at('error'), conceal: () => {} };
}

/** Fills four minutes with work and trouble. */
function stir(surroundings: Surroundings, controller: Controller): void {
  const { schedule, chance, world, weather, tally, trace } = surroundings;
  const at = (count: number, what: string, happen: () => void): void => {
    for (let n = 0; n < count; n += 1) {
      schedule.after(chance.between(0, stormMs - 10_000), () => {
        if (what !== 'queue') tally.set(what, (tally.get(what) ?? 0) + 1);
        trace?.(what);
        happen();
      });
    }
  };
  at(chance.between(1, 14), 'queue', () => world.queue(aWish(chance)));
  at(chance.between(0, 3), 'cancel', () => withJob(world, chance, (job) => world.cancel(job)));
  at(chance.between(0, 2), 'rerun', () => withJob(world, chance, (job) => isOver(job) && world.rerun(job)));
  at(chance.between(0, 2), 'strike', () => withMachine(world, chance, (id) => world.strike(id)));
  at(chance.hit(0.15) ? 1 : 0, 'reboot', () => reboot(surroundings, controller));
  at(chance.between(0, 5), 'crash', () => crash(surroundings, controller));
  at(chance.hit(0.3) ? 1 : 0, 'forge outage', () => lasting(schedule, chance, (on) => (weather.forgeDown = on)));
  at(chance.hit(0.2) ? 1 : 0, 'disk full', () => lasting(schedule, chance, (on) => (weather.diskFull = on)));
  at(chance.hit(0.15) ? 1 : 0, 'records lost', () => loseRecords(surroundings, controller));
}

function aWish(chance: Chance) {
  const group = chance.hit(0.2) ? { group: `g${chance.between(1, 2)}` } : {};
  const lengthMs = chance.hit(0.1) ? 300_000 : chance.between(100, 40_000);
  return { repositoryId: chance.between(1, 3), lengthMs, labels: chance.pick([['debian'], ['debian'], ['big']]), ...group };
}

function crash({ schedule, chance }: Surroundings, controller: Controller): void {
  if (!controller.alive()) return;
  controller.kill();
  schedule.after(chance.between(10, 8_000), () => controller.alive() || controller.start());
}

function reboot(surroundings: Surroundings, controller: Controller): void {
  surroundings.world.reboot();
  crash(surroundings, controller);
}

/** As if somebody emptied the folder of the records while the service was down. */
function loseRecords(surroundings: Surroundings, controller: Controller): void {
  crash(surroundings, controller);
  surroundings.world.records.clear();
}

function lasting(schedule: Schedule, chance: Chance, turn: (on: boolean) => void): void {
  turn(true);
  schedule.after(chance.between(1_000, 60_000), () => turn(false));
}

function calm(weather: Weather, controller: Controller): void {
  Object.assign(weather, { failure: 0, forgeDown: false, diskFull: false, stale: 0 });
  if (!controller.alive()) controller.start();
}

function withJob(world: SimWorld, chance: Chance, act: (job: SimJob) => unknown): void {
  if (world.jobs.size > 0) act(chance.pick([...world.jobs.values()]));
}

function withMachine(world: SimWorld, chance: Chance, act: (id: string) => void): void {
  const ids = [...world.machines.keys()].filter((id) => id !== foreignMachine);
  if (ids.length > 0) act(chance.pick(ids));
}

function isOver(job: SimJob): boolean {
  return job.state !== 'waiting' && job.state !== 'running';
}
