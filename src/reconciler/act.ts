// Promises that each action is safe twice and keeps the write-ahead order: a record exists before anything it owns and outlives it (I1).
// Does nothing that plan did not ask for; what is asked once more before it is believed is in doubt.ts.

import { deadlineOf } from '../clock.ts';
import { cacheNameOf } from '../core/cache.ts';
import { isJobless } from '../core/dispatch.ts';
import { isOurRegistration, isWarmId } from '../core/naming.ts';
import { profileOf } from '../core/lifecycle.ts';
import { terminationLinesOf } from '../core/termination.ts';
import type { Action, Credentials, Profile, Runner } from '../core/model.ts';
import { ControllerError } from '../errors.ts';
import type { Facts } from '../log.ts';
import { confirm, hasEnded, isDoubtful, offersInVain, reasonToStop, tasksOf } from './doubt.ts';
import { factsOf, forgeOf, type Hands } from './hands.ts';
import { cool, fenceMsOf, warm } from './warm.ts';

type Of<K extends Action['kind']> = Extract<Action, { kind: K }>;

export async function act(hands: Hands, action: Action): Promise<void> {
  switch (action.kind) {
    case 'launch':
      return launch(hands, action.runner);
    case 'confirm':
      return confirm(hands, action);
    case 'stop':
      return stop(hands, action);
    case 'finalize':
      return finalize(hands, action);
    case 'warm':
      return warm(hands, action, byOf(hands));
    case 'cool':
      return cool(hands, action, byOf(hands));
    case 'sweep-machine':
      await hands.driver.remove(action.id);
      return swept(hands, { runner: action.id }, 'a machine of ours that no record speaks of was removed');
    case 'sweep-registration': {
      const { id, name } = action.registration;
      await forgeOf(hands, action.forge).unregister(id);
      const facts = { runner: name, forge: action.forge, registration: id };
      return swept(hands, facts, 'a registration of ours that no record speaks of was deleted');
    }
  }
}

/** Its machine had waited for it. */
function warmthOf({ id }: Runner): Facts {
  return isWarmId(id) ? { warm: true } : {};
}

function swept(hands: Hands, facts: Facts, sentence: string): void {
  hands.log.info('sweep', { by: byOf(hands), ...facts, reason: 'no-record' }, sentence);
}

/** Who asked, for the log: the plan by itself, or an operator through it. */
function byOf({ policy }: Hands): string {
  return policy().mode === 'ending' ? 'end-all' : 'plan';
}

