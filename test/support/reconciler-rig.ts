// Promises a reconciler over a forge, a host and a disk in memory, on a clock of the test's own. step() is a tick with everything it starts.

import type { Clock } from '../../src/clock.ts';
import type { Mode, Policy, Runner } from '../../src/core/model.ts';
import type { Event, Facts, Log } from '../../src/log.ts';
import { createReconciler, type Reconciler, type ReconcilerOptions } from '../../src/reconciler/reconciler.ts';
import { ControllerError } from '../../src/errors.ts';
import type { Store } from '../../src/store/store.ts';
import { createFakeDriver, type FakeDriver, type FakeDriverOptions } from '../contract/fake-driver.ts';
import { aPolicy } from './build.ts';
import { createTestClock, type TestClock } from './clock.ts';
import { createFakeForge, type FakeForge } from './fake-forge.ts';

export type MemoryStore = Store & { readonly records: Map<string, Runner>; fail(times: number): void; readonly log: string[] };

function createMemoryStore(): MemoryStore {
  const records = new Map<string, Runner>();
  const log: string[] = [];
  let failures = 0;
  const attempt = (entry: string, effect: () => void): Promise<void> => {
    if (failures > 0) {
      failures -= 1;
      return Promise.reject(new ControllerError('STORE_FAILED', 'no space left on device'));
    }
    log.push(entry);
    effect();
    return Promise.resolve();
  };
  return {
    records,
    log,
    load: () => Promise.resolve({ runners: [...records.values()], quarantined: [] }),
    put: (runner) => attempt(`put ${runner.id}`, () => records.set(runner.id, structuredClone(runner))),
    delete: (id) => attempt(`delete ${id}`, () => records.delete(id)),
    fail: (times) => void (failures = times),
  };
}

export type Line = { readonly level: string; readonly event: Event; readonly facts: Facts; readonly message: string | undefined };

export function createMemoryLog(): Log & { readonly lines: Line[]; readonly concealed: string[] } {
  const lines: Line[] = [];
  const concealed: string[] = [];
  const at =
    (level: string) =>
    (event: Event, facts: Facts = {}, message?: string): void =>
      void lines.push({ level, event, facts, message });
  return {
    lines,
    concealed,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    conceal: (secret) => void concealed.push(secret),
  };
}

/** Lets what was set off (a machine obeying a stop) happen. */
export const flushed = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

export type Rig = {
  readonly clock: TestClock;
  readonly forge: FakeForge;
  readonly driver: FakeDriver;
  readonly store: MemoryStore;
  readonly log: ReturnType<typeof createMemoryLog>;
  reconciler: Reconciler;
  /** One tick after `ms`, with all that it starts. */
  step(ms?: number): Promise<void>;
  /** A controller over the same forge, host and disk, in that mode. */
  begin(mode: Mode): Reconciler;
  /** As a kill -9 and a new start: memory is lost, forge, host and disk stay. `line`: what a time line of the test's own gave. */
  restart(line?: { readonly clock: Clock; readonly runners: readonly Runner[] }): void;
};

export function createRig(
  over: Partial<Omit<Policy, 'mode'>> = {},
  driverOptions: Partial<FakeDriverOptions> = {},
  others: Partial<Pick<ReconcilerOptions, 'archive' | 'log'>> = {},
): Rig {
  const clock = createTestClock();
  const forge = createFakeForge();
  const driver = createFakeDriver({ clock, ...driverOptions });
  const store = createMemoryStore();
  const log = createMemoryLog();
  const start = (line?: Parameters<Rig['restart']>[0], mode: Mode = 'serving'): Reconciler =>
    createReconciler({
      forges: [{ forge, url: 'http://forge.test', pollIntervalMs: 1_000 }],
      mode,
      driver,
      store,
      records: line?.runners ?? [...store.records.values()],
      quarantined: [],
      policy: aPolicy(over),
      clock: line?.clock ?? clock,
      log,
      random: () => 0.5,
      version: '0.0.0',
      ...others,
    });
  const rig: Rig = {
    clock,
    forge,
    driver,
    store,
    log,
    reconciler: start(),
    begin: (mode) => start(undefined, mode),
    async step(ms = 1_000) {
      clock.advance(ms);
      await rig.reconciler.tick();
      await rig.reconciler.settled();
      await flushed();
    },
    restart(line) {
      rig.reconciler = start(line);
    },
  };
  return rig;
}
