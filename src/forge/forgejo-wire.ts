// Promises the border between Forgejo's JSON and our model: every value that came over the wire is checked here, unknown fields are
// allowed, and snake_case ends here. Pure; a problem is data, with the place in the JSON but never a value from it.

import * as z from 'zod';
import type { Credentials, ForgeName, Job, Registration } from '../core/model.ts';
import type { ForgeVersion } from './forge.ts';

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** z.int() allows safe integers only: a larger id has already lost digits in JSON.parse. */
const id = z.int().positive();
const count = z.int().nonnegative();

/** A list that has nothing in it may be written as null: a Go slice that was never made. */
const listOf = <T extends z.ZodType>(row: T) => z.array(row).nullable();

/** modules/structs/action.go, ActionRunJob; `attempt` and `handle` since Forgejo 15. */
const jobRow = z.object({
  id,
  attempt: count,
  handle: z.string(),
  repo_id: count,
  owner_id: count,
  name: z.string(),
  runs_on: z.array(z.string()).nullish(),
  task_id: count,
  status: z.string(),
});
type JobRow = z.infer<typeof jobRow>;
const jobList = listOf(jobRow);

/** modules/structs/repo_actions.go, ActionRunner. */
const registration = z.object({
  id,
  uuid: z.string(),
  name: z.string(),
  description: z.string().nullish(),
  ephemeral: z.boolean().nullish(),
  status: z.string(),
});
const registrationList = listOf(registration);

/** These travel on to a machine line by line, so nothing but visible ASCII is let through. */
const word = z.string().regex(/^[!-~]+$/);
const credentials = z.object({ id, uuid: word, token: word });

const version = z.object({ version: z.string().max(200) });
const refusal = z.object({ message: z.string() });

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
  const rows = jobRowsOf(json);
  if (!rows.ok) return rows;
  const jobs: Job[] = [];
  for (const row of rows.value) {
    const state = jobStates.get(row.status);
    if (state === undefined) continue;
    jobs.push({
      forge,
      id: row.id,
      handle: row.handle,
      attempt: row.attempt,
      repositoryId: row.repo_id,
      ownerId: row.owner_id,
      name: row.name,
      labels: row.runs_on ?? [],
      taskId: row.task_id,
      state,
    });
  }
  return { ok: true, value: jobs.toSorted((a, b) => a.id - b.id) };
}

function jobRowsOf(json: unknown): Parsed<readonly JobRow[]> {
  if (Array.isArray(json) && json.every(isJobRow)) return { ok: true, value: json };
  const parsed = jobList.safeParse(json);
  if (parsed.success) return { ok: true, value: parsed.data ?? [] };
  return isBeforeFifteen(json) ? { ok: false, problem: tooOld } : problemOf(parsed.error);
}

/** A short cut for what jobRow accepts: the list is read every second, and on 10,000 rows this takes 0.5 ms where zod takes 6 to 10. */
function isJobRow(value: unknown): value is JobRow {
  if (typeof value !== 'object' || value === null) return false;
  const row = value as Partial<Record<keyof JobRow, unknown>>;
  return (
    isCount(row.id) &&
    row.id > 0 &&
    isCount(row.attempt) &&
    typeof row.handle === 'string' &&
    isCount(row.repo_id) &&
    isCount(row.owner_id) &&
    typeof row.name === 'string' &&
    (row.runs_on === null || (Array.isArray(row.runs_on) && row.runs_on.every((label) => typeof label === 'string'))) &&
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
  const parsed = registrationList.safeParse(json);
  return parsed.success ? { ok: true, value: (parsed.data ?? []).map(registrationOf) } : problemOf(parsed.error);
}

/** GET .../actions/runners/{id}. */
export function parseRegistration(json: unknown): Parsed<Registration> {
  const parsed = registration.safeParse(json);
  return parsed.success ? { ok: true, value: registrationOf(parsed.data) } : problemOf(parsed.error);
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
  const parsed = credentials.safeParse(json);
  return parsed.success ? { ok: true, value: parsed.data } : problemOf(parsed.error);
}

/** Body of POST .../actions/runners. */
export function registrationBodyOf(name: string, description: string): string {
  return JSON.stringify({ name, description, ephemeral: true });
}

/** GET /version: the text as it stands. */
export function parseVersionText(json: unknown): Parsed<string> {
  const parsed = version.safeParse(json);
  return parsed.success ? { ok: true, value: parsed.data.version } : problemOf(parsed.error);
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

function problemOf(error: z.ZodError): { readonly ok: false; readonly problem: string } {
  const issue = error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? 'the answer' : issue.path.join('.');
  return { ok: false, problem: `${place}: ${issue?.message ?? 'invalid'}` };
}
