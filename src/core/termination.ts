// Promises the words for a machine's end: one sentence that says why, and the lines that go into the log of a job that ended with it. Pure.

import type { Ending, EndReason, MachineExit, Policy, Profile, Runner } from './model.ts';

/** What ended the machine, as the second half of a sentence: "the container ...". */
export function causeOf({ reason, exit }: Ending, profile: Profile): string {
  return causes[reason](profile, exit);
}

/** How a runner ended, as one short sentence for a list: what to look at first is in it. */
export function summaryOf({ reason, exit }: Ending, profile: Profile): string {
  const { oomKills = 0, result = '' } = exit ?? {};
  const starved = oomKills > 0 || result === 'oom-kill';
  if (reason === 'machine-failed' && starved) return `killed: ${memoryLimitOf(profile)}`;
  if (reason !== 'finished') return causeOf({ reason, ...(exit === undefined ? {} : { exit }) }, profile);
  if (!starved) return 'ended by itself';
  return `ended by itself; ${oomKills} process${oomKills === 1 ? '' : 'es'} in it killed: ${memoryLimitOf(profile)}`;
}

function memoryLimitOf({ limits }: Profile): string {
  return limits.memoryBytes === undefined ? 'the host had no memory left' : `memory limit ${sizeOf(limits.memoryBytes)}`;
}

const causes: Readonly<Record<EndReason, (profile: Profile, exit: MachineExit | undefined) => string>> = {
  finished: () => 'ended by itself before its result had reached Forgejo',
  'machine-lost': () => 'vanished without a record of its end: the host was restarted, most likely',
  'machine-failed': (profile, exit) => (exit === undefined ? 'died' : deathOf(exit, profile)),
  'job-timeout': ({ name, timeouts }) =>
    `was stopped because the job ran longer than ${durationOf(timeouts.jobMs)}, the limit of profile ${name}`,
  cancelled: () => 'was stopped because Forgejo had ended the job (cancelled, most likely)',
  'job-gone': () => 'was stopped because the job had left the list of Forgejo',
  unpicked: ({ timeouts }) => `was stopped because Forgejo did not hand it the job within ${durationOf(timeouts.pickMs)}`,
  'start-timeout': ({ timeouts }) => `was given up because it did not come up within ${durationOf(timeouts.startMs)}`,
  'start-failed': () => 'was given up because it could not be made',
  'no-job': () =>
    'was stopped because no job had come to it in the time for which it was dispatched, or before nothing more of its kind was to be started',
  ttl: () => 'was stopped because the time for which it was dispatched (its ttl) was over',
  operator: () => 'was ended by an operator of this controller',
};

/** Every kind of end that systemd.exec(5) lists for $SERVICE_RESULT and that a machine of ours can meet. */
function deathOf({ result, code, status, oomKills = 0 }: MachineExit, profile: Profile): string {
  const limit = memoryLimitOf(profile);
  if (result === 'oom-kill') return `was killed for want of memory (${limit})`;
  const starved = oomKills > 0 ? `, after processes in it were killed for want of memory (${limit})` : '';
  if (code === 'killed' || code === 'dumped') return `was killed by signal ${status}${starved}`;
  if (code !== 'exited') return `died (${result})${starved}`;
  const number = Number(status);
  const signal = number > 128 && number < 160 ? `, signal ${number - 128}` : '';
  return `ended with exit code ${status}${signal}${starved}`;
}

export type Termination = {
  readonly runner: Runner;
  readonly ending: Ending & { readonly at: number };
  readonly profile: Profile;
  readonly policy: Pick<Policy, 'controllerId'>;
  /** The last lines of the machine's console. */
  readonly output: readonly string[];
};

/** Lines for the log of a job that nobody else will end, the cause first. */
export function terminationLinesOf({ runner, ending, profile, policy, output }: Termination): readonly string[] {
  const ran = durationOf(Math.max(0, ending.at - (runner.pickedAt ?? runner.assignedAt ?? runner.createdAt)));
  return [
    `forgejo-runner-controller: the container of this job ${causeOf(ending, profile)}. The job is reported as failed.`,
    `  container ${runner.machine} of profile ${runner.profile}, controller ${policy.controllerId}; it had the job for ${ran}`,
    ...memoryLinesOf(ending.exit, profile),
    ...(output.length === 0 ? [] : ['  the last lines of its console:', ...output.map((line) => `  | ${line}`)]),
  ];
}

function memoryLinesOf(exit: MachineExit | undefined, profile: Profile): readonly string[] {
  if (exit?.memoryPeakBytes === undefined) return [];
  const { memoryBytes } = profile.limits;
  const limit = memoryBytes === undefined ? 'no limit' : `limit ${sizeOf(memoryBytes)}`;
  const killed = exit.oomKills === undefined || exit.oomKills === 0 ? '' : `; killed for want of memory: ${exit.oomKills}`;
  return [`  memory: peak ${sizeOf(exit.memoryPeakBytes)}, ${limit}${killed}`];
}

function sizeOf(bytes: number): string {
  const [value, unit] = bytes >= 2 ** 30 ? [(bytes / 2 ** 30).toFixed(2), 'GiB'] : [(bytes / 2 ** 20).toFixed(1), 'MiB'];
  return `${value.replace(/\.0+$/, '')} ${unit}`;
}

/** `1.5 s`, `12 min`, `3.5 h`. */
export function durationOf(ms: number): string {
  if (ms < 120_000) return `${Number((ms / 1000).toFixed(1))} s`;
  const minutes = Math.round(ms / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Number((minutes / 60).toFixed(1))} h`;
}
