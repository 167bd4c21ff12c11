// Promises the task that a runner gets: the payload of its one job, the context with every field that Forgejo 16 sends, secrets and the
// results of what it needs.

import { create, type JsonObject } from '@bufbuild/protobuf';
import { Result, TaskSchema, type Task as WireTask } from '../gen/runner/v1/messages_pb.ts';
import { jobsOf } from './runs.ts';
import { rowOf, type Job, type Run, type Task, type World } from './world.ts';

const results: Readonly<Record<string, Result>> = {
  success: Result.SUCCESS,
  failure: Result.FAILURE,
  cancelled: Result.CANCELLED,
  skipped: Result.SKIPPED,
};

export function taskMessageOf(world: World, task: Task): WireTask {
  const job = rowOf(world.jobs, task.jobId);
  const run = rowOf(world.runs, job.runId);
  const { token } = task;
  return create(TaskSchema, {
    id: BigInt(task.id),
    workflowPayload: Buffer.from(job.payload),
    context: contextOf(world, run, job, task),
    secrets: { FORGEJO_TOKEN: token, GITEA_TOKEN: token, GITHUB_TOKEN: token },
    needs: Object.fromEntries(job.needs.map((key) => [key, needOf(world, run, key)])),
  });
}

/** A key may stand for several jobs of a matrix; the outputs of the last one win. */
function needOf(world: World, run: Run, key: string) {
  const jobs = jobsOf(world, run).filter((job) => job.key === key);
  const outputs: Record<string, string> = {};
  for (const { taskId } of jobs) Object.assign(outputs, Object.fromEntries(world.tasks.get(taskId)?.outputs ?? []));
  const bad = jobs.find((job) => job.status !== 'success');
  return { outputs, result: results[bad?.status ?? 'success'] ?? Result.UNSPECIFIED };
}

/** Fields that Forgejo sends empty, because only a runner can know them. */
const blank = [
  'action',
  'action_path',
  'action_ref',
  'action_repository',
  'action_status',
  'base_ref',
  'env',
  'event_path',
  'graphql_url',
  'head_ref',
  'job_name',
  'path',
  'retention_days',
  'runner_perflog',
  'runner_tracking_id',
  'triggering_actor',
  'workspace',
];

function contextOf(world: World, run: Run, job: Job, task: Task): JsonObject {
  const repository = rowOf(world.repositories, run.repositoryId);
  const owner = rowOf(world.users, repository.ownerId);
  const actor = rowOf(world.users, run.userId);
  const full = `${owner.name}/${repository.name}`;
  const { rootUrl } = world;
  return {
    ...Object.fromEntries(blank.map((name) => [name, ''])),
    actor: actor.name,
    actor_id: String(actor.id),
    api_url: `${rootUrl}/api/v1`,
    event: run.payload as JsonObject,
    event_name: run.event,
    forgejo_server_version: world.version,
    // A real one names a server of its project; tests ask nobody outside.
    gitea_default_actions_url: rootUrl,
    gitea_runtime_token: `runtime.${task.token}.none`,
    job: job.key,
    ref: run.ref,
    ref_name: run.ref.replace(/^refs\/heads\//, ''),
    ref_protected: false,
    ref_type: 'branch',
    repository: full,
    repositoryUrl: `${rootUrl}/${full}`,
    repository_id: String(repository.id),
    repository_owner: owner.name,
    repository_owner_id: String(owner.id),
    run_attempt: String(job.attempt),
    run_id: String(run.id),
    run_number: String(run.index),
    secret_source: 'Actions',
    server_url: `${rootUrl}/`,
    sha: run.sha,
    token: task.token,
    workflow: run.workflow,
    workflow_ref: `${full}/.forgejo/workflows/${run.workflow}@${run.ref}`,
  };
}
