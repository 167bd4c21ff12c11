// Promises the answers of /api/v1 about runners and jobs, from the Snapshot, and about the plan, from a look at the world. Pure.

import type { EndReason, Action, Plan as CorePlan, StopReason, World } from '../core/model.ts';
import { isWarmId } from '../core/naming.ts';
import type { Snapshot } from '../core/snapshot.ts';
import type { CoolReason } from '../core/warmth.ts';
import { guessesOf } from './guess.ts';
import { endedOf, runnerOf, waitingOf, type Show } from './status.ts';
import type { Jobs, Plan, Runners, Sweep } from './wire-v1.ts';

/** What a look at the world found, and what would be done. */
export type Preview = CorePlan & { readonly world: World };

const plannedShown = 1_000;

/** Which jobs are asked for, and how many of each state. */
type Wanted = { readonly state: Jobs['jobs'][number]['state'] | undefined; readonly limit: number };

/** `at` makes a path of this API from one without the base path. */
export function runnersOf({ runners }: Snapshot, iso: Show, at: (path: string) => string): Runners {
  return {
    runners: runners.map((runner) => ({
      ...runnerOf(runner, iso),
      links: {
        explain: runner.job.id === 0 ? null : at(`/api/v1/explain?job=${runner.job.id}`),
        stop: at(`/api/v1/runners/${runner.id}/stop`),
      },
    })),
  };
}

export function jobsOf(snapshot: Snapshot, { state: wanted, limit }: Wanted, now: number, iso: Show): Jobs {
  const { denials, runners, ended } = snapshot;
  const guess = guessesOf(snapshot, now, iso);
  const of = <T, J>(state: Jobs['jobs'][number]['state'], all: readonly T[], order: (a: T, b: T) => number, show: (each: T) => J): J[] =>
    wanted === undefined || wanted === state ? all.toSorted(order).slice(0, limit).map(show) : [];
  return {
    jobs: [
      ...of('waiting', denials, inLine, (denial) => waitingJobOf(denial, guess(denial))),
      ...of(
        'running',
        runners,
        (a, b) => b.createdAt - a.createdAt,
        (runner) => runningJobOf(runner, iso),
      ),
      ...of(
        'done',
        ended,
        (a, b) => b.endedAt - a.endedAt,
        (view) => doneJobOf(view, iso),
      ),
    ],
    total: { waiting: denials.length, running: runners.length, done: ended.length },
  };
}

type Denied = Snapshot['denials'][number];

/** Who has a place first, in its order; then who has none, newest first. */
function inLine(a: Denied, b: Denied): number {
  const place = ({ position }: Denied): number => position ?? Number.MAX_SAFE_INTEGER;
  return place(a) - place(b) || b.job.id - a.job.id;
}

type Waiting = Extract<Jobs['jobs'][number], { state: 'waiting' }>;

export function waitingJobOf(denial: Denied, estimate: Waiting['estimate']): Waiting {
  const { name: _, ...shown } = waitingOf(denial, estimate);
  return { state: 'waiting', ...shown };
}

export function runningJobOf(runner: Snapshot['runners'][number], iso: Show): Jobs['jobs'][number] {
  const { id, ...shown } = runnerOf(runner, iso);
  return { state: 'running', runner: id, ...shown };
}

export function doneJobOf(ended: Snapshot['ended'][number], iso: Show): Jobs['jobs'][number] {
  const { id, ...shown } = endedOf(ended, iso);
  return { state: 'done', runner: id, ...shown };
}

export function planOf(
  { world, actions, denials }: Preview,
  snapshot: Snapshot,
  now: number,
  iso: Show,
  mask: (text: string) => string,
): Plan {
  const guess = guessesOf({ ...snapshot, denials }, now, iso);
  return {
    at: iso(now),
    actions: actions.map(actionOf),
    under_way: [...world.inFlight].toSorted(),
    not_started: denials
      .slice(0, plannedShown)
      .map((denial) => waitingJobOf({ ...denial, sentence: mask(denial.sentence) }, guess(denial))),
    not_started_left_out: Math.max(0, denials.length - plannedShown),
    unknown: unknownOf(world).map(mask),
  };
}

