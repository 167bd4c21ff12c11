// Promises the JSON of /api/v1 as schemas and types, shared by the service (types only, so that it does not load these), the command line and
// /openapi.json. snake_case, ISO times, null for what is not there; every list is bounded and says how much there is.

import * as z from 'zod';
import { doneSchema, runnerSchema, time, waitingSchema } from './wire.ts';

const count = z.int().min(0);
const path = z.string().meta({ description: 'A path of this API, with the base path that it is served under.' });

export const runnersSchema = z.object({
  runners: z.array(runnerSchema.extend({ links: z.object({ explain: path.nullable(), stop: path }) })),
});
export type Runners = z.infer<typeof runnersSchema>;

const waitingJobSchema = waitingSchema.omit({ name: true }).extend({ state: z.literal('waiting') });
const runningJobSchema = runnerSchema.omit({ id: true }).extend({ state: z.literal('running'), runner: z.string() });
const doneJobSchema = doneSchema.omit({ id: true }).extend({ state: z.literal('done'), runner: z.string() });
const anyJobSchema = z.discriminatedUnion('state', [waitingJobSchema, runningJobSchema, doneJobSchema]);

/** Those that wait first, the next one to start before the others; then those that we run and those that are done, newest first. */
export const jobsSchema = z.object({
  jobs: z.array(anyJobSchema),
  /** How many there are, shown or not. Of those that are done the last ones are kept. */
  total: z.object({ waiting: count, running: count, done: count }),
});
export type Jobs = z.infer<typeof jobsSchema>;

const actionSchema = z.object({
  kind: z.enum(['launch', 'confirm', 'stop', 'finalize', 'warm', 'cool', 'sweep-machine', 'sweep-registration']),
  /** The runner's or machine's id; of a registration `forge/number`. */
  id: z.string(),
  forge: z.string().nullable(),
  job_id: z.number().nullable(),
  profile: z.string().nullable(),
  /** Of a stop and a finalize: why the runner ends. */
  reason: z.string().nullable(),
  why: z.string(),
});

/** What a look at the world would do now, and why; nothing of it is done. */
export const planSchema = z.object({
  at: time,
  actions: z.array(actionSchema),
  /** Ids of which an action is under way: they are left alone until it has ended. */
  under_way: z.array(z.string()),
  not_started: z.array(waitingJobSchema),
  not_started_left_out: count,
  /** What could not be read, as sentences: nothing is decided that needs it. */
  unknown: z.array(z.string()),
});
export type Plan = z.infer<typeof planSchema>;

const labelsExplainedSchema = z.object({
  about: z.literal('labels'),
  labels: z.array(z.string()),
  /** Profiles that have all of them. */
  served_by: z.array(z.string()),
  /** The profile that lacks the fewest; null when one serves them, or when there is none. */
  nearest: z.string().nullable(),
  missing: z.array(z.string()),
  sentence: z.string(),
});
const jobExplainedSchema = z.object({
  about: z.literal('job'),
  job_id: z.number(),
  state: z.enum(['waiting', 'running', 'done', 'unknown']),
  /** One for each thing that is known, or that it may mean that nothing is. */
  sentences: z.array(z.string()),
  /** All that is known: more than one when several forges have a job of that number, or it was tried before. */
  jobs: z.array(anyJobSchema),
});
export const explainSchema = z.discriminatedUnion('about', [labelsExplainedSchema, jobExplainedSchema]);
export type Explain = z.infer<typeof explainSchema>;

/** What a server-sent event of /api/v1/events holds as data: one line of the log, from level info on. */
export const eventSchema = z.object({
  id: count,
  at: time,
  level: z.enum(['info', 'warn', 'error']),
  event: z.string(),
  message: z.string().nullable(),
  facts: z.record(z.string(), z.unknown()),
});
export type Event = z.infer<typeof eventSchema>;

/** What became of drain, resume, poll and stop. */
export const orderSchema = z.object({
  /** False when it was so already. */
  changed: z.boolean(),
  draining: z.boolean(),
  sentence: z.string(),
});
export type Order = z.infer<typeof orderSchema>;

/** What POST /api/v1/dispatch takes. `ttl` is a time (20m, 1h30m) or a number of seconds, the profile's limit unless said; `forge` may be left out where there is one. */
export const dispatchWishSchema = z.strictObject({
  labels: z.array(z.string()).min(1).max(50),
  count: z.int().min(1).max(100).optional(),
  ttl: z.union([z.string(), z.int()]).optional(),
  forge: z.string().optional(),
});

/** What became of it. The records of those that were accepted are on the disk. */
export const dispatchedSchema = z.object({
  forge: z.string(),
  labels: z.array(z.string()),
  requested: count,
  accepted: count,
  refused: count,
  /** Why not all; null when all are accepted. */
  reason: z.string().nullable(),
  sentence: z.string(),
  /** True where a profile allows less than what was asked for. */
  ttl_clamped: z.boolean(),
  runners: z.array(z.object({ id: z.string(), machine: z.string(), profile: z.string(), ttl_seconds: z.number(), until: time })),
});
export type Dispatched = z.infer<typeof dispatchedSchema>;

export const sweepSchema = z.object({
  dry_run: z.boolean(),
  /** What no record speaks of, and is or would be removed. */
  sweep: z.array(actionSchema),
  /** What the last audit found that belongs to nothing. */
  leftovers: z.array(z.object({ kind: z.string(), name: z.string() })),
  unknown: z.array(z.string()),
  sentence: z.string(),
});
export type Sweep = z.infer<typeof sweepSchema>;
