// Runs one task from the moment it was fetched until Forgejo knows the end of it. Never throws for what a job can do wrong: every failure
// becomes a row of its log and its result.

import type { Label } from './labels.ts';
import { messageOf } from './failure.ts';
import { jobVariables, makeFolders, removeFolders } from './job-environment.ts';
import type { RunnerLog } from './log-line.ts';
import { createReporter, type Reporter } from './reporter.ts';
import { type Rpc, version } from './rpc.ts';
import type { Settings } from './settings.ts';
import { runSteps } from './steps.ts';
import { Result, type ResultCode, type Task } from './wire.ts';
import { type Job, parseWorkflow } from './workflow.ts';

export type JobOptions = {
  readonly task: Task;
  readonly rpc: Rpc;
  readonly log: RunnerLog;
  readonly url: string;
  readonly labels: readonly Label[];
  readonly settings: Settings;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted by SIGTERM or SIGINT: the step dies at once, the report is still sent. */
  readonly signal: AbortSignal;
};

const icons: Readonly<Record<number, string>> = { 1: '🏁  Job succeeded', 2: '🏁  Job failed', 3: '🏁  Job cancelled' };

/** The job of the payload, or the reason why there is none. */
function readJob(task: Task): Job | Error {
  try {
    if (defaultActionsUrl(task) === '') return new Error('task context has no default actions URL');
    return parseWorkflow(task.payload);
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function contextText(task: Task, key: string): string {
  const value = task.context[key];
  return typeof value === 'string' ? value : '';
}

function defaultActionsUrl(task: Task): string {
  return contextText(task, 'forgejo_default_actions_url') || contextText(task, 'gitea_default_actions_url');
}

async function execute(options: JobOptions, job: Job, reporter: Reporter, signal: AbortSignal): Promise<boolean> {
  const { task, settings, url, labels } = options;
  const imageOs = job.runsOn.find((name) => labels.some((label) => label.name === name)) ?? '';
  const folders = makeFolders(settings.workParent, task.context['event']);
  try {
    const environment = { ...options.env, ...settings.extraEnvironment, ...jobVariables(task, url, folders, imageOs) };
    const end = await runSteps({ job, task, folders, environment, reporter, signal });
    reporter.setOutputs(end.outputs);
    return !end.failed;
  } finally {
    removeFolders(folders);
  }
}

export async function runJob(options: JobOptions): Promise<void> {
  const { task, rpc, log, settings, url } = options;
  log.info(`task ${task.id} repo is ${contextText(task, 'repository')} ${defaultActionsUrl(task)} ${url}`);
  const job = readJob(task);
  const endedByServer = new AbortController();
  const timeout = AbortSignal.timeout(Math.min(settings.jobTimeoutMs, (job instanceof Error ? undefined : job.timeoutMs) ?? Infinity));
  const reporter = createReporter({
    rpc,
    log,
    taskId: task.id,
    stepCount: job instanceof Error ? 0 : job.steps.length,
    secrets: [...Object.values(task.secrets), contextText(task, 'token'), contextText(task, 'gitea_runtime_token')],
    intervalMs: settings.reportIntervalMs,
    retry: settings.reportRetry,
    onEndedByServer: () => endedByServer.abort(),
  });
  const received = `received task ${task.id} of job ${contextText(task, 'job')}, be triggered by event: ${contextText(task, 'event_name')}`;
  reporter.row(`forgejo-runner(version:${version}) ${received}`);
  reporter.start();
  let result: ResultCode = Result.failure;
  try {
    if (job instanceof Error) throw job;
    const good = await execute(options, job, reporter, AbortSignal.any([options.signal, endedByServer.signal, timeout]));
    result = good ? Result.success : Result.failure;
  } catch (error) {
    reporter.row(messageOf(error));
  }
  if (endedByServer.signal.aborted || (timeout.aborted && !options.signal.aborted && result === Result.failure)) result = Result.cancelled;
  reporter.row(icons[result] ?? '');
  await reporter.close(result);
}
