// Promises spans of jobs on their way to where the configuration says, or nothing at all: without an endpoint not even the code is loaded. The
// end of the service waits for the last of them, but not long.

import { hostTime } from './clock.ts';
import type { Config } from './config/config.ts';
import type { Voice } from './daemon.ts';

/** What is not sent by then is not sent. */
const closeMs = 4_000;

/** How to end it. */
export async function openTraces({ telemetry, controllerId }: Config, { version, log, events }: Voice): Promise<() => Promise<void>> {
  if (telemetry === undefined) return async () => {};
  const { createTraces } = await import('./traces/traces.ts');
  const traces = createTraces({ ...telemetry, controllerId, version, log, now: hostTime.monotonic });
  const unfollow = events.follow((fact) => traces.take(fact));
  log.info('telemetry', { endpoint: telemetry.endpoint }, 'a trace of each job is sent there');
  return async () => {
    unfollow();
    const patience = new AbortController();
    await Promise.race([traces.close(), hostTime.sleep(closeMs, patience.signal)]);
    patience.abort();
  };
}
