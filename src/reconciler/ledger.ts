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
  /** Durable first, visible after. */
  readonly save: (runner: Runner) => Promise<void>;
  readonly erase: (id: RunnerId) => Promise<void>;
};

export function createLedger(store: Store, initial: readonly Runner[]): Ledger {
  const records = new Map<RunnerId, Runner>(initial.map((runner) => [runner.id, runner]));
  const doubtful = new Set<RunnerId>();
  return {
    get: (id) => records.get(id),
    all: () => [...records.values()],
    isDoubtful: (id) => doubtful.has(id),
    async save(runner) {
      if (!records.has(runner.id)) {
        // Seen before it is sure: a record that reached the disk though its writing failed must be deleted some day.
        records.set(runner.id, runner);
        doubtful.add(runner.id);
      }
      await store.put(runner);
      records.set(runner.id, runner);
      doubtful.delete(runner.id);
    },
    async erase(id) {
      await store.delete(id);
      records.delete(id);
      doubtful.delete(id);
    },
  };
}