/** Record, then machine, then registration beside its boot, then the credentials. Resumes wherever an earlier try was cut short. */
async function launch(hands: Hands, planned: Runner): Promise<void> {
  const { ledger, log, clock } = hands;
  const known = ledger.get(planned.id);
  const place = hands.forges.get(planned.forge)?.place;
  const runner = known ?? (place === undefined ? planned : { ...planned, place });
  const profile = profileOf(runner, hands.policy());
  // Who asked for it has been told that it is not started: nothing is begun, or the next plan takes away what is.
  if (known === undefined && hands.condemned(runner.id)) return;
  if (known === undefined || ledger.isDoubtful(runner.id)) await ledger.save(runner);
  if (hands.condemned(runner.id)) return;
  // What was resumed lay on the disk for as long as nobody was there.
  const recorded = known === undefined ? { recordedMs: clock.now() - runner.createdAt } : {};
  log.info('launch', {
    by: byOf(hands),
    ...factsOf(runner),
    reason: runner.dispatch === undefined ? 'waiting' : 'dispatched',
    slot: runner.slot,
    resumed: known !== undefined,
    ...warmthOf(runner),
  });
  const { signal, cancel } = deadlineOf(clock, Math.max(1_000, runner.createdAt + profile.timeouts.startMs - clock.now()));
  try {
    const { credentials, ...phases } = await prepare(hands, runner, profile, known !== undefined, signal);
    const { instanceUrl } = forgeOf(hands, runner.forge);
    const { handle, labels } = runner.job;
    const preparedAt = clock.now();
    await hands.driver.assign(
      runner.machine,
      { url: instanceUrl, uuid: credentials.uuid, token: credentials.token, handle, labels },
      signal,
    );
    const assignedAt = clock.now();
    const assigned = { assignedMs: assignedAt - preparedAt };
    log.info('assign', { ...factsOf(runner), afterMs: assignedAt - runner.createdAt, ...recorded, ...phases, ...assigned });
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
  const begunAt = hands.clock.now();
  const cache = profile.cache === undefined ? undefined : cacheNameOf(runner);
  const spec = { id: runner.machine, slot: runner.slot, profile, runtimeMaxMs: fenceMsOf(profile) };
  await hands.driver.start(cache === undefined ? spec : { ...spec, cache });
  const startedAt = hands.clock.now();
  const credentials = await ensureCredentials(hands, runner, resumed, signal);
  return { credentials, startedMs: startedAt - begunAt, registeredMs: hands.clock.now() - startedAt };
}

/** Lost tokens are never recovered, nor are those that an earlier process gave back without living to note it: a new registration is made. */
async function ensureCredentials(hands: Hands, runner: Runner, resumed: boolean, signal: AbortSignal): Promise<Credentials> {
  const forge = forgeOf(hands, runner.forge);
  const { credentials: stored, ...bare } = runner;
  if (stored !== undefined) {
    hands.log.conceal(stored.token);
    if (!resumed || (await forge.registered(stored.id, signal))) return stored;
    await hands.ledger.save(bare);
  }
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

async function stop(hands: Hands, action: Of<'stop'>): Promise<void> {
  const runner = hands.ledger.get(action.id);
  if (runner === undefined) return;
  // Looked at again each time: a stop that was not delivered may find that the job was handed out meanwhile.
  const reason = await reasonToStop(hands, runner, action.reason);
  // How it ended by itself meanwhile is the truth about it.
  if (isDoubtful(action.reason) && runner.stop === undefined && (await hasEnded(hands, runner))) return;
  if (reason === undefined) {
    const { stop: takenBack, ...working } = hands.ledger.get(runner.id) ?? runner;
    return takenBack === undefined ? undefined : hands.ledger.save(working);
  }
  if (runner.stop === undefined) {
    await hands.ledger.save({ ...runner, stop: { reason, at: hands.clock.now() } });
    hands.log.info('stop', { by: byOf(hands), ...factsOf(runner), reason, graceMs: action.graceMs });
  }
  const graceMs = reason === 'cancelled' && (await offersInVain(hands, runner)) ? 0 : action.graceMs;
  await hands.driver.stop(runner.machine, graceMs);
}

/**
 * Record last. What may still be at work is ended before the forge is asked anything: a machine without an exit record is removed, of one that
 * died all that outlived it is killed. How it ended is written down beside the rest, because a crash half way leaves nothing on the host that
 * says so; not before it, because removing is what frees a full disk.
 */
async function finalize(hands: Hands, action: Of<'finalize'>): Promise<void> {
  const { driver, ledger, clock, log } = hands;
  const known = ledger.get(action.id);
  if (known === undefined) return;
  const { reason, exit } = action;
  const ending = known.ending ?? { reason, ...(exit === undefined ? {} : { exit }), at: clock.now() };
  const runner = { ...known, ending };
  const toNote = reason !== 'finished' && known.credentials !== undefined && known.ending === undefined;
  if (reason !== 'finished' && exit !== undefined) await driver.stop(runner.machine, 0);
  const machineGone = driver.remove(runner.machine);
  if (exit === undefined) await machineGone;
  const outcomes = await Promise.allSettled([machineGone, release(hands, runner, ending), ...(toNote ? [ledger.save(runner)] : [])]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  await ledger.erase(runner.id);
  log.info('finalize', {
    by: byOf(hands),
    ...factsOf(runner),
    reason,
    tookMs: clock.now() - runner.createdAt,
    cleanMs: clock.now() - ending.at,
    ...ranOf(runner, ending),
    ...(exit === undefined ? {} : { exit }),
  });
}

/** How long the job ran: from its pick-up, or from the hand-over when it was over before it was seen to run. */
function ranOf({ pickedAt, assignedAt }: Runner, { reason, at }: NonNullable<Runner['ending']>): Facts {
  const from = pickedAt ?? (reason === 'finished' ? assignedAt : undefined);
  return from === undefined ? {} : { ranMs: at - from };
}

/**
 * The forge's side of an end: tells it of a job that our runner left unended, then gives the registration back. The registration of a forge
 * that left the configuration cannot be reached any more; its machine must still go.
 */
async function release(hands: Hands, runner: Runner, ending: NonNullable<Runner['ending']>): Promise<void> {
  const { credentials } = runner;
  if (!hands.forges.has(runner.forge)) return;
  if (credentials === undefined) return unregisterByName(hands, runner);
  const forge = forgeOf(hands, runner.forge);
  // Forgejo itself deletes the registration of a job that ended: nearly always there is nothing left to do.
  if (!(await forge.registered(credentials.id))) return;
  const tasks = runner.taskId === undefined ? await tasksOf(hands, runner) : [runner.taskId];
  const told = tasks.length > 0 && (await report(hands, runner, credentials, tasks, ending));
  if (!told && (await forge.registration(credentials.id))?.status === 'active') {
    throw new ControllerError('FORGE_UNREACHABLE', `\`${runner.forge}\` lists no running job for ${runner.id}, which reported just now`);
  }
  await forge.unregister(credentials.id);
}

/** Without this the job would run on in Forgejo's eyes until its zombie clock, ten minutes and more. */
async function report(
  hands: Hands,
  runner: Runner,
  credentials: Credentials,
  tasks: readonly number[],
  ending: NonNullable<Runner['ending']>,
): Promise<boolean> {
  const policy = hands.policy();
  const output = await hands.driver.output(runner.machine);
  const lines = terminationLinesOf({ runner, ending, profile: profileOf(runner, policy), policy, output });
  for (const task of tasks) {
    const outcome = await forgeOf(hands, runner.forge).reportFailure(credentials, task, lines);
    if (outcome === 'reported') hands.log.warn('report', { ...factsOf(runner), reason: ending.reason, task }, lines[0]);
    if (outcome === 'reported') return true;
  }
  // Of those that were only supposed none was its own.
  return !isJobless(runner);
}
