// Promises the API of a service in memory, of which a test says only what matters to it, also on an address with an operator's token.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { createEvents } from '../../src/events.ts';
import { createApp, createFollowing, serveHttp, type AppOptions, type Serving } from '../../src/http/app.ts';
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

export const token = 'operator-token-0123456789abcdef';

/** A folder of a test's own, with a file that holds something secret and that nobody else may read. */
export async function withSecretFile(
  secret = token,
): Promise<{ readonly folder: string; readonly file: string; readonly remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'frc-secret-'));
  const file = join(folder, 'secret');
  await writeFile(file, `${secret}\n`, { mode: 0o600 });
  return { folder, file, remove: () => rm(folder, { recursive: true }) };
}

/** The API where it can be asked; orders need `token`. */
export async function serveAnApi(over: Partial<AppOptions> = {}): Promise<Serving> {
  const { file, remove } = await withSecretFile();
  const serving = await serveHttp({ app: anApi({ tokenFile: file, ...over }), host: '127.0.0.1', port: 0 });
  return {
    url: serving.url,
    async close() {
      await serving.close();
      await remove();
    },
  };
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
    dispatch: ({ forge = 'main', ...wish }) => Promise.resolve({ order: { ...wish, forge }, runners: [] }),
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
  dispatches: [],
};
