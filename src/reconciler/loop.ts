// Promises the loop's parts and the few facts it keeps between ticks: made once, woken and stopped in one place, and told what each action
// came to. All of it can be lost without losing a job.

import type { Clock } from '../clock.ts';
import type { Absence, Action, Denial, ForgeName, Mode, Policy, Runner, RunnerId, World } from '../core/model.ts';
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
import type { Sources } from './observe.ts';
import { createPoller, type Poller } from './poller.ts';
import { createQueue, type Queue } from './queue.ts';

export type ReconcilerOptions = {
  readonly forges: readonly { readonly forge: Forge; readonly url: string; readonly pollIntervalMs: number }[];
  readonly driver: Driver;
  readonly store: Store;
  readonly records: readonly Runner[];
  readonly quarantined: readonly string[];
  readonly policy: Omit<Policy, 'mode'>;
  /** How it begins; `serving` unless said otherwise. */
  readonly mode?: Mode;
  readonly clock: Clock;
  readonly log: Log;
  /** 0..1, spreads retries. */
  readonly random: () => number;
  readonly version: string;
  /** How many actions may be under way at once. */
  readonly maxActions?: number;
};

const defaultMaxActions = 32;

/** The loop's parts and what changes between ticks. */
export type Loop = {
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
  mode: Mode;
  drain: { readonly by: string; readonly since: number } | undefined;
  maintenance: boolean;
  ticks: number;
  tickAt: number | undefined;
  tickMs: number | undefined;
};

export function createLoop(options: ReconcilerOptions): Loop {
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
    mode: options.mode ?? 'serving',
    drain: undefined,
    maintenance: true,
    ticks: 0,
    tickAt: undefined,
    tickMs: undefined,
  };
  return loop;
}

export function policyOf(loop: Loop): Policy {
  return { ...loop.options.policy, mode: loop.mode };
}

export function wake(loop: Loop): void {
  loop.woken = true;
  loop.waker.abort();
}

export function halt(loop: Loop): void {
  loop.stop.abort();
  wake(loop);
}

export function crash(loop: Loop, error: unknown): void {
  loop.bug ??= { error };
  halt(loop);
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
