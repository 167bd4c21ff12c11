// Promises the JSON of Forgejo's own answers: jobs, registrations, runs, repositories and users with every field that version 16 sends.
// Pure; snake_case is at home here.

import { createHash } from 'node:crypto';
import type { User, Job, Registration, Repository, Run, Status } from './world.ts';

type Json = Readonly<Record<string, unknown>>;

/** Registrations that were not heard of for this long are offline. */
const offlineAfterMs = 60_000;
/** Registrations that reported a task within this time are active. */
const activeWithinMs = 10_000;

export function jobJsonOf(job: Job): Json {
  return {
    id: job.id,
    run_id: job.runId,
    attempt: job.attempt,
    handle: job.handle,
    repo_id: job.repositoryId,
    owner_id: job.ownerId,
    name: job.name,
    needs: job.needs.length === 0 ? null : job.needs,
    runs_on: job.labels.length === 0 ? null : job.labels,
    task_id: job.taskId,
    status: job.status,
  };
}

export function registrationJsonOf(row: Registration, now: number): Json {
  const status = now - row.onlineAt > offlineAfterMs ? 'offline' : now - row.activeAt <= activeWithinMs ? 'active' : 'idle';
  return {
    id: row.id,
    uuid: row.uuid,
    owner_id: row.ownerId,
    repo_id: row.repositoryId,
    name: row.name,
    status,
    version: row.version,
    labels: row.labels,
    description: row.description,
    ephemeral: row.ephemeral,
  };
}

/** Seconds, as Go writes them; 0 is the epoch. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function userJsonOf(rootUrl: string, user: User): Json {
  return {
    id: user.id,
    login: user.name,
    login_name: '',
    source_id: 0,
    full_name: '',
    email: user.kind === 'user' ? `${user.name}@example.org` : '',
    avatar_url: `${rootUrl}/avatars/${createHash('md5').update(user.name).digest('hex')}`,
    html_url: `${rootUrl}/${user.name}`,
    language: user.admin ? 'en-US' : '',
    is_admin: user.admin,
    last_login: user.kind === 'user' ? timeOf(user.createdAt) : '0001-01-01T00:00:00Z',
    created: timeOf(user.createdAt),
    restricted: false,
    active: user.kind === 'user',
    prohibit_login: false,
    location: '',
    pronouns: '',
    website: '',
    description: '',
    visibility: 'public',
    followers_count: 0,
    following_count: 0,
    starred_repos_count: 0,
    username: user.name,
  };
}

const usualRepository = {
  description: '',
  fork: false,
  template: false,
  parent: null,
  mirror: false,
  size: 1,
  language: '',
  link: '',
  original_url: '',
  website: '',
  stars_count: 0,
  forks_count: 0,
  watchers_count: 1,
  open_issues_count: 0,
  open_pr_counter: 0,
  release_counter: 0,
  archived: false,
  archived_at: '1970-01-01T00:00:00Z',
  permissions: { admin: true, push: true, pull: true },
  has_issues: true,
  internal_tracker: { enable_time_tracker: true, allow_only_contributors_to_track_time: true, enable_issue_dependencies: true },
  has_wiki: true,
  has_wiki_contents: false,
  globally_editable_wiki: false,
  has_pull_requests: true,
  has_projects: true,
  has_releases: true,
  has_packages: true,
  ignore_whitespace_conflicts: false,
  allow_merge_commits: true,
  allow_rebase: true,
  allow_rebase_explicit: true,
  allow_squash_merge: true,
  allow_fast_forward_only_merge: true,
  allow_rebase_update: true,
  default_delete_branch_after_merge: false,
  default_merge_style: 'merge',
  default_allow_maintainer_edit: false,
  default_update_style: 'merge',
  avatar_url: '',
  internal: false,
  mirror_interval: '',
  object_format_name: 'sha1',
  mirror_updated: '0001-01-01T00:00:00Z',
  repo_transfer: null,
  topics: [],
};

export function repositoryJsonOf(rootUrl: string, owner: User, repository: Repository): Json {
  const fullName = `${owner.name}/${repository.name}`;
  return {
    ...usualRepository,
    id: repository.id,
    owner: userJsonOf(rootUrl, owner),
    name: repository.name,
    full_name: fullName,
    empty: repository.head === undefined,
    private: repository.private,
    languages_url: `${rootUrl}/api/v1/repos/${fullName}/languages`,
    html_url: `${rootUrl}/${fullName}`,
    url: `${rootUrl}/api/v1/repos/${fullName}`,
    ssh_url: `ssh://git@${new URL(rootUrl).hostname}/${fullName}.git`,
    clone_url: `${rootUrl}/${fullName}.git`,
    default_branch: repository.branch,
    created_at: timeOf(repository.createdAt),
    updated_at: timeOf(repository.updatedAt),
    wiki_branch: 'main',
    wiki_ssh_url: `ssh://git@${new URL(rootUrl).hostname}/${fullName}.wiki.git`,
    wiki_clone_url: `${rootUrl}/${fullName}.wiki.git`,
    has_actions: repository.actions,
  };
}

export function runJsonOf(
  rootUrl: string,
  parts: Readonly<{ run: Run; status: Status; owner: User; repository: Repository; user: User }>,
): Json {
  const { run, status, owner, repository, user } = parts;
  return {
    id: run.id,
    title: run.title,
    repository: repositoryJsonOf(rootUrl, owner, repository),
    workflow_id: run.workflow,
    index_in_repo: run.index,
    trigger_user: userJsonOf(rootUrl, user),
    ScheduleID: 0,
    prettyref: run.ref.replace(/^refs\/heads\//, ''),
    is_ref_deleted: false,
    commit_sha: run.sha,
    is_fork_pull_request: run.fork,
    need_approval: false,
    approved_by: 0,
    // Only events of the repository are said here; a dispatch is none.
    event: run.event === 'workflow_dispatch' ? '' : run.event,
    event_payload: JSON.stringify(run.payload),
    trigger_event: run.event,
    status,
    started: timeOf(run.startedAt),
    stopped: timeOf(run.stoppedAt),
    created: timeOf(run.createdAt),
    updated: timeOf(run.updatedAt),
    html_url: `${rootUrl}/${owner.name}/${repository.name}/actions/runs/${run.index}`,
  };
}
