// Promises the one mapping from the Snapshot to the JSON of /status. Fields are named one by one, so nothing unforeseen gets out (I7). Pure.

import type { Denial, ForgeName, MachineExit, Scope } from '../core/model.ts';
import type { EndedView, ForgeView, RunnerView, Snapshot } from '../core/snapshot.ts';
import { untilOf } from '../core/dispatch.ts';
import { guessesOf } from './guess.ts';
import type { Status } from './wire.ts';

/** What the answers need from the configuration. */
export type ApiSettings = {
  readonly maxConcurrent: number;
  readonly pollIntervalMs: number;
  readonly jobTimeoutMs: number;
  /** Which configuration is in force, see configHashOf. */
  readonly configHash: string;
  readonly forges: readonly {
    readonly name: ForgeName;
    readonly pollIntervalMs: number;
    readonly webhook?: { readonly secretFile: string; readonly pollIntervalMs: number };
  }[];
  /** How the configuration was read again last, if it was. */
  readonly reload?: Reload;
};

/** `error`: why it was refused whole; the one before is still in force. `waiting`: what takes effect at the next start only. */
export type Reload = { readonly at: number; readonly by: string; readonly error?: string; readonly waiting: readonly string[] };

/** A moment of the time line as ISO 8601 of the wall clock. */
export type Show = (at: number) => string;

/** Anybody's workflow may make jobs wait, and an answer is built in one go. */
const waitingShown = 1_000;
/** /api/v1/jobs has them all. */
const recentShown = 200;

/** /status at `now`. The snapshot's times are those of the time line; `wallOf` says what the wall clock showed then. */
export function statusOf(snapshot: Snapshot, settings: ApiSettings, now: number, wallOf: (at: number) => number): Status {
  const { capacity } = snapshot;
  const iso: Show = (at) => new Date(wallOf(at)).toISOString();
  const guess = guessesOf(snapshot, now, iso);
  return {
    controller_id: snapshot.controllerId,
    version: snapshot.version,
    config_hash: settings.configHash,
    reload: reloadOf(settings.reload, iso),
    started_at: iso(snapshot.startedAt),
    observed_at: orNull(snapshot.tickAt, iso),
    ticks: snapshot.ticks,
    tick_ms: snapshot.tickMs ?? null,
    draining: snapshot.draining,
    drain: snapshot.drain === undefined ? null : { ...snapshot.drain, since: iso(snapshot.drain.since) },
    max_concurrent: settings.maxConcurrent,
    poll_interval_seconds: settings.pollIntervalMs / 1000,
    job_timeout_seconds: settings.jobTimeoutMs / 1000,
    active_containers: snapshot.runners.filter(isActive).map((runner) => ({
      name: runner.machine,
      job_id: runner.job.id,
      running_seconds: secondsBetween(runner.assignedAt ?? runner.createdAt, now),
      forge: runner.forge,
      profile: runner.profile,
      phase: runner.phase,
    })),
    warm_containers: snapshot.warm.map(({ id, profile, state, startedAt }) => ({
      name: id,
      profile,
      state,
      since: iso(startedAt),
    })),
    waiting_jobs: snapshot.denials.slice(0, waitingShown).map((denial) => waitingOf(denial, guess(denial))),
    waiting_jobs_left_out: Math.max(0, snapshot.denials.length - waitingShown),
    forges: snapshot.forges.map((forge) => forgeOf(forge, settings, iso)),
    runners: snapshot.runners.map((runner) => runnerOf(runner, iso)),
    recent: snapshot.ended.slice(0, recentShown).map((ended) => endedOf(ended, iso)),
    capacity: {
      max: capacity.max,
      used: capacity.used,
      free: Math.max(0, capacity.max - capacity.used),
      profiles: capacity.profiles.map(({ name, labels, used, max, warm }) => ({
        name,
        labels: [...labels],
        used,
        max: max ?? null,
        warm: warm === undefined ? null : { min: warm.min, rests_until: orNull(warm.restUntil, iso) },
      })),
    },
    back_offs: snapshot.backOffs.map(({ key, forge, repositoryId, until, count, reason }) => ({
      key,
      forge,
      repository_id: repositoryId,
      until: iso(until),
      count,
      reason,
    })),
    leftovers: snapshot.leftovers.map(({ kind, name }) => ({ kind, name })),
    quarantined: [...snapshot.quarantined],
    host: hostOf(snapshot.host, iso),
  };
}

function reloadOf(reload: Reload | undefined, iso: Show): Status['reload'] {
  if (reload === undefined) return null;
  const { at, by, error, waiting } = reload;
  return { at: iso(at), by, ok: error === undefined, error: error ?? null, waiting: [...waiting] };
}

function hostOf({ error, machines, room, full }: Snapshot['host'], iso: Show): Status['host'] {
  return {
    error: problemOf(error, iso),
    machines,
    free_bytes: room?.bytes ?? null,
    free_inodes: room?.inodes ?? null,
    full: full ?? null,
  };
}

