// Promises that actions run side by side but bounded, each id once at a time (I3). What waits in line counts as under way. No timers, no
// retries: the next plan decides again.

import type { Action } from '../core/model.ts';

export type Queue = {
  /** Ids with an action under way or in line; a copy. */
  ids(): ReadonlySet<string>;
  /** Those actions; a copy. */
  actions(): readonly Action[];
  add(action: Action): void;
  /** Resolves when nothing is under way or in line. */
  settled(): Promise<void>;
  /** Starts nothing more; what waits in line is dropped. */
  close(): void;
};

export type Outcome = {
  readonly run: (action: Action) => Promise<void>;
  readonly done: (action: Action) => void;
  readonly failed: (action: Action, error: unknown) => void;
};

/** One of the four places that catch: a failure is data for the next plan, never lost. */
export function createQueue(limit: number, outcome: Outcome): Queue {
  const held = new Map<string, Action>();
  const line: Action[] = [];
  const settlers: (() => void)[] = [];
  let running = 0;

  async function perform(action: Action): Promise<void> {
    running += 1;
    let failure: { readonly error: unknown } | undefined;
    try {
      await outcome.run(action);
    } catch (error) {
      failure = { error };
    }
    running -= 1;
    held.delete(action.id);
    if (failure === undefined) outcome.done(action);
    else outcome.failed(action, failure.error);
    pump();
  }

  function pump(): void {
    while (running < limit) {
      const action = line.shift();
      if (action === undefined) break;
      void perform(action);
    }
    if (running === 0 && line.length === 0) for (const settle of settlers.splice(0)) settle();
  }

  return {
    ids: () => new Set(held.keys()),
    actions: () => [...held.values()],
    add(action) {
      if (held.has(action.id)) throw new Error(`two actions for ${action.id}: plan must not ask for one that is under way`);
      held.set(action.id, action);
      line.push(action);
      pump();
    },
    async settled() {
      if (running === 0 && line.length === 0) return;
      await new Promise<void>((resolve) => settlers.push(resolve));
    },
    close() {
      for (const action of line.splice(0)) held.delete(action.id);
      pump();
    },
  };
}
