// Promises the real reconciler as a process that can be killed and started again on the same records.

import type { DispatchWish } from '../../src/core/dispatched.ts';
import type { Policy, Profile } from '../../src/core/model.ts';
import type { Log } from '../../src/log.ts';
import { createReconciler, type Reconciler } from '../../src/reconciler/reconciler.ts';
import { aPolicy, aProfile } from '../support/build.ts';
import type { Incarnation, Stage } from './call.ts';
import type { Chance } from './schedule.ts';
import { createPorts, type Post } from './ports.ts';

export type Controller = {
  readonly post: Post;
  start(): void;
  /** The configuration is read again: other numbers of machines that wait. */
  rewarm(minima: Minima): void;
  /** How many machines wait for jobs when all is well. */
  warm(): number;
  /** Somebody asks for runners that take whatever job comes. */
  dispatch(wish: DispatchWish): void;
  kill(where: string): void;
  ticks(): number;
  crashes(): number;
  /** What ended the process although nobody killed it. */
  bug(): string | undefined;
  alive(): boolean;
};

/** Machines that wait for jobs, by profile; 0 is none. */
export type Minima = { readonly default: number; readonly big: number };

/** Half of the worlds keep no machine warm. */
export function aMinima(chance: Chance): Minima {
  return chance.hit(0.5) ? { default: 0, big: 0 } : { default: chance.between(0, 2), big: chance.between(0, 2) };
}

export const jobClockMs = 60_000;
export const maxConcurrent = 4;
const timeouts = { startMs: 30_000, pickMs: 15_000, jobMs: jobClockMs, stopMs: 5_000 };
const maintenanceMs = 20_000;
const warmMaxAgeMs = 30_000;

function warmOf(min: number): Pick<Profile, 'warm'> {
  return min === 0 ? {} : { warm: { min, maxAgeMs: warmMaxAgeMs } };
}

export function createController(stage: Stage, name: string, pollIntervalMs: number, minima: Minima): Controller {
  const { schedule, chance } = stage;
  let kept = minima;
  const policyOf = (): Policy =>
    aPolicy({
      controllerId: name,
      description: `forgejo-runner-controller ${name}@host`,
      maxConcurrent,
      slots: 6,
      dispatch: { labels: ['debian', 'big'] },
      profiles: [
        aProfile({ timeouts, max: 3, ...warmOf(kept.default) }),
        aProfile({ name: 'big', timeouts, labels: ['debian', 'big'], ...warmOf(kept.big) }),
      ],
    });
  const post: Post = { name, description: policyOf().description, maxConcurrent, records: new Map(), late: new Set(), returned: new Set() };
  const trace = stage.trace === undefined ? undefined : (line: string): void => stage.trace?.(`${name.padEnd(5)} ${line}`);
  const log = logTo(trace);
  let self: Incarnation = { alive: false, kill: () => {} };
  let ticks = 0;
  let current: (() => number) | undefined;
  let reload: (() => void) | undefined;
  let order: ((wish: DispatchWish) => void) | undefined;
  let crashes = 0;
  let bug: string | undefined;

  function start(): void {
    const mine: Incarnation = { alive: true, kill };
    self = mine;
    const { forge, driver, store } = createPorts(stage, post, mine);
    const forges = [{ forge, url: 'http://forge.test', pollIntervalMs }];
    const reconciler = createReconciler({
      forges,
      driver,
      store,
      records: [...post.records.values()],
      quarantined: [],
      policy: policyOf(),
      clock: schedule.clockFor(() => mine.alive),
      log,
      random: () => chance.next(),
      version: '0',
      maxActions: 8,
    });
    current = () => reconciler.snapshot().ticks;
    reload = () => mine.alive && reconciler.configure({ forges, policy: policyOf() });
    order = (wish) => {
      if (!mine.alive) return;
      void promised(reconciler.dispatch(wish, 'somebody'), mine);
    };
    trace?.('starts');
    reconciler.run(new AbortController().signal).catch((error: unknown) => {
      bug = error instanceof Error ? (error.stack ?? error.message) : String(error);
    });
    const maintain = (): void => {
      if (!mine.alive) return;
      reconciler.maintain();
      schedule.after(maintenanceMs, maintain);
    };
    schedule.after(maintenanceMs, maintain);
  }

  /** A process that was killed promises nothing. */
  async function promised(answering: ReturnType<Reconciler['dispatch']>, mine: Incarnation): Promise<void> {
    const answer = await answering;
    if (!mine.alive || 'mistake' in answer) return;
    for (const { id } of answer.runners)
      if (!post.records.has(id)) stage.judge.broken.push(`I1 ${id} was promised to whoever asked for it, without a record`);
  }

  function kill(where: string): void {
    if (!self.alive) return;
    self.alive = false;
    crashes += 1;
    ticks += current?.() ?? 0;
    trace?.(`is killed ${where}`);
    schedule.after(chance.between(10, 8_000), () => self.alive || start());
  }

  return {
    post,
    start,
    rewarm(wanted) {
      kept = wanted;
      reload?.();
    },
    dispatch: (wish) => order?.(wish),
    warm: () => Math.min(kept.default, 3) + kept.big,
    kill,
    ticks: () => ticks + (self.alive ? (current?.() ?? 0) : 0),
    crashes: () => crashes,
    bug: () => bug,
    alive: () => self.alive,
  };
}

function silent(): void {}

function logTo(trace: ((line: string) => void) | undefined): Log {
  if (trace === undefined) return { debug: silent, info: silent, warn: silent, error: silent, conceal: silent };
  const at =
    (level: string) =>
    (event: string, facts: Readonly<Record<string, unknown>> = {}, message = ''): void => {
      const { runner, job, action, reason, slot, error } = facts;
      const said = Object.entries({ runner, job, action, reason, slot }).filter(([, value]) => value !== undefined);
      const cause = error instanceof Error ? error.message : '';
      trace(`${level} ${event.padEnd(9)} ${said.map(([key, value]) => `${key} ${String(value)}`).join(', ')} ${message}${cause}`.trimEnd());
    };
  return { debug: silent, info: at('     '), warn: at('warn '), error: at('error'), conceal: silent };
}