/** The picture with every error's message masked: messages quote what the world said, and that may be anything. */
export function maskedOf(snapshot: Snapshot, mask: (text: string) => string): Snapshot {
  const masked = <E extends { readonly message: string }>(error: E): E => ({ ...error, message: mask(error.message) });
  const { host, forges, runners, denials } = snapshot;
  return {
    ...snapshot,
    // Every other sentence is made of names and numbers alone.
    denials: denials.map((denial) => (denial.reason === 'host-unknown' ? { ...denial, sentence: mask(denial.sentence) } : denial)),
    host: host.error === undefined ? host : { ...host, error: masked(host.error) },
    forges: forges.map((forge) => (forge.error === undefined ? forge : { ...forge, error: masked(forge.error) })),
    runners: runners.map((runner) => (runner.lastError === undefined ? runner : { ...runner, lastError: masked(runner.lastError) })),
  };
}

/** A machine is up or coming up for it. */
function isActive({ machineState }: RunnerView): boolean {
  return machineState === 'starting' || machineState === 'idle' || machineState === 'running';
}

type Waiting = Status['waiting_jobs'][number];

export function waitingOf({ job, reason, sentence, position }: Denial, estimate: Waiting['estimate']): Waiting {
  return {
    ...jobOf(job.forge, job),
    name: job.name,
    labels: [...job.labels],
    reason,
    sentence,
    position: position ?? null,
    estimate,
  };
}

export function runnerOf(runner: RunnerView, iso: Show): Status['runners'][number] {
  return {
    id: runner.id,
    ...jobOf(runner.forge, runner.job),
    labels: [...runner.job.labels],
    profile: runner.profile,
    dispatched_until: runner.dispatch === undefined ? null : iso(untilOf(runner)),
    machine: runner.machine,
    slot: runner.slot,
    phase: runner.phase,
    machine_state: runner.machineState ?? null,
    registration_id: runner.registrationId ?? null,
    scheduled_at: iso(runner.createdAt),
    assigned_at: orNull(runner.assignedAt, iso),
    picked_at: orNull(runner.pickedAt, iso),
    stop: runner.stop === undefined ? null : { reason: runner.stop.reason, at: iso(runner.stop.at) },
    attempts: runner.attempts,
    retry_at: runner.retryAt > 0 ? iso(runner.retryAt) : null,
    last_error: runner.lastError === undefined ? null : { code: runner.lastError.code, message: runner.lastError.message },
  };
}

export function endedOf(ended: EndedView, iso: Show): Status['recent'][number] {
  const { exit } = ended;
  return {
    id: ended.id,
    ...jobOf(ended.forge, ended.job),
    profile: ended.profile,
    scheduled_at: iso(ended.createdAt),
    assigned_at: orNull(ended.assignedAt, iso),
    picked_at: orNull(ended.pickedAt, iso),
    cleaning_at: orNull(ended.cleaningAt, iso),
    ended_at: iso(ended.endedAt),
    reason: ended.reason,
    cause: ended.cause ?? null,
    exit: exit === undefined ? null : exitOf(exit),
  };
}

function exitOf({ result, code, status, memoryPeakBytes, oomKills, cpuMs }: MachineExit): Status['recent'][number]['exit'] {
  const cpuSeconds = cpuMs === undefined ? null : cpuMs / 1000;
  return { result, code, status, memory_peak_bytes: memoryPeakBytes ?? null, oom_kills: oomKills ?? null, cpu_seconds: cpuSeconds };
}

function forgeOf(forge: ForgeView, settings: ApiSettings, iso: Show): Status['forges'][number] {
  const intervalMs = settings.forges.find(({ name }) => name === forge.name)?.pollIntervalMs ?? settings.pollIntervalMs;
  return {
    name: forge.name,
    url: forge.url,
    scope: scopeTextOf(forge.scope),
    version: forge.version ?? null,
    last_good_poll: orNull(forge.lastGoodPollAt, iso),
    poll_ms: forge.lastPollMs ?? null,
    polled: forge.unpolled !== true,
    poll_interval_seconds: intervalMs / 1000,
    last_webhook: orNull(forge.lastWebhookAt, iso),
    error: problemOf(forge.error, iso),
    waiting: forge.waiting,
    running: forge.running,
  };
}

type WireJob = {
  readonly forge: string;
  readonly job_id: number;
  readonly handle: string;
  readonly job_name: string;
  readonly repository_id: number;
  readonly attempt: number;
};

function jobOf(forge: ForgeName, { id, handle, name, repositoryId, attempt }: EndedView['job']): WireJob {
  return { forge, job_id: id, handle, job_name: name, repository_id: repositoryId, attempt };
}

/** `repository owner/name`, `organization name`, `user` or `instance`. */
function scopeTextOf(scope: Scope): string {
  if (scope.kind === 'repository') return `repository ${scope.owner}/${scope.name}`;
  return scope.kind === 'organization' ? `organization ${scope.name}` : scope.kind;
}

function problemOf(error: ForgeView['error'], iso: Show): { code: string; message: string; since: string } | null {
  return error === undefined ? null : { code: error.code, message: error.message, since: iso(error.since) };
}

function secondsBetween(from: number, to: number): number {
  return Math.max(0, Math.floor((to - from) / 1000));
}

function orNull(at: number | undefined, show: Show): string | null {
  return at === undefined ? null : show(at);
}
