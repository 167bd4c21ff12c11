// Promises the emergency stop: everything of this controller, told first and ended only when that is confirmed. It is the reconciler's own
// clean-up in the mode that spares nothing, so it keeps the same order of writes and touches nobody else's.

import { deadlineOf, systemClock } from './clock.ts';
import type { Config } from './config/config.ts';
import { isJobless } from './core/dispatch.ts';
import type { Action, World } from './core/model.ts';
import { serviceOf } from './daemon-beside.ts';
import { openParts, type Parts } from './daemon-parts.ts';
import { isControllerError } from './errors.ts';
import type { Log } from './log.ts';
import type { Foresight, Reconciler } from './reconciler/reconciler.ts';

export type EndAllOptions = {
  /** False: only tell. */
  readonly confirmed: boolean;
  readonly log: Log;
  readonly mask: (text: string) => string;
  /** One line for a person. */
  readonly say: (line: string) => void;
  readonly ending: AbortSignal;
};

/** Beyond the longest grace: for removing by force, and for a forge that answers late. */
const patienceMs = 45_000;
const lockLookMs = 200;

/**
 * True when it was only told, or when nothing of ours is left. A service that runs tells it itself, or ends everything and itself first; rejects
 * with STATE_LOCKED when it takes no orders from here.
 */
export async function endAll(config: Config, version: string, options: EndAllOptions): Promise<boolean> {
  const { log, mask, confirmed, say } = options;
  const open = () => openParts(config, { version, log, mask });
  const found = await lockedOr(open);
  if (!('locked' in found)) return withParts(found, options);
  const service = await serviceOf(config);
  if (service === undefined) throw found.locked;
  say(`The service runs and was asked at ${service.where}.`);
  if (!confirmed) {
    await service.tell(say);
    return true;
  }
  log.info('end-all', { by: 'operator (end-all)' }, 'through the service, which runs');
  const patience = patienceMs + Math.max(0, ...config.profiles.map(({ timeouts }) => timeouts.stopMs));
  if (!(await service.end({ ...options, clock: systemClock, patienceMs: patience }))) return false;
  return withParts(await openedSoon(open), options);
}

/** Between its last answer and the end of its process a service gives the state directory back. */
async function openedSoon(open: () => Promise<Parts>): Promise<Parts> {
  const until = systemClock.now() + patienceMs;
  for (;;) {
    const found = await lockedOr(open);
    if (!('locked' in found)) return found;
    if (systemClock.now() > until) throw found.locked;
    await systemClock.sleep(lockLookMs);
  }
}

async function lockedOr(open: () => Promise<Parts>): Promise<Parts | { readonly locked: unknown }> {
  try {
    return await open();
  } catch (error) {
    if (!isControllerError(error, 'STATE_LOCKED')) throw error;
    return { locked: error };
  }
}

async function withParts(parts: Parts, options: EndAllOptions): Promise<boolean> {
  try {
    return await endAllOf(parts, options);
  } finally {
    await parts.close();
  }
}

export async function endAllOf(
  parts: Pick<Parts, 'driver' | 'clock' | 'reconciler'>,
  options: Omit<EndAllOptions, 'mask'>,
): Promise<boolean> {
  const { confirmed, log, say, ending } = options;
  const reconciler = parts.reconciler('ending');
  const before = await reconciler.foresee();
  const there = countsOf(before);
  for (const line of unknownsOf(before.world)) say(line);
  if (!confirmed) {
    for (const action of before.actions) say(lineOf(action));
    say(`${there} would be ended. Nothing was changed; say it again with --yes to do it.`);
    return true;
  }
  const by = 'operator (end-all)';
  log.info('end-all', { by, found: there });
  const longestMs = Math.max(0, ...before.actions.map((action) => (action.kind === 'stop' ? action.graceMs : 0)));
  const { signal, cancel } = deadlineOf(parts.clock, longestMs + patienceMs);
  try {
    await reconciler.run(AbortSignal.any([signal, ending]));
  } finally {
    cancel();
  }
  const after = await reconciler.foresee();
  const left = [...unknownsOf(after.world), ...after.actions.map(lineOf), ...whyOf(reconciler), ...(await tracesOf(parts.driver))];
  say(`${there} were there.`);
  for (const line of left) say(`left: ${line}`);
  if (left.length === 0) say('Nothing of this controller is left.');
  else say('What is left could not be ended in time; remove the cause and say it again.');
  log.info('end-all', { by, left: left.length });
  return left.length === 0;
}

/** `3 runners, 1 machine without a record, 0 registrations without a record`. */
function countsOf({ world, actions }: Foresight): string {
  const swept = (kind: Action['kind']): number => actions.filter((action) => action.kind === kind).length;
  return [
    count(world.runners.length, 'runner'),
    `${count(swept('sweep-machine'), 'machine')} and ${count(swept('sweep-registration'), 'registration')} without a record`,
  ].join(', ');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** What cannot be seen is not taken for empty (I2). */
function unknownsOf({ machines, registrations }: World): readonly string[] {
  return [
    ...(machines.state === 'unknown' ? [`the host's machines cannot be listed: ${machines.reason}`] : []),
    ...[...registrations].flatMap(([forge, reading]) =>
      reading.state === 'unknown' ? [`the registrations at forge ${forge} cannot be listed: ${reading.reason}`] : [],
    ),
  ];
}

function lineOf(action: Action): string {
  if (action.kind === 'sweep-machine' || action.kind === 'warm' || action.kind === 'cool')
    return `machine ${action.id}, which no record speaks of`;
  if (action.kind === 'sweep-registration')
    return `registration ${action.registration.name} at forge ${action.forge}, which no record speaks of`;
  const { id, forge, job, assignedAt } = action.runner;
  if (isJobless(action.runner))
    return `runner ${id}: dispatched, for whatever job of forge ${forge}, with its machine, registration and record`;
  const doing = assignedAt === undefined ? 'was being started for' : 'runs';
  return `runner ${id}: ${doing} job ${job.id} (${JSON.stringify(job.name)}) of forge ${forge}, with its machine, registration and record`;
}

function whyOf(reconciler: Reconciler): readonly string[] {
  return reconciler
    .snapshot()
    .runners.flatMap(({ id, lastError }) => (lastError === undefined ? [] : [`runner ${id}: ${lastError.message} (${lastError.code})`]));
}

async function tracesOf(driver: Parts['driver']): Promise<readonly string[]> {
  try {
    return (await driver.artefacts()).map(({ kind, name }) => `${kind} ${name}`);
  } catch (error) {
    if (!isControllerError(error)) throw error;
    return [`the host cannot be read: ${error.message}`];
  }
}
