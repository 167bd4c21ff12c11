// Promises what is asked once more before it is believed: that a job which runs is ours, and that a machine which seems to be of no use any more
// may be ended (I9). What was asked holds when the stop arrives, for nothing more is handed to that machine meanwhile.

import { candidatesOf, isJobless } from '../core/dispatch.ts';
import { profileOf } from '../core/lifecycle.ts';
import { jobKeyOf } from '../core/naming.ts';
import type { Credentials, Job, Runner, RunnerId, StopReason } from '../core/model.ts';
import { noteJob, recognise } from './dispatch.ts';
import { factsOf, forgeOf, keyOf, type Hands } from './hands.ts';

type Picked = { readonly id: RunnerId; readonly taskId: number };

/** The forge says that the job runs: it is ours if our registration reports, and somebody else's if it sits idle for the whole clock. */
export async function confirm(hands: Hands, { id, taskId }: Picked): Promise<void> {
  const runner = hands.ledger.get(id);
  if (runner?.credentials === undefined) return;
  if (isJobless(runner)) return recognise(hands, runner, runner.credentials);
  const registration = await forgeOf(hands, runner.forge).registration(runner.credentials.id);
  const now = hands.clock.now();
  if (registration?.status === 'active') {
    await hands.ledger.save({ ...runner, pickedAt: now, ...(taskId > 0 ? { taskId } : {}) });
    const waited = runner.assignedAt === undefined ? {} : { pickMs: now - runner.assignedAt };
    hands.log.info('picked', { ...factsOf(runner), afterMs: now - runner.createdAt, ...waited });
    return;
  }
  const overdue = now - (runner.assignedAt ?? runner.createdAt) > profileOf(runner, hands.policy()).timeouts.pickMs;
  if (runner.missedAt === undefined && registration?.status === 'idle' && overdue) await hands.ledger.save({ ...runner, missedAt: now });
}

export function isDoubtful(reason: StopReason): boolean {
  return reason === 'job-gone' || reason === 'unpicked' || reason === 'cancelled' || reason === 'no-job';
}

export async function hasEnded({ driver }: Hands, { machine }: Runner): Promise<boolean> {
  return (await driver.list()).some(({ id, state }) => id === machine && state === 'exited');
}

/**
 * A runner whose job Forgejo has ended is through with its steps, and with whatever cleans up after them, when it begins to offer their end;
 * nobody takes it, and it would go on for more than a minute. In its own words (`uploading final logs failed, but will be retried`).
 */
export async function offersInVain({ driver }: Hands, { machine }: Runner): Promise<boolean> {
  return (await driver.output(machine)).some((line) => /uploading final (?:logs|status) failed/.test(line));
}

/**
 * Undefined when the machine may be at work. What may still be handed to it after the first look is withheld before the second, so that the
 * answer holds until the stop has arrived; the server keeps it, and no crash has anything to undo (decisions/0017).
 */
export async function reasonToStop(hands: Hands, runner: Runner, reason: StopReason): Promise<StopReason | undefined> {
  const { credentials } = runner;
  if (!isDoubtful(reason) || credentials === undefined || runner.stop?.reason === 'cancelled') return reason;
  const seen = await lookAgain(hands, runner, credentials, reason);
  if (seen === undefined || seen === 'cancelled') return seen;
  await forgeOf(hands, runner.forge).withhold(credentials);
  return lookAgain(hands, runner, credentials, reason);
}

/**
 * The list may be behind, the repository may have moved out of sight, the job may have been handed out this moment: that is noted at once, for
 * the next poll may be a minute away. A runner that reports is at work, and one whose job has just begun to run may be. Forgejo deletes the
 * registration of a job that has ended, however it did; so a machine without one had its job, and is given the time to say how that went.
 */
async function lookAgain(hands: Hands, runner: Runner, { id }: Credentials, reason: StopReason): Promise<StopReason | undefined> {
  const job = reason === 'unpicked' ? await jobOf(hands, runner) : undefined;
  if (job?.state === 'running' && runner.missedAt === undefined) {
    await confirm(hands, { id: runner.id, taskId: job.taskId });
    return undefined;
  }
  const registration = await forgeOf(hands, runner.forge).registration(id);
  if (registration?.status === 'active') {
    if (isJobless(runner)) await noteJob(hands, runner);
    return undefined;
  }
  if (registration === undefined) {
    if (reason === 'cancelled' || runner.stop !== undefined) return reason;
    return reason === 'unpicked' && job !== undefined ? reason : undefined;
  }
  // A forge that has just come back calls workers idle.
  if (hands.fresh(runner.forge)) return undefined;
  return reason === 'cancelled' ? 'job-gone' : reason;
}

/** The runner's job as the forge lists it now. */
async function jobOf(hands: Hands, runner: Runner): Promise<Job | undefined> {
  const key = keyOf(runner);
  return (await forgeOf(hands, runner.forge).jobs()).find((each) => jobKeyOf(each) === key);
}

/** Tasks of which one is that of the runner's job, if that runs now: its own, be it ours or another runner's; where its job is not known all that it may be. */
export async function tasksOf(hands: Hands, runner: Runner): Promise<readonly number[]> {
  if (isJobless(runner)) return candidatesOf(runner, await forgeOf(hands, runner.forge).jobs()).map(({ taskId }) => taskId);
  const job = await jobOf(hands, runner);
  return job?.state === 'running' && job.taskId > 0 ? [job.taskId] : [];
}
