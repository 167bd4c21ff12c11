// Promises that what many machines need of one program at the same moment is done by one run of it. What a run of several could not do is done
// for each alone, so that nobody fails or waits long for somebody else's trouble.

import { timeoutOf } from '../clock.ts';
import type { RunResult } from './exec.ts';

type Asked<T> = { readonly item: T; readonly settle: (result: RunResult) => void; readonly fail: (error: unknown) => void };

/** More than this in one run would be long in coming. */
const most = 25;
/** A run in front that takes longer has something of its own to do. */
const patienceMs = 100;

/**
 * Gives the way to ask for one item. Whoever asks first is served at once; those that ask meanwhile are served together when that run is over, or
 * takes long. `run` must be safe to repeat for an item of a run that failed.
 */
export function gathered<T>(run: (items: readonly T[]) => Promise<RunResult>): (item: T) => Promise<RunResult> {
  let line: Asked<T>[] = [];
  let front: Promise<void> = Promise.resolve();

  async function next(before: Promise<void>): Promise<void> {
    const patience = timeoutOf(patienceMs);
    const over = new Promise<void>((resolve) => patience.signal.addEventListener('abort', () => resolve()));
    await Promise.race([before, over]);
    patience.cancel();
    const group = line.slice(0, most);
    line = line.slice(most);
    const served = serve(group);
    if (line.length > 0) front = next(served);
    await served;
  }

  async function serve(group: readonly Asked<T>[]): Promise<void> {
    if (group.length > 1) {
      // What stands in its way shows again below, to whom it concerns.
      const result = await run(group.map(({ item }) => item)).catch(() => undefined);
      if (result?.code === 0 && result.trouble === undefined) {
        for (const { settle } of group) settle(result);
        return;
      }
    }
    await Promise.all(group.map(async ({ item, settle, fail }) => run([item]).then(settle, fail)));
  }

  return (item) =>
    new Promise((settle, fail) => {
      line.push({ item, settle, fail });
      if (line.length === 1) front = next(front);
    });
}
