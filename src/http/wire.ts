// Promises the JSON of the API as schemas and types: what the command line reads answers with, and what the service's answers are typed by
// (types only, so that the service does not load these). The ancestor's shape and more: snake_case, seconds, ISO times.

import * as z from 'zod';

export const time = z.iso.datetime();
const problem = z.object({ code: z.string(), message: z.string(), since: time });
const jobShape = {
  forge: z.string(),
  job_id: z.number(),
  handle: z.string(),
  job_name: z.string(),
  repository_id: z.number(),
  attempt: z.number(),
};

export const healthSchema = z.object({
  status: z.enum(['ok', 'stale']),
  /** True until the first picture is whole, or the time for it is over. */
  starting: z.boolean(),
  draining: z.boolean(),
  version: z.string(),
  controller_id: z.string(),
  reasons: z.array(z.string()),
});
export type Health = z.infer<typeof healthSchema>;

export const runnerSchema = z.object({
  id: z.string(),
  ...jobShape,
  labels: z.array(z.string()),
  profile: z.string(),
  /** Of one that was dispatched, whose job_id is 0 until it is known which job it has: when its time is over. */
  dispatched_until: time.nullable(),
  machine: z.string(),
  slot: z.number(),
  phase: z.string(),
  machine_state: z.string().nullable(),
  registration_id: z.number().nullable(),
  /** When the runner was made for its job. */
  scheduled_at: time,
  assigned_at: time.nullable(),
  picked_at: time.nullable(),
  stop: z.object({ reason: z.string(), at: time }).nullable(),
  attempts: z.number(),
  retry_at: time.nullable(),
  last_error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

export const waitingSchema = z.object({
  ...jobShape,
  name: z.string(),
  labels: z.array(z.string()),
  reason: z.string(),
  sentence: z.string(),
  /** Place in the fair order, from 1; null for what cannot be started at all. */
  position: z.number().nullable(),
  estimate: z.object({
    /** A guess, never a promise; null = unknown. */
    start_at: time.nullable(),
    /** The fewest ended jobs that any duration in the guess was taken from; 0 when it needs none, or is none. */
    ended_jobs: z.number(),
    sentence: z.string(),
  }),
});

export const doneSchema = z.object({
  id: z.string(),
  ...jobShape,
  profile: z.string(),
  scheduled_at: time,
  assigned_at: time.nullable(),
  picked_at: time.nullable(),
  /** When its clean-up began; null in what an older version wrote down. */
  cleaning_at: time.nullable(),
  ended_at: time,
  reason: z.string(),
  /** The reason as a short sentence; null in what an older version wrote down. */
  cause: z.string().nullable(),
  exit: z
    .object({
      result: z.string(),
      code: z.string(),
      status: z.string(),
      memory_peak_bytes: z.number().nullable(),
      oom_kills: z.number().nullable(),
      cpu_seconds: z.number().nullable(),
    })
    .nullable(),
});

export const statusSchema = z.object({
  controller_id: z.string(),
  version: z.string(),
  config_hash: z.string(),
  /** How the configuration was read again last: refused whole with `error`, or taken but for `waiting`, which the next start takes. */
  reload: z.object({ at: time, by: z.string(), ok: z.boolean(), error: z.string().nullable(), waiting: z.array(z.string()) }).nullable(),
  started_at: time,
  observed_at: time.nullable(),
  ticks: z.number(),
  tick_ms: z.number().nullable(),
  draining: z.boolean(),
  /** How many machines and records are still to go until it ends. */
  drain: z.object({ by: z.string(), since: time, left: z.number() }).nullable(),
  max_concurrent: z.number(),
  poll_interval_seconds: z.number(),
  job_timeout_seconds: z.number(),
  active_containers: z.array(
    z.object({
      name: z.string(),
      job_id: z.number(),
      running_seconds: z.number(),
      forge: z.string(),
      profile: z.string(),
      phase: z.string(),
    }),
  ),
  /** Containers that wait for jobs; their places are free. */
  warm_containers: z.array(z.object({ name: z.string(), profile: z.string(), state: z.string(), since: time })),
  waiting_jobs: z.array(waitingSchema),
  /** How many more wait than are shown. */
  waiting_jobs_left_out: z.number(),
  forges: z.array(
    z.object({
      name: z.string(),
      url: z.string(),
      scope: z.string(),
      version: z.string().nullable(),
      last_good_poll: time.nullable(),
      poll_ms: z.number().nullable(),
      /** False: it is asked when something happened, and at poll_interval_seconds to be safe. */
      polled: z.boolean(),
      poll_interval_seconds: z.number(),
      /** When a webhook last asked to look, signed by the forge. */
      last_webhook: time.nullable(),
      error: problem.nullable(),
      waiting: z.number(),
      running: z.number(),
    }),
  ),
  runners: z.array(runnerSchema),
  recent: z.array(doneSchema),
  capacity: z.object({
    max: z.number(),
    used: z.number(),
    free: z.number(),
    profiles: z.array(
      z.object({
        name: z.string(),
        labels: z.array(z.string()),
        used: z.number(),
        max: z.number().nullable(),
        /** How many containers are to wait for its jobs; none is started before `rests_until`, because theirs died. Null: none are to. */
        warm: z.object({ min: z.number(), rests_until: time.nullable() }).nullable(),
      }),
    ),
  }),
  back_offs: z.array(
    z.object({ key: z.string(), forge: z.string(), repository_id: z.number(), until: time, count: z.number(), reason: z.string() }),
  ),
  leftovers: z.array(z.object({ kind: z.string(), name: z.string() })),
  quarantined: z.array(z.string()),
  host: z.object({
    error: problem.nullable(),
    machines: z.number(),
    free_bytes: z.number().nullable(),
    free_inodes: z.number().nullable(),
    /** Why nothing is started, whoever waits. */
    full: z.string().nullable(),
  }),
});
export type Status = z.infer<typeof statusSchema>;

/**
 * RFC 9457. `code` is one of ours: a ControllerError's (PARAMETER_INVALID names the `parameter`), or BAD_REQUEST, TOKEN_MISSING, TOKEN_WRONG,
 * NO_TOKEN_CONFIGURED, TOKEN_FILE_UNUSABLE, ORIGIN_REFUSED, NOT_FOUND, METHOD_NOT_ALLOWED, BODY_REFUSED, DISPATCH_OFF, HOST_REFUSED, TOO_MANY_FOLLOWERS, INTERNAL;
 * of a webhook also SIGNATURE_MISSING, SIGNATURE_WRONG; of what takes a body CONTENT_TYPE_REFUSED, BODY_CUT.
 */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string(),
  parameter: z.string().optional(),
});
export type Problem = z.infer<typeof problemSchema>;
