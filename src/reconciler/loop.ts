// Promises the loop's parts and the few facts it keeps between ticks: made once, woken and stopped in one place, and told what each action
// came to. All of it can be lost without losing a job.

import type { Archive } from '../archive/archive.ts';
import type { Clock } from '../clock.ts';
import type { Absence } from '../core/memory.ts';
import type { Action, Denial, ForgeName, Mode, Policy, Runner, RunnerId, World } from '../core/model.ts';
import { profileOf } from '../core/lifecycle.ts';
import { summaryOf } from '../core/termination.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { Driver } from '../driver/driver.ts';
import { isControllerError } from '../errors.ts';
import type { Forge } from '../forge/forge.ts';
import type { Log } from '../log.ts';
import type { Store } from '../store/store.ts';
import { act } from './act.ts';
import { factsOf, type Hands } from './hands.ts';
import { createAuditor, type Auditor } from './audit.ts';
import { createDispatchMemory, type DispatchMemory } from './dispatch.ts';
import { createHerald, type Herald } from './herald.ts';
import { createHistory, type History } from './history.ts';
import { createLedger } from './ledger.ts';
import type { Sources } from './observe.ts';
import { createNumbering, createPoller, type Poller } from './poller.ts';
import { createQueue, type Queue } from './queue.ts';
import { createWarmMemory, type WarmMemory } from './warm.ts';

/** What may change while the loop runs. A forge whose entry is unchanged is the same object again. */
export type Settings = {
  readonly forges: readonly {
    readonly forge: Forge;
    readonly url: string;
    readonly pollIntervalMs: number;
    /** That interval is to be safe alone. */
    readonly unpolled?: true;
    /** The same once webhooks come. */
    readonly hookedIntervalMs?: number | undefined;
  }[];
  readonly policy: Omit<Policy, 'mode'>;
};

export type ReconcilerOptions = Settings & {
  readonly driver: Driver;
  readonly store: Store;
  /** Where ends and consoles are kept; without it they are forgotten with this process. */
  readonly archive?: Pick<Archive, 'keep' | 'recent' | 'tend'>;
  readonly records: readonly Runner[];
  readonly quarantined: readonly string[];
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
  /** Both in step with the settings in force. */
  readonly forges: Map<ForgeName, Forge>;
  readonly pollers: Map<ForgeName, Poller>;
  readonly numbering: () => number;
  settings: Settings;
  /** To be taken by the next tick. */
  next: Settings | undefined;
  readonly hands: Hands;
  readonly queue: Queue;
  readonly history: History;
  readonly warmth: WarmMemory;
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
  readonly dispatch: DispatchMemory;
  /** Runners that an operator asked to end. Once a stop is begun, the record says so. */
  readonly condemned: Set<RunnerId>;
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
  const forges = new Map<ForgeName, Forge>();
  const pollers = new Map<ForgeName, Poller>();
  const ledger = createLedger(options.store, options.records);
  for (const { credentials } of options.records) if (credentials !== undefined) log.conceal(credentials.token);
  const hands: Hands = {
    forges,
    driver,
    ledger,
    clock,
    log,
    policy: () => policyOf(loop),
    fresh: (forge) => pollers.get(forge)?.fresh(clock.now()) ?? true,
    condemned: (id) => loop.condemned.has(id),
  };
  const queue = createQueue(options.maxActions ?? defaultMaxActions, {
    run: (action) => act(hands, action),
    done: (action) => concluded(loop, action),
    failed: (action, error) => failed(loop, action, error),
  });
  const loop: Loop = {
    options,
    sources: { forges, pollers, driver, clock },
    forges,
    pollers,
    numbering: createNumbering(),
    settings: { forges: [], policy: options.policy },
    next: { forges: options.forges, policy: options.policy },
    hands,
    queue,
    history: createHistory(random),
    warmth: createWarmMemory(),
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
    dispatch: createDispatchMemory(),
    condemned: new Set(),
    hostError: undefined,
    lastSlot: -1,
    mode: options.mode ?? 'serving',
    drain: undefined,
    maintenance: true,
    ticks: 0,
    tickAt: undefined,
    tickMs: undefined,
  };
  takeSettings(loop);
  return loop;
}

/**
 * Between ticks only. A forge that is new or changed gets a poller that has heard nothing yet; one that left is asked nothing more, and its
 * runners go on to their end without it.
 */
export function takeSettings(loop: Loop): void {
  const { next, forges, pollers, settings, numbering, options } = loop;
  if (next === undefined) return;
  loop.next = undefined;
  loop.settings = next;
  const kept = new Set<ForgeName>();
  for (const { forge, url, pollIntervalMs, hookedIntervalMs } of next.forges) {
    const before = settings.forges.find((entry) => entry.forge === forge);
    kept.add(forge.name);
    if (before?.url === url && before.pollIntervalMs === pollIntervalMs && before.hookedIntervalMs === hookedIntervalMs) continue;
    forges.set(forge.name, forge);
    pollers.set(forge.name, createPoller(url, { quietMs: pollIntervalMs, hookedMs: hookedIntervalMs }, options.random, numbering));
  }
  for (const name of forges.keys()) {
    if (kept.has(name)) continue;
    forges.delete(name);
    pollers.delete(name);
  }
}

export function policyOf(loop: Loop): Policy {
  return { ...loop.settings.policy, mode: loop.mode };
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
  loop.warmth.succeeded(action, loop.options.clock.now());
  // A machine may take longer to come up than the forge is asked often for its beginning: whether its job is picked must be seen.
  if (action.kind === 'launch') loop.pollers.get(action.runner.forge)?.stir(loop.options.clock.now());
  if (action.kind === 'finalize') {
    const poller = loop.pollers.get(action.runner.forge);
    const now = loop.options.clock.now();
    poller?.stir(now);
    const { runner, reason, exit } = action;
    const ending = { reason, ...(exit === undefined ? {} : { exit }) };
    const cause = summaryOf(ending, profileOf(runner, policyOf(loop)));
    const ended = loop.history.finalized(runner, ending, cause, poller?.count() ?? 0, now);
    loop.options.archive?.keep(runner.machine, ended);
  }
  // What was asked of a machine or a forge shows when they have done it: asking again at once would only be asking again.
  if (action.kind !== 'stop' && action.kind !== 'confirm') wake(loop);
}

function failed(loop: Loop, action: Action, error: unknown): void {
  if (!isControllerError(error)) return crash(loop, error);
  if ('runner' in action && error.code.startsWith('FORGE_')) loop.pollers.get(action.runner.forge)?.doubt();
  const now = loop.options.clock.now();
  const { attempts, at } = loop.history.failed(action, error, now);
  loop.warmth.failed(action, now);
  const facts = 'runner' in action ? factsOf(action.runner) : { runner: action.id };
  loop.options.log.warn('retry', { ...facts, action: action.kind, attempts, inMs: Math.round(at - now), error });
}
