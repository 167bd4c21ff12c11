// Promises the loop: observe, plan, act, level-triggered, ticks never overlapping. Polls, exits, HTTP and cron only wake it. A failed step
// changes only when it is tried again and is said in the snapshot; a bug ends the process, and the first tick after start repairs.

import type { DispatchAnswer, DispatchMistake, DispatchWish } from '../core/dispatched.ts';
import type { ForgeName, Policy, RunnerId, World } from '../core/model.ts';
import { isOurRegistration } from '../core/naming.ts';
import type { Snapshot } from '../core/snapshot.ts';
import { dispatch } from './dispatch.ts';
import { createLoop, halt, policyOf, wake, type Loop, type ReconcilerOptions, type Settings } from './loop.ts';
import { foresee, nextLookMs, preview, tick, type Foresight } from './tick.ts';
import { snapshotOf } from './view.ts';

export type { ReconcilerOptions, Settings } from './loop.ts';
export type { Foresight } from './tick.ts';

export type Reconciler = {
  /**
   * Ticks until the signal aborts, then waits (bounded) for the actions under way; or until a drain, or the end of everything, is through.
   * Rejects on a bug.
   */
  run(signal: AbortSignal): Promise<'stopped' | 'through'>;
  /** What it sees, registrations included, and would do now; does nothing. */
  foresee(): Promise<Foresight>;
  /** The same while it runs, without polling a forge; asked again before the answer is there, it is the same answer. */
  preview(registrations: boolean): Promise<Foresight>;
  /** One tick; the actions it starts go on after it resolves. */
  tick(): Promise<void>;
  /** Resolves when no action is under way. */
  settled(): Promise<void>;
  /** Look again soon; `poll`: and ask the forges. */
  wake(poll?: boolean): void;
  /** A webhook of that forge came: it is asked soon. */
  kick(forge: ForgeName): void;
  /** At the next tick: read registrations, audit artefacts, check forges. */
  maintain(): void;
  /** Other forges, profiles and limits from the next tick on. Running machines are left alone. */
  configure(settings: Settings): void;
  /**
   * Starts nothing more, and ends run() when nothing of ours is left; false: takes it back. `by` says who asked, for the log. Returns whether
   * that changed anything.
   */
  drain(on: boolean, by: string): boolean;
  /** Ends that runner at the next tick, whatever it does. False: it is asked already, or there is none. */
  stop(id: RunnerId): boolean;
  /** Starts runners that take whatever job comes; resolves when their records are safe, or with why nothing of it can ever be. */
  dispatch(wish: DispatchWish, by: string): Promise<DispatchAnswer | DispatchMistake>;
  snapshot(): Snapshot;
};

/** How long the end of the service waits for actions; what is cut short, the next start's first tick resumes. */
const detachMs = 10_000;
const restCapMs = 200; // a tick may take a fifth of the time: a hundred actions that end one by one are not a hundred looks

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const loop = createLoop(options);
  return {
    run: (signal) => run(loop, signal),
    foresee: () => foresee(loop),
    preview: oneAtATime((registrations) => preview(loop, registrations)),
    tick: () => tick(loop),
    settled: () => loop.queue.settled(),
    wake(poll = false) {
      if (poll) for (const poller of loop.pollers.values()) poller.hurry();
      wake(loop);
    },
    kick(forge) {
      const poller = loop.pollers.get(forge);
      if (poller === undefined) return;
      const first = poller.status().lastWebhookAt === undefined;
      poller.kick(options.clock.now());
      if (first) options.log.info('webhook', { forge }, 'webhooks of the forge come; it is polled all the same');
      wake(loop);
    },
    maintain() {
      loop.maintenance = true;
      wake(loop);
    },
    configure(settings) {
      loop.next = settings;
      // A forge that is new is checked, and what its records left there is looked for.
      loop.maintenance = true;
      wake(loop);
    },
    drain: (on, by) => drain(loop, on, by),
    stop: (id) => stop(loop, id),
    dispatch: (wish, by) => dispatchIn(loop, wish, by),
    snapshot: () => snapshotOfLoop(loop),
  };
}

/** A look is shared by all who ask for one of its kind while it lasts. */
function oneAtATime(look: (registrations: boolean) => Promise<Foresight>): Reconciler['preview'] {
  const underWay = new Map<boolean, Promise<Foresight>>();
  return (registrations) => {
    const known = underWay.get(registrations);
    if (known !== undefined) return known;
    const begun = look(registrations).finally(() => underWay.delete(registrations));
    underWay.set(registrations, begun);
    return begun;
  };
}

