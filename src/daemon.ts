// Promises the composition root of the service. Starts the parts in order, wires cron, the operator's orders and the way out, and stops the
// parts in the reverse order. The end of the service touches no running job.

import { hostTime } from './clock.ts';
import { configHashOf, type Config } from './config/config.ts';
import { createRunnerLogs, type RunnerLogs } from './http/app.ts';
import { openApi } from './daemon-api.ts';
import { looseEnds } from './daemon-ownership.ts';
import { openParts, type Parts } from './daemon-parts.ts';
import { createLiveConfig, type LiveOptions } from './daemon-reload.ts';
import { keepStatuses } from './daemon-statuses.ts';
import { openTraces } from './daemon-traces.ts';
import { faultSentence } from './doctor.ts';
import type { Events } from './events.ts';
import type { RootLog } from './log.ts';
import type { Reconciler } from './reconciler/reconciler.ts';
import { createMetrics, type Metrics } from './metrics/metrics.ts';

/** `mask` conceals in the API's answers what `log` conceals in its lines; `events` is what these say. */
export type Voice = {
  readonly version: string;
  readonly log: RootLog;
  readonly mask: (text: string) => string;
  readonly events: Events;
};

/** What an operator may ask of a running service. */
export type Order = 'reload' | 'drain' | 'resume';

/** `ending` aborts when the service is to detach. Orders that came before `obey` is called are given to it at once. */
export type Orders = { readonly ending: AbortSignal; obey(take: (order: Order, by: string) => void): void };

/** `file`: where the configuration was read, if not from the environment alone. */
export type Origin = { readonly file?: string; readonly read: LiveOptions['read'] };

/** Runs until `ending` aborts or a drain is through. Rejects with the code that main turns into an exit code, or with a bug. */
export async function runDaemon(config: Config, voice: Voice, orders: Orders, { file, read }: Origin): Promise<void> {
  const { version, log, events } = voice;
  const metrics = createMetrics({ now: hostTime.monotonic, ...config.metrics });
  events.follow((fact) => metrics.take(fact));
  log.info('start', { version, controllerId: config.controllerId, config: configHashOf(config), pid: process.pid });
  for (const warning of [...config.warnings, ...looseEnds(config, file).map(faultSentence)]) log.warn('warning', {}, warning);
  const closeTraces = await openTraces(config, voice);
  const parts = await openParts(config, { ...voice, onAnswer: (...answer) => metrics.forgeAnswered(...answer) });
  let result: string;
  let unclaim: (() => void) | undefined;
  try {
    unclaim = await parts.driver.claim();
    await parts.driver.check();
    result = await serve(config, { ...parts, metrics }, voice, orders, read);
  } finally {
    unclaim?.();
    await parts.close();
    await closeTraces();
  }
  if (result === 'through') log.info('detach', {}, 'drained: nothing of ours is left; the next start serves again');
  else log.info('detach', {}, 'stopped; running jobs go on and are picked up at the next start');
}

async function serve(
  config: Config,
  parts: Parts & { readonly metrics: Metrics },
  voice: Voice,
  orders: Orders,
  read: LiveOptions['read'],
): Promise<'stopped' | 'through'> {
  const { log, mask, events } = voice;
  const reconciler = parts.reconciler('serving');
  const live = createLiveConfig({ config, parts, reconciler, log, mask, read });
  const metering = {
    render: () => parts.metrics.render(reconciler.snapshot(), parts.clock),
    requestAnswered: (route: string, status: number) => parts.metrics.requestAnswered(route, status),
  };
  const logs = runnerLogsOf(parts, reconciler, mask);
  const { clock } = parts;
  const api = await openApi(config.http, { reconciler, events, settings: live.settings, logs, clock, log, mask, metering });
  log.info('ready', { ...api.urls, forges: config.forges.map(({ name }) => name), profiles: config.profiles.map(({ name }) => name) });
  const bug = Promise.withResolvers<never>();
  orders.obey((order, by) => {
    if (order === 'reload') live.reload(by).catch(bug.reject);
    else reconciler.drain(order === 'drain', by);
  });
  const ended = new AbortController();
  keepStatuses({ parts, stateDir: config.stateDir, forges: live.forges, reconciler, log }, ended.signal).catch(bug.reject);
  try {
    return await Promise.race([reconciler.run(orders.ending), bug.promise]);
  } finally {
    ended.abort();
    await live.close();
    await api.close();
  }
}

/** As much of a console as an answer holds. */
const consoleBytes = 1_048_576;

function runnerLogsOf({ driver, archive, clock }: Parts, reconciler: Pick<Reconciler, 'snapshot'>, mask: Voice['mask']): RunnerLogs {
  return createRunnerLogs({
    snapshot: () => reconciler.snapshot(),
    archive,
    console: async (id) => (await driver.consoles([{ id }], consoleBytes)).get(id) ?? { lines: [], cut: false },
    follow: (id, signal) => driver.follow(id, signal),
    clock,
    mask,
  });
}
