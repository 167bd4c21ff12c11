// Promises the border between Forgejo's JSON of repositories, runs and commit statuses and what of it is needed. Pure.

import * as z from 'zod';
import type { Origin } from '../core/origin.ts';
import { parse, type Parsed } from './forgejo-wire.ts';

/** modules/structs/repo.go, Repository: `owner/name`, as a path writes it. */
const repository = z.object({ full_name: z.string().regex(/^[\w.-]{1,255}\/[\w.-]{1,255}$/, 'no owner/name') });
/** modules/structs/action.go, ActionRun. */
const run = z.object({
  commit_sha: z.string().regex(/^(?:[\da-f]{40}|[\da-f]{64})$/, 'no commit'),
  html_url: z.string().max(2_000).catch(''),
});
/** The same; the code of a pull request of a fork is a stranger's. `event` is what happened, `trigger_event` the word below `on`. */
const origin = z.object({
  is_fork_pull_request: z.boolean(),
  trigger_event: z
    .string()
    .regex(/^[a-z][a-z_]{0,62}$/)
    .optional()
    .catch(undefined),
});
/** modules/structs/status.go, CommitStatus. */
const status = z.object({ id: z.int().positive() });

export function parseFullName(json: unknown): Parsed<string> {
  return parse(
    repository.transform(({ full_name: name }) => name),
    json,
  );
}

export function parseCommitOfRun(json: unknown): Parsed<{ readonly sha: string; readonly page: string }> {
  return parse(
    run.transform(({ commit_sha: sha, html_url: page }) => ({ sha, page: /^https?:\/\//.test(page) ? page : '' })),
    json,
  );
}

export function parseOriginOfRun(json: unknown): Parsed<Omit<Origin, 'repository'>> {
  return parse(
    origin.transform(({ is_fork_pull_request: fork, trigger_event: event }) => ({ fork, ...(event === undefined ? {} : { event }) })),
    json,
  );
}

export function parseStatus(json: unknown): Parsed<number> {
  return parse(
    status.transform(({ id }) => id),
    json,
  );
}