function dispatchIn(loop: Loop, wish: DispatchWish, by: string): Promise<DispatchAnswer | DispatchMistake> {
  const { dispatch: memory, hands, condemned, forges } = loop;
  return dispatch({ memory, hands, policy: policyOf(loop), forges: [...forges.keys()], condemned, wake: () => wake(loop) }, wish, by);
}

function stop(loop: Loop, id: RunnerId): boolean {
  const runner = loop.hands.ledger.all().find((each) => each.id === id);
  if (runner === undefined || runner.stop !== undefined || loop.condemned.has(id)) return false;
  loop.condemned.add(id);
  wake(loop);
  return true;
}

function drain(loop: Loop, on: boolean, by: string): boolean {
  const { log, clock } = loop.options;
  const mode = on ? 'draining' : 'serving';
  // Whoever ends everything has said the last word.
  if (loop.mode === mode || loop.mode === 'ending') return false;
  loop.mode = mode;
  loop.drain = on ? { by, since: clock.now() } : undefined;
  if (on) log.info('drain', { by, left: leftOf(loop) }, 'nothing more is started; the service ends when nothing of ours is left');
  else log.info('resume', { by }, 'waiting jobs are started again');
  wake(loop);
  return true;
}

/** Machines and records of ours that are still there. */
function leftOf(loop: Loop): number {
  const machines = loop.world?.machines.state === 'known' ? loop.world.machines.value : [];
  const ids = loop.hands.ledger.all().map(({ machine }) => machine);
  return new Set([...ids, ...machines.map(({ id }) => id), ...loop.queue.ids()]).size;
}

/** Asked after a tick: whatever its plan began is under way or on record. */
function isThrough(loop: Loop): boolean {
  if (loop.mode === 'serving' || loop.world?.machines.state !== 'known' || leftOf(loop) > 0) return false;
  return loop.mode === 'draining' || unregisteredIn(loop.world, policyOf(loop));
}

/** Every forge was asked, and none lists a registration of ours. */
function unregisteredIn(world: World, policy: Policy): boolean {
  return [...world.registrations.values()].every(
    (reading) => reading.state === 'known' && !reading.value.some((registration) => isOurRegistration(registration, policy)),
  );
}

async function run(loop: Loop, signal: AbortSignal): Promise<'stopped' | 'through'> {
  const { clock, driver } = loop.options;
  void recall(loop);
  const unwatch = driver.watch(() => wake(loop));
  signal.addEventListener('abort', () => halt(loop));
  try {
    while (!signal.aborted && loop.bug === undefined) {
      loop.woken = false;
      loop.waker = new AbortController();
      await tick(loop);
      if (isThrough(loop)) break;
      const restMs = Math.min(restCapMs, 4 * (loop.tickMs ?? 0));
      if (restMs > 0) await clock.sleep(restMs, loop.stop.signal);
      if (!loop.woken && !loop.stop.signal.aborted) await clock.sleep(nextLookMs(loop), loop.waker.signal);
    }
  } finally {
    unwatch();
    loop.dispatch.close();
  }
  if (loop.bug !== undefined) throw loop.bug.error;
  loop.queue.close();
  if (signal.aborted)
    loop.options.log.info('ending', { by: String(signal.reason), underWay: loop.queue.ids().size }, 'steps under way are finished first');
  const patience = new AbortController();
  await Promise.race([loop.queue.settled(), clock.sleep(detachMs, patience.signal)]);
  patience.abort();
  loop.hands.ledger.close();
  return signal.aborted ? 'stopped' : 'through';
}

/** Beside the first ticks, for it is nothing that they need. */
async function recall(loop: Loop): Promise<void> {
  const { archive } = loop.options;
  if (archive !== undefined) loop.history.recall(await archive.recent());
}

function snapshotOfLoop(loop: Loop): Snapshot {
  const { options, history, auditor, hands } = loop;
  return snapshotOf({
    ...loop,
    draining: loop.mode !== 'serving',
    drain: loop.drain === undefined ? undefined : { ...loop.drain, left: leftOf(loop) },
    hostError: loop.hostError ?? auditor.hostFault(),
    controllerId: loop.settings.policy.controllerId,
    version: options.version,
    forges: loop.settings.forges,
    policy: policyOf(loop),
    runners: hands.ledger.all(),
    quarantined: options.quarantined,
    ended: history.ended,
    retries: history.retries,
    backOffs: history.backOffs.all(),
    leftovers: auditor.leftovers(),
    versions: auditor.versions,
    checks: auditor.faults,
  });
}
