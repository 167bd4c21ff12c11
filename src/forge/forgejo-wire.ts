// Promises the border between Forgejo's JSON and our model: every value that came over the wire is checked here, unknown fields are
// allowed, and snake_case ends here. Pure; a problem is data, with the place in the JSON but never a value from it.

import * as z from 'zod';
import type { Credentials, ForgeName, Job, Registration } from '../core/model.ts';
import { labelBytes, leftOutLabel } from '../core/match.ts';
import type { ForgeVersion } from './forge.ts';

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** z.int() allows safe integers only: a larger id has already lost digits in JSON.parse. */
const id = z.int().positive();
const count = z.int().nonnegative();

/** What tells a job from others; a server that sends anything else here is not one that we know. */
const handle = z.string().regex(/^[!-~]{0,128}$/, 'no handle');

/**
 * modules/structs/action.go, ActionRunJob; `attempt` and `handle` since Forgejo 15. Only what the server alone decides is checked: what the
 * author of a workflow writes (name, runs_on) must not make a list unreadable, for it is everybody's list.
 */
const jobRow = z.object({
  id,
  attempt: count,
  handle,
  repo_id: count,
  owner_id: count,
  name: z.unknown(),
  runs_on: z.unknown(),
  task_id: count,
  /** Since Forgejo 16. */
  run_id: z.unknown(),
  status: z.string(),
});
type JobRow = z.infer<typeof jobRow>;

/** modules/structs/repo_actions.go, ActionRunner. */
const registration = z.object({
  id,
  uuid: z.string(),
  name: z.string(),
  description: z.string().nullish(),
  ephemeral: z.boolean().nullish(),
  status: z.string(),
});

/** These travel on to a machine line by line and with little room, so nothing but what Forgejo makes is let through. */
const uuid = z.string().regex(/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i, 'no UUID');
const token = z.string().regex(/^[!-~]{1,255}$/, 'no token');
const credentials = z.object({ id, uuid, token });

const version = z.object({ version: z.string().max(200) });
const refusal = z.object({ message: z.string() });
/** A refusal of the runner RPC (Connect). */
const rpcRefusal = z.object({ code: z.string(), message: z.string().default('') });
/** protobuf's JSON writes int64 as a string, and leaves out a zero. */
const logAnswer = z.object({
  ackIndex: z
    .string()
    .regex(/^\d{1,15}$/)
    .default('0'),
});

const declared = z.object({ runner: z.object({ uuid: z.string(), labels: z.array(z.unknown()).default([]) }) });

/** Forgejo says waiting and running; the other two are what its relatives call waiting. Whatever else is listed is not for us. */
const jobStates: ReadonlyMap<string, Job['state']> = new Map([
  ['waiting', 'waiting'],
  ['queued', 'waiting'],
  ['pending', 'waiting'],
  ['running', 'running'],
]);

/** A status that nobody has heard of counts as busy: sweeping spares those. */
const registrationStates: ReadonlyMap<string, Registration['status']> = new Map([
  ['offline', 'offline'],
  ['idle', 'idle'],
]);

/** GET .../actions/runners/jobs: newest first there, oldest first here. */
export function parseJobs(forge: ForgeName, json: unknown): Parsed<readonly Job[]> {
  const jobs: Job[] = [];
  const read = (value: unknown): Parsed<true> => {
    const row: Parsed<JobRow> = isJobRow(value) ? { ok: true, value } : parse(jobRow, value);
    if (!row.ok) return row;
    const state = jobStates.get(row.value.status);
    if (state !== undefined) jobs.push(jobOf(forge, row.value, state));
    return { ok: true, value: true };
  };
  const problem = problemOfRows(json, read);
  if (problem === undefined) return { ok: true, value: jobs.toSorted((a, b) => a.id - b.id) };
  return { ok: false, problem: isBeforeFifteen(json) ? tooOld : problem };
}

function jobOf(forge: ForgeName, row: JobRow, state: Job['state']): Job {
  const { id: jobId, handle: text, attempt, repo_id: repositoryId, owner_id: ownerId, task_id: taskId } = row;
  const name = nameOf(row.name);
  const run = typeof row.run_id === 'number' && Number.isSafeInteger(row.run_id) && row.run_id > 0 ? { runId: row.run_id } : {};
  return { forge, id: jobId, handle: text, attempt, repositoryId, ownerId, name, labels: labelsOf(row.runs_on), taskId, ...run, state };
}

/** Forgejo's own column has 255 characters. For people only: nothing is told apart by it. */
function nameOf(value: unknown): string {
  if (typeof value !== 'string') return '(unreadable)';
  return value.length > 255 ? `${value.slice(0, 255).toWellFormed()}...` : value;
}

/** Each label once, and no more of them than a runner can be told; a label that says so stands for the rest, and no profile serves it. */
function labelsOf(value: unknown): readonly string[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) return [leftOutLabel];
  if (areUsual(value)) return value;
  const labels = new Set<string>();
  let bytes = 0;
  for (const label of value as readonly unknown[]) {
    if (typeof label === 'string' && labels.has(label)) continue;
    bytes += typeof label === 'string' && label.length <= labelBytes ? Buffer.byteLength(label) + 1 : Infinity;
    if (typeof label !== 'string' || bytes > labelBytes) return [...labels.add(leftOutLabel)];
    labels.add(label);
  }
  return [...labels];
}

