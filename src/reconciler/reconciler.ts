// Promises the loop: observe, plan, act, level-triggered, ticks never overlapping. Polls, exits, HTTP and cron only wake it. A failed step
// changes only when it is tried again and is said in the snapshot; a bug ends the process, and the first tick after start repairs.

import type { Clock } from '../clock.ts';
import type { Absence, Action, Denial, ForgeName, Policy, Runner, RunnerId, World } from '../core/model.ts';
import { plan } from '../core/plan.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Driver } from '../driver/driver.ts';
import { isControllerError } from '../errors.ts';
import type { Forge } from '../forge/forge.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/store.ts';
import { act, createLedger, factsOf, type Hands } from './act.ts';
import { createAuditor, type Auditor } from './audit.ts';
import { createHerald, type Herald } from './herald.ts';
import { createHistory, type History } from './history.ts';
import { absencesAfter, observe, type Sources } from './observe.ts';
import { createPoller, type Poller } from './poller.ts';
import { createQueue, type Queue } from './queue.ts';
import { snapshotOf } from './view.ts';

export type ReconcilerOptions = {
  readonly forges: readonly { readonly forge: Forge; readonly url: string; readonly pollIntervalMs: number }[];
  readonly driver: Driver;
  readonly store: Store;
  readonly records: readonly Runner[];
  readonly quarantined: readonly string[];
  readonly policy: Omit<Policy, 'draining'>;
  readonly clock: Clock;
  readonly log: Log;
  /** 0..1, spreads retries. */
  readonly random: () => number;
  readonly version: string;
  /** How many actions may be under way at once. */
  readonly maxActions?: number;
};

export type Reconciler = {
  /** Ticks until the signal aborts, then waits (bounded) for the actions under way. Rejects on a bug. */
  run(signal: AbortSignal): Promise<void>;
  /** One tick; the actions it starts go on after it resolves. */
  tick(): Promise<void>;
  /** Resolves when no action is under way. */
  settled(): Promise<void>;
  /** Look again soon; `poll`: and ask the forges. */
  wake(poll?: boolean): void;
  /** At the next tick: read registrations, audit artefacts, check forges. */
  maintain(): void;
  drain(on: boolean): void;
  snapshot(): Snapshot;
};

/** With anything of ours alive, the clocks are looked at this often. */
const watchIntervalMs = 1_000;
const idleIntervalMs = 60_000;
/** How long the end of the service waits for actions; what is cut short, the next start's first tick resumes. */
const detachMs = 10_000;
const defaultMaxActions = 32;
const restCapMs = 200; // a tick may take a fifth of the time: a hundred actions that end one by one are not a hundred looks

/** The loop's parts and what changes between ticks. */
type Loop = {
  readonly options: ReconcilerOptions;
  readonly sources: Sources;
  readonly pollers: ReadonlyMap<ForgeName, Poller>;
  readonly hands: Hands;
  readonly queue: Queue;
  readonly history: History;
  readonly herald: Herald;
  readonly auditor: Auditor;
  readonly stop: AbortController;
  readonly startedAt: number;
  waker: AbortController;
  woken: boolean;
  bug: { readonly error: unknown } | undefined;
  world: World | undefined;
  denials: readonly Denial[];
  absences: Map<RunnerId, Absence & { readonly poll: number }>;
  hostError: Snapshot['host']['error'];
  lastSlot: number;
  draining: boolean;
  maintenance: boolean;
  ticks: number;
  tickAt: number | undefined;
  tickMs: number | undefined;
};

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const loop = createLoop(options);
  return {
    run: (signal) => run(loop, signal),
    tick: () => tick(loop),
    settled: () => loop.queue.settled(),
    wake(poll = false) {
      if (poll) for (const poller of loop.pollers.values()) poller.hurry();
      wake(loop);
    },
    maintain() {
      loop.maintenance = true;
      wake(loop);
    },
    drain(on) {
      loop.draining = on;
      wake(loop);
    },
    snapshot: () => snapshotOfLoop(loop),
  };
}

function createLoop(options: ReconcilerOptions): Loop {
  const { driver, clock, log, random } = options;
  const forges = options.forges.map(({ forge }) => forge);
  const pollers = new Map<ForgeName, Poller>(
    options.forges.map(({ forge, url, pollIntervalMs }) => [forge.name, createPoller(url, pollIntervalMs, random)]),
  );
  const ledger = createLedger(options.store, options.records);
  for (const { credentials } of options.records) if (credentials !== undefined) log.conceal(credentials.token);
  const byName = new Map(forges.map((forge) => [forge.name, forge]));
  const hands: Hands = { forges: byName, driver, ledger, clock, log, policy: () => policyOf(loop) };
  const queue = createQueue(options.maxActions ?? defaultMaxActions, {
    run: (action) => act(hands, action),
    done: (action) => concluded(loop, action),
    failed: (action, error) => failed(loop, action, error),
  });
  const loop: Loop = {
    options,
    sources: { forges, pollers, driver, clock },
    pollers,
    hands,
    queue,
    history: createHistory(random),
    herald: createHerald(log),
    auditor: createAuditor(driver, forges, clock, log),
    stop: new AbortController(),
    startedAt: clock.now(),
    waker: new AbortController(),
    woken: false,
    bug: undefined,
    world: undefined,
    denials: [],
    absences: new Map(),
    hostError: undefined,
    lastSlot: -1,
    draining: false,
    maintenance: true,
    ticks: 0,
    tickAt: undefined,
    tickMs: undefined,
  };
  return loop;
}

