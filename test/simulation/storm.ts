// Promises what happens to a world while the storm lasts: work arrives, people cancel and rerun, and everything fails that can.

import type { DispatchWish } from '../../src/core/dispatched.ts';
import type { Stage } from './call.ts';
import { aMinima, type Controller } from './controller.ts';
import { isOpen, type SimJob, type Wish } from './forge-world.ts';
import type { Chance } from './schedule.ts';
import type { Spell } from './weather.ts';

type Storm = { readonly stage: Stage; readonly controllers: readonly Controller[]; readonly lengthMs: number };

/** Spreads everything over the storm. */
export function stir(storm: Storm): void {
  const { stage, controllers } = storm;
  const { chance, forge, host } = stage;
  const at = (count: number, what: string, happen: () => void): void => {
    for (let n = 0; n < count; n += 1) happenAt(storm, what, happen);
  };
  const few = (probability: number, most = 1): number => (chance.hit(probability) ? chance.between(1, most) : 0);
  at(chance.between(1, 12), 'queue', () => forge.queue(aWish(stage)));
  at(chance.between(0, 3), 'cancel', () => withJob(stage, isOpen, (job) => forge.cancel(job)));
  at(few(0.4, 2), 'cancel while it runs', () => withJob(stage, isWorked, (job) => forge.cancel(job)));
  at(chance.between(0, 2), 'rerun', () =>
    withJob(
      stage,
      (job) => !isOpen(job),
      (job) => forge.rerun(job),
    ),
  );
  at(few(0.3, 3), 'taken by another runner', () => withJob(stage, isOpen, (job) => forge.poach(job)));
  at(few(0.5, 2), 'machine killed', () => withMachine(stage, (id) => host.strike(id, false)));
  at(few(0.3, 2), 'machine ends in silence', () => withMachine(stage, (id) => host.strike(id, true)));
  at(few(0.3, 2), 'waiting machine killed', () => withWaiting(storm));
  at(few(0.2, 2), 'template changed', () => host.renew());
  at(few(0.2, 2), 'other numbers of warm machines', () => chance.pick(controllers).rewarm(aMinima(chance)));
  at(few(0.5, 3), 'runners dispatched', () => chance.pick(controllers).dispatch(aDispatch(chance)));
  at(few(0.12), 'reboot', () => reboot(storm));
  at(few(0.6, 4), 'controller killed', () => chance.pick(controllers).kill(''));
  at(few(0.12), 'records lost', () => loseRecords(storm));
  at(few(0.3, 2), 'forge restarts', () => forge.goDown(chance.between(500, 30_000)));
  at(few(0.01), 'forge gone for long', () => forge.goDown(200_000));
  at(few(0.25, 2), 'repository out of sight', () => forge.hide(chance.between(1, 3), chance.between(1_000, 40_000)));
  at(few(0.3, 2), 'clock set', () => stage.schedule.setWall(chance.pick([-1, 1]) * chance.between(1_000, 100_000_000)));
  for (const [spell, probability, longestMs] of spells) {
    at(few(probability), spell, () => stage.weather.cast(spell, chance.between(500, longestMs)));
  }
}

const spells: readonly (readonly [spell: Spell, probability: number, longestMs: number])[] = [
  ['token revoked', 0.15, 30_000],
  ['throttled', 0.15, 20_000],
  ['another shape', 0.1, 20_000],
  ['lists empty', 0.15, 5_000],
  ['disk full', 0.2, 40_000],
  ['host unlistable', 0.2, 30_000],
  ['host full', 0.15, 30_000],
];

function happenAt({ stage, lengthMs }: Storm, what: string, happen: () => void): void {
  const { schedule, chance, tally, trace } = stage;
  schedule.after(chance.between(0, lengthMs - 5_000), () => {
    if (what !== 'queue') tally.set(what, (tally.get(what) ?? 0) + 1);
    trace?.(`world ${what}`);
    happen();
  });
}

function aWish({ chance }: Stage): Wish {
  const group = chance.hit(0.2) ? { group: `g${chance.between(1, 2)}` } : {};
  const lengthMs = chance.hit(0.08) ? 90_000 : chance.between(100, 25_000);
  return { repositoryId: chance.between(1, 3), lengthMs, labels: chance.pick([['debian'], ['debian'], ['big']]), ...group };
}

function aDispatch(chance: Chance): DispatchWish {
  const labels = chance.pick([['debian'], ['debian', 'big']]);
  return { labels, count: chance.between(1, 3), ttlMs: chance.between(2_000, 70_000) };
}

function reboot({ stage, controllers }: Storm): void {
  stage.host.reboot();
  for (const controller of controllers) controller.kill('with its host');
}

/** As if somebody emptied the folder of the records while the service was down. */
function loseRecords({ stage, controllers }: Storm): void {
  const controller = stage.chance.pick(controllers);
  controller.kill('and its records are lost');
  for (const { id, job, machine } of controller.post.records.values()) {
    // Of one that was dispatched the record may not say which job it has, and its machine may have gone.
    const registration = [...stage.forge.registrations.values()].find(({ name }) => name === id);
    const lost = stage.forge.jobs.get(job.handle) ?? stage.host.machines.get(machine)?.job ?? registration?.job;
    stage.host.lost.add(machine);
    if (lost !== undefined) lost.orphaned = true;
  }
  controller.post.records.clear();
}

function withJob({ forge, chance }: Stage, fits: (job: SimJob) => boolean, act: (job: SimJob) => void): void {
  const jobs = [...forge.jobs.values()].filter(fits);
  if (jobs.length > 0) act(chance.pick(jobs));
}

function isWorked(job: SimJob): boolean {
  return job.state === 'running' && job.worked;
}

function withWaiting({ stage: { host, chance }, controllers }: Storm): void {
  const ids = controllers.flatMap(({ post }) => host.warm(post.name, (id) => post.records.has(id)).map(({ spec }) => spec.id));
  if (ids.length > 0) host.strike(chance.pick(ids), false);
}

function withMachine({ host, chance }: Stage, act: (id: string) => void): void {
  const ids = [...host.machines].filter(([, { owner }]) => owner !== '').map(([id]) => id);
  if (ids.length > 0) act(chance.pick(ids));
}
