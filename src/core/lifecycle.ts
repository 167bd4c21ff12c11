// Promises the next step of one runner: pure, at most one action, computed from stored facts and `now` alone (I5). A machine that works is
// stopped only for its deadline, its cancel or an operator (I9), and nothing destructive rests on a failed read (I2).

import { dueOf, isJobless, isWanted, untilOf } from './dispatch.ts';
import { jobKeyOf } from './naming.ts';
import type { Absence } from './memory.ts';
import type {
  Action,
  EndReason,
  Job,
  JobList,
  Machine,
  MachineExit,
  Policy,
  Profile,
  Reading,
  Runner,
  StopReason,
  World,
} from './model.ts';
import type { Phase } from './snapshot.ts';

/** How often a job must be missing from good polls before its machine is asked to end: one poll may have raced with the job's start. */
const pollsUntilGone = 2;
/** A server that was away calls a runner idle until it reports again: who took the job is sure when ours was idle for this long. */
const missedForMs = 10_000;
/** What a stop may take beyond its grace, when systemd has killed what did not obey, before the machine is removed by force. */
const forceAfterMs = 2_000;

/** The job of a runner as the forge lists it now. `unknown`: not read. `absent`: a good list without it. */
export type JobSighting =
  | { readonly state: 'unknown' }
  | { readonly state: 'absent' }
  | { readonly state: 'waiting' | 'running'; readonly job: Job };

export function sightingOf(runner: Runner, reading: Reading<JobList> | undefined, index?: ReadonlyMap<string, Job>): JobSighting {
  if (reading?.state !== 'known') return { state: 'unknown' };
  const key = jobKeyOf({ forge: runner.forge, ...runner.job });
  const job = index === undefined ? reading.value.jobs.find((each) => jobKeyOf(each) === key) : index.get(key);
  return job === undefined ? { state: 'absent' } : { state: job.state, job };
}

/** Where a runner is in its life. */
export function phaseOf(runner: Runner, machine: Machine | undefined): Phase {
  if (machine?.state === 'exited') return 'finalizing';
  if (runner.stop !== undefined) return 'stopping';
  if (runner.assignedAt === undefined && machine?.state !== 'running') return 'launching';
  return runner.pickedAt === undefined ? 'waiting-for-job' : 'busy';
}

/** How a machine's own end is to be called. */
function endReasonOf(runner: Runner, machine: Machine): EndReason {
  if (runner.stop !== undefined) return runner.stop.reason;
  const exit = machine.exit;
  if (exit === undefined || exit.result === 'lost') return 'machine-lost';
  if (exit.result === 'timeout') return 'job-timeout';
  return exit.result === 'success' ? 'finished' : 'machine-failed';
}

type Facts = {
  readonly runner: Runner;
  readonly machine: Machine | undefined;
  readonly job: JobSighting;
  /** Of one that was dispatched: a job that it may have. */
  readonly suspect: Job | undefined;
  readonly absence: Absence | undefined;
  readonly profile: Profile;
  readonly policy: Policy;
  readonly now: number;
  /** An operator asked for its end, or for that of everything. */
  readonly condemned: boolean;
};

/**
 * The one action that is due for a runner, if any. The caller has made sure that no action of this id is under way and that the machines
 * are known. A step that failed waits for its next try; another one that has become due meanwhile does not.
 */
export function stepOf(
  runner: Runner,
  machine: Machine | undefined,
  world: World,
  policy: Policy,
  now: number,
  job: JobSighting,
  suspect?: Job,
): Action | undefined {
  const retry = world.retries.get(runner.id);
  const condemned = policy.mode === 'ending' || world.condemned.has(runner.id);
  const absence = world.absences.get(runner.id);
  const facts: Facts = { runner, machine, job, suspect, absence, profile: profileOf(runner, policy), policy, now, condemned };
  const ending = world.endings.get(runner.id) ?? runner.ending;
  const step = ending === undefined ? dueStepOf(facts, retry?.attempts ?? 0) : finalize(runner, ending.reason, ending.exit);
  return step !== undefined && retry?.action === step.kind && retry.at > now ? undefined : step;
}

/** Half made when the controller or the host went. Without a registration on the record nothing can be inside: it can be made again. */
function wasCutShort(runner: Runner, { exit }: Machine): boolean {
  return isJobless(runner) && runner.credentials === undefined && exit?.result === 'lost';
}