function policyOf(loop: Loop): Policy {
  return { ...loop.options.policy, draining: loop.draining };
}

function wake(loop: Loop): void {
  loop.woken = true;
  loop.waker.abort();
}

async function run(loop: Loop, signal: AbortSignal): Promise<void> {
  const { clock, driver } = loop.options;
  const unwatch = driver.watch(() => wake(loop));
  signal.addEventListener('abort', () => halt(loop));
  try {
    while (!signal.aborted && loop.bug === undefined) {
      loop.woken = false;
      loop.waker = new AbortController();
      await tick(loop);
      const restMs = Math.min(restCapMs, 4 * (loop.tickMs ?? 0));
      if (restMs > 0) await clock.sleep(restMs, loop.stop.signal);
      if (!loop.woken && !loop.stop.signal.aborted) await clock.sleep(nextLookMs(loop), loop.waker.signal);
    }
  } finally {
    unwatch();
  }
  if (loop.bug !== undefined) throw loop.bug.error;
  loop.queue.close();
  const patience = new AbortController();
  await Promise.race([loop.queue.settled(), clock.sleep(detachMs, patience.signal)]);
  patience.abort();
}

function halt(loop: Loop): void {
  loop.stop.abort();
  wake(loop);
}

function crash(loop: Loop, error: unknown): void {
  loop.bug ??= { error };
  halt(loop);
}

async function tick(loop: Loop): Promise<void> {
  const { queue, history, herald, hands } = loop;
  const begunAt = hands.clock.now();
  const maintenance = loop.maintenance;
  loop.maintenance = false;
  const inFlight = queue.ids();
  const memory = () => ({
    runners: hands.ledger.all(),
    backOffs: history.backOffs.all(),
    settled: history.settled,
    endings: history.endings,
    retries: history.retries,
    lastSlot: loop.lastSlot,
  });
  const seen = await observe(loop.sources, inFlight, memory, maintenance, loop.stop.signal);
  const now = hands.clock.now();
  loop.absences = absencesAfter(loop.absences, seen, now);
  const world = { ...seen, absences: loop.absences };
  loop.world = world;
  history.forget(world, now);
  noteHost(loop, world, now);
  const { actions, denials } = plan(world, policyOf(loop), now);
  loop.denials = denials;
  herald.forges(loop.pollers);
  herald.denials(denials);
  herald.registrations(world.registrations, policyOf(loop));
  for (const action of actions) begin(loop, action, now);
  if (maintenance) void audit(loop);
  loop.ticks += 1;
  loop.tickAt = hands.clock.now();
  loop.tickMs = loop.tickAt - begunAt;
}

function noteHost(loop: Loop, world: World, now: number): void {
  loop.herald.host(world.machines);
  if (world.machines.state === 'known') loop.hostError = undefined;
  else loop.hostError = { code: 'DRIVER_FAILED', message: world.machines.reason, since: loop.hostError?.since ?? now };
}

function begin(loop: Loop, action: Action, now: number): void {
  if (action.kind === 'launch') {
    loop.lastSlot = action.runner.slot;
    loop.pollers.get(action.runner.forge)?.stir(now);
  }
  loop.history.begun(action);
  loop.queue.add(action);
}

/** What the world has learned from an action that succeeded. */
function concluded(loop: Loop, action: Action): void {
  loop.history.succeeded(action);
  if (action.kind === 'finalize') {
    const poller = loop.pollers.get(action.runner.forge);
    const now = loop.options.clock.now();
    poller?.stir(now);
    loop.history.finalized(action.runner, action.reason, action.exit, poller?.count() ?? 0, now);
  }
  wake(loop);
}

function failed(loop: Loop, action: Action, error: unknown): void {
  if (!isControllerError(error)) return crash(loop, error);
  const now = loop.options.clock.now();
  const { attempts, at } = loop.history.failed(action, error, now);
  const facts = 'runner' in action ? factsOf(action.runner) : { runner: action.id };
  loop.options.log.warn('retry', { ...facts, action: action.kind, attempts, inMs: Math.round(at - now), error });
}

async function audit(loop: Loop): Promise<void> {
  const owned = () => new Set([...loop.queue.ids(), ...loop.hands.ledger.all().map((runner) => runner.machine)]);
  try {
    await loop.auditor.run(owned, loop.stop.signal);
  } catch (error) {
    crash(loop, error);
  }
}

/** Until the next poll, or soon while anything of ours is alive, or at the next due retry. */
function nextLookMs(loop: Loop): number {
  const now = loop.options.clock.now();
  const machines = loop.world?.machines;
  const alive = loop.hands.ledger.all().length > 0 || machines?.state !== 'known' || machines.value.length > 0;
  const moments = [...loop.pollers.values()].map((poller) => poller.nextAt() - now);
  for (const { at } of loop.history.retries.values()) if (at > now) moments.push(at - now);
  return Math.max(0, Math.min(...moments, alive ? watchIntervalMs : idleIntervalMs));
}

function snapshotOfLoop(loop: Loop): Snapshot {
  const { options, history, auditor, hands } = loop;
  return snapshotOf({
    ...loop,
    hostError: loop.hostError ?? auditor.hostFault(),
    controllerId: options.policy.controllerId,
    version: options.version,
    forges: options.forges,
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
