// Promises what can be asked about runs and their jobs, in the forms of Forgejo 16: list, read, jobs of a run in every state, cancel, log
// of a job, and the start of a workflow by hand.

import { repositoryFor, requireCaller, requireRepositoryWriter } from './access.ts';
import { emptyReply, jsonReply, missing, notFound, Refusal, textReply, type Reply } from './reply.ts';
import { idParam, param, type Call, type Route } from './router.ts';
import { cancelRun, jobsOf, statusOf } from './runs.ts';
import { dispatchEventOf, start } from './start-run.ts';
import { jobJsonOf, runJsonOf } from './wire.ts';
import { workflowOf } from './workflow.ts';
import { rowOf, type Repository, type Run, type World } from './world.ts';

const base = '/api/v1/repos/{owner}/{repo}/actions';
const category = 'repository';

export const runRoutes: readonly Route[] = [
  { method: 'GET', path: `${base}/runs`, category, answer: list },
  { method: 'GET', path: `${base}/runs/{id}`, category, answer: (call) => jsonReply(200, jsonOf(call.world, runFor(call))) },
  {
    method: 'GET',
    path: `${base}/runs/{id}/jobs`,
    category,
    answer: (call) => jsonReply(200, jobsOf(call.world, runFor(call)).map(jobJsonOf)),
  },
  { method: 'POST', path: `${base}/runs/{id}/cancel`, category, answer: cancel },
  { method: 'GET', path: `${base}/jobs/{id}/logs`, category, answer: log },
  { method: 'POST', path: `${base}/workflows/{file}/dispatches`, category, answer: dispatch },
];

function repositoryOf(call: Call): Repository {
  const repository = repositoryFor(call.world, call.caller, param(call, 'owner'), param(call, 'repo'));
  if (!repository.actions) throw notFound();
  return repository;
}

function writable(call: Call): Repository {
  const repository = repositoryOf(call);
  requireRepositoryWriter(call.world, requireCaller(call.caller), repository);
  return repository;
}

function runFor(call: Call, repository = repositoryOf(call)): Run {
  const id = idParam(call);
  const run = call.world.runs.get(id);
  if (run?.repositoryId !== repository.id) throw missing('run', id);
  return run;
}

function jsonOf(world: World, run: Run): unknown {
  const repository = rowOf(world.repositories, run.repositoryId);
  const owner = rowOf(world.users, repository.ownerId);
  return runJsonOf(world.rootUrl, { run, status: statusOf(world, run), owner, repository, user: rowOf(world.users, run.userId) });
}

function list(call: Call): Reply {
  const { world, query } = call;
  const repository = repositoryOf(call);
  const is = (name: string, value: string | number): boolean => !query.has(name) || query.getAll(name).includes(String(value));
  const found = [...world.runs.values()]
    .filter((run) => run.repositoryId === repository.id)
    .filter((run) => is('status', statusOf(world, run)) && is('event', run.event) && is('head_sha', run.sha) && is('ref', run.ref))
    .filter((run) => is('workflow_id', run.workflow) && is('run_number', run.index))
    .toSorted((a, b) => b.id - a.id);
  const limit = Math.min(50, Number(query.get('limit') ?? '0') || 30);
  const page = Math.max(1, Number(query.get('page') ?? '1'));
  const part = found.slice((page - 1) * limit, page * limit);
  return jsonReply(200, { workflow_runs: part.map((run) => jsonOf(world, run)), total_count: found.length });
}

function cancel(call: Call): Reply {
  cancelRun(call.world, runFor(call, writable(call)));
  return emptyReply(204);
}

function log(call: Call): Reply {
  const repository = repositoryOf(call);
  const id = idParam(call);
  const job = call.world.jobs.get(id);
  if (job?.repositoryId !== repository.id) throw missing('job', id);
  const attempt = Number(call.query.get('attempt') ?? job.attempt);
  const task = job.tasks.map((taskId) => rowOf(call.world.tasks, taskId)).find((row) => row.attempt === attempt);
  if (task === undefined) throw new Refusal(404, 'job is not started');
  const text = task.rows.map((row) => `${row}\n`).join('');
  return textReply(200, text, { 'accept-ranges': 'bytes', 'last-modified': new Date(task.updatedAt).toUTCString() });
}

function dispatch(call: Call): Reply {
  const { world } = call;
  const repository = writable(call);
  const file = param(call, 'file');
  const path = [...repository.files.keys()].find((name) => name.endsWith(`/workflows/${file}`)) ?? '';
  const workflow = workflowOf(repository.files.get(path)?.content ?? '');
  if (workflow === undefined) throw new Refusal(404, `workflow "${file}" not found`);
  const wish = JSON.parse(call.body.toString() || '{}') as { ref?: string; inputs?: unknown; return_run_info?: boolean };
  if ((wish.ref ?? '') === '') throw new Refusal(422, '[Ref]: Required');
  const { user } = requireCaller(call.caller);
  const payload = dispatchEventOf(world, repository, user, path, wish.inputs ?? {});
  const run = start(world, { repository, user, workflow, path, event: 'workflow_dispatch', payload });
  if (wish.return_run_info !== true) return emptyReply(204);
  return jsonReply(201, { id: run.id, run_number: run.index, jobs: jobsOf(world, run).map((job) => job.key) });
}
