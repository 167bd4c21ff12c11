// Promises that commits of waiting jobs are told why they wait, where the configuration wants it, for as long as the service runs, and that
// it is over, also where it is wanted no more. Nothing of it is loaded before somebody wants it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config/config.ts';
import type { Parts } from './daemon-parts.ts';
import type { Log } from './log.ts';
import type { Reconciler } from './reconciler/reconciler.ts';
import type { Statuses, Wish } from './statuses/statuses.ts';

const lookMs = 5_000;
/** While nobody wants it, for a configuration that changes. */
const idleMs = 60_000;

export type StatusKeeping = {
  readonly parts: Pick<Parts, 'clock' | 'forgeOf'>;
  readonly stateDir: string;
  /** Of the configuration in force. */
  readonly forges: () => Config['forges'];
  readonly reconciler: Pick<Reconciler, 'snapshot'>;
  readonly log: Log;
};

/** Until the signal aborts. Rejects on a bug. */
export async function keepStatuses({ parts, stateDir, forges, reconciler, log }: StatusKeeping, signal: AbortSignal): Promise<void> {
  const { clock, forgeOf } = parts;
  const file = join(stateDir, 'statuses.json');
  // One that was told something before a restart is to hear the end of it.
  let wanted = existsSync(file);
  let statuses: Statuses | undefined;
  while (!signal.aborted) {
    const wishes = forges().flatMap(({ name, waitingStatus }): Wish[] => {
      const forge = forgeOf(name);
      return waitingStatus === undefined || forge === undefined ? [] : [{ forge, afterMs: waitingStatus.afterMs }];
    });
    wanted ||= wishes.length > 0;
    if (wanted && statuses === undefined) {
      const { createStatuses } = await import('./statuses/statuses.ts');
      statuses = await createStatuses({ file, clock, log });
    }
    await statuses?.look(reconciler.snapshot(), wishes, forgeOf, signal);
    await clock.sleep(statuses === undefined ? idleMs : lookMs, signal);
  }
}
