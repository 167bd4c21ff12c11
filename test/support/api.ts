// Promises the API of a service in memory, of which a test says only what matters to it.

import type { Snapshot } from '../../src/core/snapshot.ts';
import { createEvents } from '../../src/events.ts';
import { createApp, createFollowing, type AppOptions } from '../../src/http/app.ts';
import { aJob, aRunner, aWorld } from './build.ts';
import { busy, fixedClock, now, rememberingLog, settings, startedAt } from './snapshot-fixture.ts';

type Api = ReturnType<typeof createApp>;

/** The API over the busy picture. */
export function anApi(over: Partial<AppOptions> = {}): Api {
  return createApp({
    reconciler: reconcilingOf(() => busy),
    following: createFollowing({ events: createEvents(() => now), clock: fixedClock, start: startedAt }),
    logs: { open: () => Promise.resolve('unknown') },
    settings: () => settings,
    host: '127.0.0.1',
    clock: fixedClock,
    log: rememberingLog(),
    ...over,
  });
}

/** A loop that has that picture; a look at the world finds what is in `previewed`. */
export function reconcilingOf(snapshot: () => Snapshot, over: Partial<AppOptions['reconciler']> = {}): AppOptions['reconciler'] {
  return {
    snapshot,
    preview: () => Promise.resolve(previewed),
    drain: () => true,
    stop: () => true,
    wake: () => undefined,
    maintain: () => undefined,
    kick: () => undefined,
    ...over,
  };
}

const launched = aRunner(aJob(51));
export const previewed: Awaited<ReturnType<AppOptions['reconciler']['preview']>> = {
  world: aWorld({ room: { state: 'unknown', reason: 'DRIVER_FAILED: no statfs' }, inFlight: new Set(['j0000050abc']) }),
  actions: [
    { kind: 'launch', id: launched.id, runner: launched },
    { kind: 'stop', id: 'j0000052abc', runner: aRunner(aJob(52)), reason: 'job-timeout', graceMs: 10_000 },
    { kind: 'sweep-machine', id: 'j0000053abc' },
  ],
  denials: busy.denials,
};
