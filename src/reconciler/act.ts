// Promises that each action is safe twice and keeps the write-ahead order: a record exists before anything it owns and outlives it (I1).
// Does nothing that plan did not ask for, and asks the forge once more before it ends a machine whose job seems gone (I9).

import { deadlineOf, type Clock } from '../clock.ts';
import { isOurRegistration, jobKeyOf } from '../core/naming.ts';
import { profileOf } from '../core/lifecycle.ts';
import type { Action, Credentials, ForgeName, Policy, Profile, Runner, RunnerId, StopReason } from '../core/model.ts';
import type { Driver } from '../driver/driver.ts';
import { ControllerError } from '../errors.ts';
import type { Forge } from '../forge/forge.ts';
import type { Facts, Log } from '../log.ts';
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

export type Hands = {
  readonly forges: ReadonlyMap<ForgeName, Forge>;
  readonly driver: Driver;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: () => Policy;
};

type Of<K extends Action['kind']> = Extract<Action, { kind: K }>;

/** Beyond the clocks of the plan, what the host's own fence (RuntimeMaxSec) leaves for stopping. */
const fenceMarginMs = 60_000;

export async function act(hands: Hands, action: Action): Promise<void> {
  switch (action.kind) {
    case 'launch':
      return launch(hands, action.runner);
    case 'confirm':
      return confirm(hands, action.runner);
    case 'stop':
      return stop(hands, action);
    case 'finalize':
      return finalize(hands, action);
    case 'sweep-machine':
      hands.log.info('sweep', { runner: action.id }, 'a machine of ours that no record speaks of is removed');
      return hands.driver.remove(action.id);
    case 'sweep-registration': {
      const { id, name } = action.registration;
      hands.log.info(
        'sweep',
        { runner: name, forge: action.forge, registration: id },
        'a registration of ours that no record speaks of is deleted',
      );
      return forgeOf(hands, action.forge).unregister(id);
    }
  }
}

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

/** The names under which every log line speaks of a runner. */
export function factsOf(runner: Runner): Facts {
  const { id, handle, repositoryId, name } = runner.job;
  return { runner: runner.id, forge: runner.forge, repository: repositoryId, job: id, handle, name, profile: runner.profile };
}

function forgeOf(hands: Hands, name: ForgeName): Forge {
  const forge = hands.forges.get(name);
  if (forge !== undefined) return forge;
  throw new ControllerError(
    'FORGE_UNREACHABLE',
    `forge \`${name}\` is in the records but not in the configuration; put it back, or its runners are only removed from the host`,
  );
}

/** Record, then machine, then registration beside its boot, then the credentials. Resumes wherever an earlier try was cut short. */
async function launch(hands: Hands, planned: Runner): Promise<void> {
  const { ledger, log, clock } = hands;
  const known = ledger.get(planned.id);
  const runner = known ?? planned;
  const profile = profileOf(runner, hands.policy());
  if (known === undefined || ledger.isDoubtful(runner.id)) await ledger.save(runner);
  log.info('launch', { ...factsOf(runner), slot: runner.slot, resumed: known !== undefined });
  const { signal, cancel } = deadlineOf(clock, Math.max(1_000, runner.createdAt + profile.timeouts.startMs - clock.now()));
  try {
    const { credentials, ...phases } = await prepare(hands, runner, profile, known !== undefined, signal);
    const { instanceUrl } = forgeOf(hands, runner.forge);
    const { handle, labels } = runner.job;
    await hands.driver.assign(
      runner.machine,
      { url: instanceUrl, uuid: credentials.uuid, token: credentials.token, handle, labels },
      signal,
    );
    const assignedAt = clock.now();
    log.info('assign', { ...factsOf(runner), afterMs: assignedAt - runner.createdAt, ...phases });
    await ledger.save({ ...runner, credentials, assignedAt });
  } finally {
    cancel();
  }
}

type Prepared = { readonly credentials: Credentials; readonly startedMs: number; readonly registeredMs: number };

/**
 * The machine, then the registration, and how long each took. start() comes back when the supervisor has taken the machine on, so the forge is
 * asked while it boots; both at once would take each other's processor time, and a machine that cannot be made would leave a registration.
 */
async function prepare(hands: Hands, runner: Runner, profile: Profile, resumed: boolean, signal: AbortSignal): Promise<Prepared> {
  const { startMs, pickMs, jobMs } = profile.timeouts;
  const begunAt = hands.clock.now();
  await hands.driver.start({ id: runner.machine, slot: runner.slot, profile, runtimeMaxMs: startMs + pickMs + jobMs + fenceMarginMs });
  const startedAt = hands.clock.now();
  const credentials = await ensureCredentials(hands, runner, resumed, signal);
  return { credentials, startedMs: startedAt - begunAt, registeredMs: hands.clock.now() - startedAt };
}