/** A short cut for what nearly every job has: a few short labels. */
function areUsual(labels: readonly unknown[]): labels is readonly string[] {
  return (
    labels.length <= 8 && labels.every((label, index) => typeof label === 'string' && label.length <= 80 && labels.indexOf(label) === index)
  );
}

/** What is wrong with the first row that `read` refuses; later ones are not looked at: a bad list may have millions. */
function problemOfRows(json: unknown, read: (row: unknown) => Parsed<unknown>): string | undefined {
  // A list that has nothing in it may be written as null: a Go slice that was never made.
  if (json === null) return undefined;
  if (!Array.isArray(json)) return 'the answer: is no list';
  for (const [index, row] of json.entries()) {
    const parsed = read(row);
    if (!parsed.ok) return `${index}.${parsed.problem}`;
  }
  return undefined;
}

/** A short cut for what jobRow accepts: the list is read every second, and on 10,000 rows this takes 1 ms where zod takes 6 to 10. */
function isJobRow(value: unknown): value is JobRow {
  if (typeof value !== 'object' || value === null) return false;
  const row = value as Partial<Record<keyof JobRow, unknown>>;
  return (
    isCount(row.id) &&
    row.id > 0 &&
    isCount(row.attempt) &&
    typeof row.handle === 'string' &&
    /^[!-~]{0,128}$/.test(row.handle) &&
    isCount(row.repo_id) &&
    isCount(row.owner_id) &&
    isCount(row.task_id) &&
    typeof row.status === 'string'
  );
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const tooOld =
  'its jobs have no attempt and no handle, so it is older than Forgejo 15, which is the oldest that this program can work with';

function isBeforeFifteen(json: unknown): boolean {
  return (
    Array.isArray(json) &&
    json.some((row) => typeof row === 'object' && row !== null && 'runs_on' in row && !('handle' in row && 'attempt' in row))
  );
}

/** GET .../actions/runners. */
export function parseRegistrations(json: unknown): Parsed<readonly Registration[]> {
  const registrations: Registration[] = [];
  const problem = problemOfRows(json, (row) => {
    const parsed = parseRegistration(row);
    if (parsed.ok) registrations.push(parsed.value);
    return parsed;
  });
  return problem === undefined ? { ok: true, value: registrations } : { ok: false, problem };
}

/** GET .../actions/runners/{id}. */
export function parseRegistration(json: unknown): Parsed<Registration> {
  const row = parse(registration, json);
  return row.ok ? { ok: true, value: registrationOf(row.value) } : row;
}

function registrationOf(row: z.infer<typeof registration>): Registration {
  return {
    id: row.id,
    uuid: row.uuid,
    name: row.name,
    description: row.description ?? '',
    ephemeral: row.ephemeral ?? false,
    status: registrationStates.get(row.status) ?? 'active',
  };
}

/** Answer to POST .../actions/runners; the token is shown this once. */
export function parseCredentials(json: unknown): Parsed<Credentials> {
  return parse(credentials, json);
}

/** How many lines a job's log has, by the answer to UpdateLog. */
export function parseAckIndex(json: unknown): Parsed<string> {
  return parse(
    logAnswer.transform(({ ackIndex }) => ackIndex),
    json,
  );
}

/** Whose labels they are and how many, by the answer to Declare; an empty list is left out. */
export function parseDeclared(json: unknown): Parsed<{ readonly uuid: string; readonly labels: number }> {
  return parse(
    declared.transform(({ runner: { uuid, labels } }) => ({ uuid, labels: labels.length })),
    json,
  );
}

export function parseRpcRefusal(json: unknown): Parsed<{ readonly code: string; readonly message: string }> {
  return parse(rpcRefusal, json);
}

/** Body of POST .../actions/runners. */
export function registrationBodyOf(name: string, description: string): string {
  return JSON.stringify({ name, description, ephemeral: true });
}

/** GET /version: the text as it stands. */
export function parseVersionText(json: unknown): Parsed<string> {
  const parsed = parse(version, json);
  return parsed.ok ? { ok: true, value: parsed.value.version } : parsed;
}

/**
 * `15.0.3+gitea-1.22.0` or `17.0.0-dev-38-d883bd8f12+gitea-1.22.0` by its leading numbers; what follows `+gitea-` is a compatibility mark.
 * Undefined for builds that say something else (`dev`, a commit).
 */
export function versionOf(text: string): ForgeVersion | undefined {
  const match = /^v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?![\w.])/.exec(text.trim());
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0), text };
}

/** The message of an API error; undefined when this is not one (an unknown route is text/plain, a proxy says HTML). */
export function refusalMessageOf(text: string): string | undefined {
  const parsed = refusal.safeParse(jsonOf(text));
  return parsed.success ? parsed.data.message : undefined;
}

/** Undefined when the text is not JSON. The parser's own error quotes the text, which may hold a token, so it is not handed on. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export function parse<T>(schema: z.ZodType<T>, json: unknown): Parsed<T> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return { ok: true, value: parsed.data };
  const issue = parsed.error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? 'the answer' : issue.path.join('.');
  return { ok: false, problem: `${place}: ${issue?.message ?? 'invalid'}` };
}
