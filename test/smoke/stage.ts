// Promises a service to look at where no host is to be had: the real loop, forge adapter, metrics and API, over a stand-in Forgejo in which one
// job waits for a label that nobody has. Only the machines are in memory, because they need root and systemd; none is started here.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClock, hostTime } from '../../src/clock.ts';
import { openApi } from '../../src/daemon-api.ts';
import { createEvents } from '../../src/events.ts';
import { createForgejo } from '../../src/forge/forgejo.ts';
import { createLog, createRedactor } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { createReconciler } from '../../src/reconciler/reconciler.ts';
import { openFileStore } from '../../src/store/file-store.ts';
import { createFakeDriver } from '../contract/fake-driver.ts';
import { aPolicy } from '../support/build.ts';
import { startForgejo } from '../support/forgejo/forgejo.ts';
import { settings } from '../support/snapshot-fixture.ts';

const version = '0.0.0-smoke';

export type Stage = { readonly url: string; close(): Promise<void> };

export async function openStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const folder = stack.adopt(await mkdtemp(join(tmpdir(), 'frc-smoke-')), (made) => rm(made, { recursive: true, force: true }));
  const forgejo = stack.adopt(await startForgejo(), (started) => started.close());
  await forgejo.control.addRepository({ repository: 'root1/demo' });
  await forgejo.control.queueJob({ repository: 'root1/demo', labels: ['nobody-has-this'], script: 'true' });
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${forgejo.token}\n`, { mode: 0o600 });

  const clock = createClock(hostTime, 0, () => undefined);
  const events = createEvents(hostTime.wall);
  const metrics = createMetrics({ now: hostTime.monotonic, perRepository: false });
  const tap = (said: Parameters<typeof events.publish>[0]): void => events.publish(said);
  const log = createLog({ level: 'error', destination: process.stderr, redactor: createRedactor(), tap });
  const denied = new Promise<void>((resolve) => {
    events.follow((fact) => {
      metrics.take(fact);
      if (fact.event === 'deny') resolve();
    });
  });
  const scope = { kind: 'instance' } as const;
  const forge = createForgejo({ name: 'main', url: forgejo.url, instanceUrl: forgejo.url, scope, tokenFile, clock, log });
  stack.defer(() => forge.close());
  const store = stack.adopt(await openFileStore({ stateDir: join(folder, 'state'), controllerId: 'smoke' }), (opened) => opened.close());
  const reconciler = createReconciler({
    forges: [{ forge, url: forgejo.url, pollIntervalMs: 200 }],
    policy: aPolicy(),
    mode: 'serving',
    driver: createFakeDriver({ clock }),
    store,
    records: [],
    quarantined: [],
    clock,
    log,
    random: Math.random,
    version,
  });
  const ending = new AbortController();
  const ended = reconciler.run(ending.signal);
  stack.defer(async () => {
    ending.abort('smoke is over');
    await ended;
  });
  const metering = {
    render: () => metrics.render(reconciler.snapshot(), clock),
    requestAnswered: (route: string, status: number) => metrics.requestAnswered(route, status),
  };
  const logs = { open: () => Promise.resolve('unknown' as const) };
  const http = { host: '127.0.0.1', port: 0, basePath: '' };
  const shown = { ...settings, forges: [{ name: 'main', pollIntervalMs: 200 }] };
  const api = await openApi(http, { reconciler, events, settings: () => shown, logs, clock, log, mask: (text) => text, metering });
  stack.defer(() => api.close());
  await denied;
  const all = stack.move();
  return { url: api.urls.http, close: () => all.disposeAsync() };
}
