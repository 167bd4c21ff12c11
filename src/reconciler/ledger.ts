// Promises our records in memory and on disk as one: durable first, visible after, and a writing that failed is never taken for one that was
// not made.

import type { Runner, RunnerId } from '../core/model.ts';
import type { Store } from '../store/store.ts';

/** Our records as they are on disk, mirrored in memory so that a tick reads no files. */
export type Ledger = {
  readonly get: (id: RunnerId) => Runner | undefined;
  readonly all: () => readonly Runner[];
  /** True for a record whose first writing failed: it may be on disk, whole, or not at all. Whatever rests on it must write it again. */
  readonly isDoubtful: (id: RunnerId) => boolean;
  /** Resolves when the first writing of that record is over: true when it is on the disk. */
  readonly whenSure: (id: RunnerId) => Promise<boolean>;
  /** Whoever waits for that is told now that it is not. */
  readonly giveUp: (id: RunnerId) => void;
  /** No record is written for the first time any more: whoever waits for one is told. */
  readonly close: () => void;
  /** Durable first, visible after. */
  readonly save: (runner: Runner) => Promise<void>;
  readonly erase: (id: RunnerId) => Promise<void>;
};

export function createLedger(store: Store, initial: readonly Runner[]): Ledger {
  const records = new Map<RunnerId, Runner>(initial.map((runner) => [runner.id, runner]));
  const doubtful = new Set<RunnerId>();
  /** Those of them whose writing is not under way. */
  const failed = new Set<RunnerId>();
  const waiting = new Map<RunnerId, (sure: boolean) => void>();
  const tell = (id: RunnerId, sure: boolean): void => {
    waiting.get(id)?.(sure);
    waiting.delete(id);
  };
  return {
    get: (id) => records.get(id),
    all: () => [...records.values()],
    isDoubtful: (id) => doubtful.has(id),
    whenSure(id) {
      if (!doubtful.has(id) && records.has(id)) return Promise.resolve(true);
      if (failed.has(id)) return Promise.resolve(false);
      return new Promise<boolean>((resolve) => void waiting.set(id, resolve));
    },
    giveUp: (id) => tell(id, false),
    close() {
      for (const id of waiting.keys()) tell(id, false);
    },
    async save(runner) {
      if (!records.has(runner.id)) {
        // Seen before it is sure: a record that reached the disk though its writing failed must be deleted some day.
        records.set(runner.id, runner);
        doubtful.add(runner.id);
      }
      try {
        await store.put(runner);
      } catch (error) {
        if (doubtful.has(runner.id)) failed.add(runner.id);
        tell(runner.id, false);
        throw error;
      }
      records.set(runner.id, runner);
      doubtful.delete(runner.id);
      failed.delete(runner.id);
      tell(runner.id, true);
    },
    async erase(id) {
      await store.delete(id);
      records.delete(id);
      doubtful.delete(id);
      failed.delete(id);
      tell(id, false);
    },
  };
}