/** What of the plan is removal of what no record speaks of. */
export function sweepOf(preview: Preview, snapshot: Snapshot, dryRun: boolean, mask: (text: string) => string): Sweep {
  const sweep = preview.actions.filter(({ kind }) => kind.startsWith('sweep-')).map(actionOf);
  const count = `${sweep.length} ${sweep.length === 1 ? 'thing' : 'things'}`;
  return {
    dry_run: dryRun,
    sweep,
    leftovers: snapshot.leftovers.map(({ kind, name }) => ({ kind, name })),
    unknown: unknownOf(preview.world).map(mask),
    sentence: dryRun ? `${count} would be removed; nothing was done` : `${count} to remove were seen; the maintenance has begun`,
  };
}

function actionOf(action: Action): Plan['actions'][number] {
  const { kind, id } = action;
  const why = whyOf(action);
  if (kind === 'warm' || kind === 'cool')
    return { kind, id, forge: null, job_id: null, profile: action.profile, reason: kind === 'cool' ? action.reason : null, why };
  if (kind === 'sweep-machine') return { kind, id, forge: null, job_id: null, profile: null, reason: null, why };
  if (kind === 'sweep-registration') return { kind, id, forge: action.forge, job_id: null, profile: null, reason: null, why };
  const { forge, job, profile } = action.runner;
  return { kind, id, forge, job_id: job.id, profile, reason: 'reason' in action ? action.reason : null, why };
}

function whyOf(action: Action): string {
  if (action.kind === 'warm') return `profile ${action.profile} keeps machines that wait for jobs, and has too few`;
  if (action.kind === 'cool') return `it waits for jobs of profile ${action.profile}, and ${coolReasons[action.reason]}`;
  if (action.kind === 'sweep-machine') return 'it bears our mark, and no record speaks of it';
  if (action.kind === 'sweep-registration') return `${action.registration.name} bears our mark, and no record speaks of it`;
  const { job, profile, credentials } = action.runner;
  const { dispatch } = action.runner;
  if (action.kind === 'launch' && dispatch !== undefined)
    return `it was dispatched to take whatever job comes for ${job.labels.join(', ')}`;
  if (action.kind === 'launch')
    return credentials === undefined
      ? `job ${job.id} waits, and profile ${profile} serves it${warmlyOf(action.id)}`
      : 'its start is gone through once more';
  if (action.kind === 'confirm' && dispatch !== undefined)
    return 'the forge lists a running job that may be its own: whether it has one is asked';
  if (action.kind === 'confirm') return `the forge lists job ${job.id} as running: whether it is our runner that has it is asked`;
  return reasons[action.reason];
}

/** The end of a sentence that a machine starts for a job. */
export function warmlyOf(id: string): string {
  return isWarmId(id) ? ' on a warm machine' : '';
}

const coolReasons: Readonly<Record<CoolReason, string>> = {
  died: 'it has ended',
  'start-timeout': 'it did not come up in time',
  outdated: 'such a machine is made of something else now',
  aged: 'it has waited for as long as one may',
  unused: 'that profile had no job for long',
  surplus: 'that profile wants fewer',
  room: 'a job needs its place',
  draining: 'nothing more is started',
};

const reasons: Readonly<Record<EndReason | StopReason, string>> = {
  'start-timeout': 'its machine did not come up in time',
  unpicked: 'Forgejo did not hand it the job in time',
  'job-timeout': 'its job ran longer than its profile allows',
  cancelled: 'Forgejo ended its job (cancelled, most likely)',
  'job-gone': 'its job left the list of its forge',
  'start-failed': 'its machine could not be made',
  'no-job': 'it was dispatched, and no job came to it',
  ttl: 'the time for which it was dispatched is over',
  operator: 'an operator asked for it',
  finished: 'its machine ended by itself after its job',
  'machine-failed': 'its machine died',
  'machine-lost': 'its machine vanished without a record of its end',
};

/** Why a runner ended, as the end of a sentence; a reason of a newer record is said as it is. */
export function endSentenceOf(reason: string): string {
  return Object.entries(reasons).find(([name]) => name === reason)?.[1] ?? reason;
}

/** What could not be read; registrations that nobody asked for are not missed. */
function unknownOf({ machines, room, jobs, registrations }: World): string[] {
  return [
    ...told('the machines of this host', machines),
    ...told('the free space of this host', room),
    ...[...jobs].flatMap(([forge, reading]) => told(`the jobs of forge ${forge}`, reading)),
    ...[...registrations].flatMap(([forge, reading]) => told(`the registrations of forge ${forge}`, reading)),
  ];
}

function told(what: string, reading: { readonly state: string; readonly reason?: string }): string[] {
  return reading.state === 'known' ? [] : [`${what}: ${reading.reason ?? 'unknown'}`];
}