function dueStepOf(facts: Facts, attempts: number): Action | undefined {
  const { runner, machine } = facts;
  // A job whose start was cut short is tried anew with another runner; whoever asked for this one was told that it is its.
  if (machine?.state === 'exited' && !wasCutShort(runner, machine)) return finalize(runner, endReasonOf(runner, machine), machine.exit);
  if (runner.stop !== undefined) return stepOfStopping(facts, runner.stop);
  if (machine === undefined && runner.assignedAt !== undefined) return finalize(runner, 'machine-lost');
  if (facts.condemned) return machine?.state === 'running' ? stop(facts, 'operator') : finalize(runner, 'operator');
  if (machine?.state === 'running') {
    // Handed over, but not on the record: the launch is gone through once more, so that the clocks have a fact to start from.
    return runner.assignedAt === undefined ? { kind: 'launch', id: runner.id, runner } : stepOfAssigned(facts, runner.assignedAt);
  }
  return stepOfLaunching(facts, attempts);
}

/** The profile a runner was made for, with the clocks it was made with. For one that has left the configuration the first stands in. */
export function profileOf(runner: Pick<Runner, 'profile' | 'timeouts'>, policy: Policy): Profile {
  const profile = policy.profiles.find((each) => each.name === runner.profile) ?? policy.profiles[0];
  if (profile === undefined) throw new Error('a policy without profiles: the configuration must refuse it');
  return runner.timeouts === undefined ? profile : { ...profile, timeouts: runner.timeouts };
}

function finalize(runner: Runner, reason: EndReason, exit?: MachineExit): Action {
  return { kind: 'finalize', id: runner.id, runner, reason, ...(exit === undefined ? {} : { exit }) };
}

function stop(facts: Facts, reason: StopReason): Action {
  return { kind: 'stop', id: facts.runner.id, runner: facts.runner, reason, graceMs: facts.profile.timeouts.stopMs };
}

/** A stop that was recorded may never have been delivered: it is asked again until the grace is over, then the machine is removed. */
function stepOfStopping(facts: Facts, stopping: NonNullable<Runner['stop']>): Action {
  const { runner, machine, profile, now } = facts;
  if (machine === undefined) return finalize(runner, stopping.reason);
  if (now - stopping.at > profile.timeouts.stopMs + forceAfterMs) return finalize(runner, stopping.reason);
  return stop(facts, stopping.reason);
}

/** Not assigned yet: nothing of the job is inside, so the machine can simply be taken away. */
function stepOfLaunching(facts: Facts, attempts: number): Action {
  const { runner, machine, job, absence, profile, policy, now } = facts;
  if (isJobless(runner)) {
    if (!isWanted(runner, policy) || now > untilOf(runner)) return finalize(runner, 'no-job');
  } else if (job.state === 'running' || (job.state === 'absent' && (absence?.polls ?? 0) >= pollsUntilGone))
    return finalize(runner, 'job-gone');
  // No other profile's machine may be made in its place: the job goes back and is matched anew.
  if (machine === undefined && !policy.profiles.some(({ name }) => name === runner.profile)) return finalize(runner, 'start-failed');
  if (now - runner.createdAt > profile.timeouts.startMs) return finalize(runner, attempts > 0 ? 'start-failed' : 'start-timeout');
  return { kind: 'launch', id: runner.id, runner };
}

/** Assigned: the job may be inside. Three clocks and one cancel, in the order of what is certain. */
function stepOfAssigned(facts: Facts, assignedAt: number): Action | undefined {
  const { runner, job, absence, profile, policy, now } = facts;
  const { pickMs, jobMs } = profile.timeouts;
  if (isJobless(runner)) return stepOfJobless(facts, assignedAt);
  if (now > untilOf(runner)) return stop(facts, 'ttl');
  // Whoever was not seen to pick may have picked at the last moment of the un-picked clock.
  if (now - (runner.pickedAt ?? assignedAt + pickMs) > jobMs) return stop(facts, 'job-timeout');
  if (job.state === 'absent') {
    if (absence === undefined || absence.polls < pollsUntilGone) return undefined;
    // The machine of a job that has ended leaves by itself and says how it went; a quick one's may never have been seen to pick it.
    if (now - absence.since >= policy.goneGraceMs) return stop(facts, 'cancelled');
    return runner.pickedAt === undefined ? stop(facts, 'job-gone') : undefined;
  }
  if (runner.pickedAt !== undefined) return undefined;
  const overdue = now - assignedAt > pickMs;
  if (job.state === 'waiting' && overdue) return stop(facts, 'unpicked');
  if (job.state !== 'running') return undefined;
  return runner.missedAt !== undefined && overdue && now - runner.missedAt >= missedForMs
    ? stop(facts, 'unpicked')
    : { kind: 'confirm', id: runner.id, runner, taskId: job.job.taskId };
}

/** It waits for whichever job comes first, or has one that nobody knows yet. */
function stepOfJobless(facts: Facts, assignedAt: number): Action | undefined {
  const { runner, policy, now, suspect } = facts;
  const due = dueOf({ runner, assignedAt, policy, now, suspect });
  if (due === undefined || typeof due === 'string') return due === undefined ? undefined : stop(facts, due);
  return { kind: 'confirm', id: runner.id, runner, taskId: due.taskId };
}