/** Lost tokens are never recovered: what an earlier try may have registered under this name is deleted, and a new one made. */
async function ensureCredentials(hands: Hands, runner: Runner, resumed: boolean, signal: AbortSignal): Promise<Credentials> {
  if (runner.credentials !== undefined) {
    hands.log.conceal(runner.credentials.token);
    return runner.credentials;
  }
  const forge = forgeOf(hands, runner.forge);
  if (resumed) await unregisterByName(hands, runner);
  const credentials = await forge.register(runner.id, hands.policy().description, signal);
  hands.log.conceal(credentials.token);
  await hands.ledger.save({ ...runner, credentials });
  return credentials;
}

async function unregisterByName(hands: Hands, runner: Runner): Promise<void> {
  const forge = forgeOf(hands, runner.forge);
  const policy = hands.policy();
  for (const registration of await forge.registrations()) {
    if (registration.name === runner.id && isOurRegistration(registration, policy)) await forge.unregister(registration.id);
  }
}

/** The forge says that the job runs: it is ours if our registration reports, and somebody else's if it sits idle for the whole clock. */
async function confirm(hands: Hands, { id }: Runner): Promise<void> {
  const runner = hands.ledger.get(id);
  if (runner?.credentials === undefined) return;
  const registration = await forgeOf(hands, runner.forge).registration(runner.credentials.id);
  const now = hands.clock.now();
  if (registration?.status === 'active') {
    await hands.ledger.save({ ...runner, pickedAt: now });
    hands.log.info('picked', { ...factsOf(runner), afterMs: now - runner.createdAt });
    return;
  }
  const { pickMs } = profileOf(runner, hands.policy()).timeouts;
  if (registration?.status === 'idle' && now - (runner.assignedAt ?? runner.createdAt) > pickMs)
    await hands.ledger.save({ ...runner, missedAt: now });
}

async function stop(hands: Hands, action: Of<'stop'>): Promise<void> {
  const runner = hands.ledger.get(action.id);
  if (runner === undefined) return;
  const doubtful = action.reason === 'job-gone' || action.reason === 'unpicked';
  if (doubtful && runner.stop === undefined && (await mayWork(hands, runner, action.reason))) return;
  if (runner.stop === undefined) {
    await hands.ledger.save({ ...runner, stop: { reason: action.reason, at: hands.clock.now() } });
    hands.log.info('stop', { ...factsOf(runner), reason: action.reason, graceMs: action.graceMs });
  }
  await hands.driver.stop(runner.machine, action.graceMs);
}

/**
 * The list may be behind, the repository may have moved out of sight, the job may have been handed out this moment: a runner that reports is
 * at work, and one whose job has just begun to run may be. Forgejo deletes the registration of a job that ended.
 */
async function mayWork(hands: Hands, runner: Runner, reason: StopReason): Promise<boolean> {
  if (runner.credentials === undefined) return false;
  const forge = forgeOf(hands, runner.forge);
  if (reason === 'unpicked' && runner.missedAt === undefined) {
    const key = keyOf(runner);
    if ((await forge.jobs()).some((job) => jobKeyOf(job) === key && job.state === 'running')) return true;
  }
  return (await forge.registration(runner.credentials.id))?.status === 'active';
}

/** Machine first, record last. The registration may go beside a machine that has ended, never beside one that may work. */
async function finalize(hands: Hands, action: Of<'finalize'>): Promise<void> {
  const runner = hands.ledger.get(action.id);
  if (runner === undefined) return;
  const machineGone = hands.driver.remove(runner.machine);
  if (action.exit === undefined) await machineGone;
  const outcomes = await Promise.allSettled([machineGone, unregister(hands, runner)]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  await hands.ledger.erase(runner.id);
  const tookMs = hands.clock.now() - runner.createdAt;
  hands.log.info('finalize', {
    ...factsOf(runner),
    reason: action.reason,
    tookMs,
    ...(action.exit === undefined ? {} : { exit: action.exit }),
  });
}

/** The registration of a forge that left the configuration cannot be reached any more; its machine must still go. */
async function unregister(hands: Hands, runner: Runner): Promise<void> {
  if (!hands.forges.has(runner.forge)) return;
  if (runner.credentials === undefined) return unregisterByName(hands, runner);
  return forgeOf(hands, runner.forge).unregister(runner.credentials.id);
}

export function keyOf(runner: Runner): string {
  return jobKeyOf({ forge: runner.forge, ...runner.job });
}
