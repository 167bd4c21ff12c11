// Runs the steps of one job in order and says how the job ended. Conditions, continue-on-error, time-outs, outputs and environment files are
// kept here; actions and containers fail with a sentence, as on a machine without git and Docker.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

import { readEnvFile } from './env-file.ts';
import { condition, interpolate, type Names, type Status } from './expression.ts';
import { messageOf } from './failure.ts';
import type { Folders } from './job-environment.ts';
import { type Mapping, textOf } from './plain-mapping.ts';
import type { Reporter } from './reporter.ts';
import { makeFifos, runShell, shellArgv } from './shell.ts';
import { Result, type ResultCode, type Task } from './wire.ts';
import type { Job, Step } from './workflow.ts';

export type StepsOptions = {
  readonly job: Job;
  readonly task: Task;
  readonly folders: Folders;
  /** The runner's whole environment with the variables of the job on top. */
  readonly environment: NodeJS.ProcessEnv;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
};

export type StepsEnd = { readonly failed: boolean; readonly outputs: Record<string, string> };

type Memory = {
  failed: boolean;
  readonly env: Record<string, string>;
  readonly paths: string[];
  readonly steps: Record<string, { outputs: Record<string, string>; outcome: string; conclusion: string }>;
};

type Files = { readonly output: string; readonly env: string; readonly path: string; readonly state: string; readonly summary: string };

const needResults = ['', 'success', 'failure', 'cancelled', 'skipped'];

function namesOf({ job, task, folders, environment }: StepsOptions, memory: Memory, env: Mapping): Names {
  const needs = Object.entries(task.needs).map(([id, need]) => [id, { ...need, result: needResults[need.result] ?? '' }]);
  const github = { ...task.context, workspace: folders.workspace, server_url: environment['GITHUB_SERVER_URL'] };
  return {
    github,
    forgejo: github,
    secrets: task.secrets,
    vars: task.vars,
    needs: Object.fromEntries(needs),
    matrix: job.matrix,
    env: { ...memory.env, ...env },
    steps: memory.steps,
    job: { status: memory.failed ? 'failure' : 'success' },
    runner: { os: 'Linux', temp: folders.temp, tool_cache: folders.toolCache },
  };
}

function filesOf(folders: Folders, index: number): Files {
  const make = (name: string): string => {
    const path = join(folders.act, 'workflow', `${index}-${name}`);
    writeFileSync(path, '');
    return path;
  };
  return { output: make('output'), env: make('env'), path: make('path'), state: make('state'), summary: make('summary') };
}

function fileVariables(files: Files): Record<string, string> {
  const pairs = { OUTPUT: files.output, ENV: files.env, PATH: files.path, STATE: files.state, STEP_SUMMARY: files.summary };
  return Object.fromEntries(
    Object.entries(pairs).flatMap(([name, path]) => [`GITHUB_${name}`, `FORGEJO_${name}`].map((key) => [key, path])),
  );
}

function textsOf(env: Mapping, names: Names, status: Status): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([key, value]) => [key, interpolate(textOf(value), names, status)]));
}

/** The environment of a step: runner, workflow, job, what earlier steps wrote, step; each over the ones before. */
function stepEnvironment(
  options: StepsOptions,
  memory: Memory,
  step: Step,
  files: Files,
  status: Status,
): Record<string, string | undefined> {
  const outer = { ...options.job.workflowEnv, ...options.job.env };
  const outerTexts = textsOf(outer, namesOf(options, memory, {}), status);
  const stepTexts = textsOf(step.env, namesOf(options, memory, outerTexts), status);
  const path = [...memory.paths.toReversed(), options.environment['PATH']].filter((part) => part !== undefined).join(delimiter);
  return { ...options.environment, ...outerTexts, ...memory.env, ...fileVariables(files), PATH: path, ...stepTexts };
}

async function runStep(options: StepsOptions, memory: Memory, step: Step, index: number, fifo: string | undefined): Promise<void> {
  const { folders, reporter, signal } = options;
  const status = { failed: memory.failed, cancelled: false };
  if (step.uses !== undefined || step.run === undefined) {
    const wanted = step.uses ?? 'nothing';
    throw new Error(`exec: "git": executable file not found in $PATH (the stand-in runs no actions, this step uses: ${wanted})`);
  }
  const files = filesOf(folders, index);
  const env = stepEnvironment(options, memory, step, files, status);
  const names = namesOf(options, memory, env);
  const script = join(folders.act, 'workflow', `${index}.sh`);
  writeFileSync(script, interpolate(step.run, names, status), { mode: 0o755 });
  const cwd = resolve(folders.workspace, interpolate(step.workingDirectory ?? '', names, status));
  mkdirSync(cwd, { recursive: true });
  const limit = step.timeoutMs === undefined ? [] : [AbortSignal.timeout(step.timeoutMs)];
  const onLine = (line: string): void => {
    const masked = /^::add-mask::(.+)$/.exec(line)?.[1];
    if (masked === undefined) reporter.row(line);
    else reporter.mask(masked);
  };
  const argv = shellArgv(step.shell, script, env['PATH']);
  const end = await runShell({ argv, cwd, env, fifo, signal: AbortSignal.any([signal, ...limit]), onLine });
  Object.assign(memory.env, readEnvFile(files.env));
  memory.paths.push(
    ...readFileSync(files.path, 'utf8')
      .split('\n')
      .filter((line) => line !== ''),
  );
  if (step.id !== undefined) memory.steps[step.id] = { outputs: readEnvFile(files.output), outcome: 'success', conclusion: 'success' };
  if (signal.aborted) throw new Error('this step has been cancelled: ctx: context canceled, exec: RUN signal: killed');
  if (limit[0]?.aborted === true) throw new Error('this step has been cancelled: ctx: context deadline exceeded, exec: RUN signal: killed');
  if (end.code !== 0) throw new Error(end.code === null ? `RUN signal: ${end.signal ?? 'unknown'}` : `RUN exit status ${end.code}`);
}

async function runOne(options: StepsOptions, memory: Memory, step: Step, index: number, fifo: string | undefined): Promise<ResultCode> {
  const { reporter } = options;
  const status = { failed: memory.failed, cancelled: options.signal.aborted };
  const names = namesOf(options, memory, { ...options.job.workflowEnv, ...options.job.env });
  const remember = (outcome: string, conclusion: string): void => {
    if (step.id !== undefined) memory.steps[step.id] = { outputs: memory.steps[step.id]?.outputs ?? {}, outcome, conclusion };
  };
  reporter.stepStarted(index);
  try {
    if (options.signal.aborted || !condition(step.condition, names, status)) {
      remember('skipped', 'skipped');
      return Result.skipped;
    }
    await runStep(options, memory, step, index, fifo);
    remember('success', 'success');
    return Result.success;
  } catch (error) {
    reporter.row(messageOf(error));
    const tolerated = !options.signal.aborted && condition(step.continueOnError ?? 'false', names, { failed: false, cancelled: false });
    if (!tolerated) memory.failed = true;
    remember('failure', tolerated ? 'success' : 'failure');
    return tolerated ? Result.success : Result.failure;
  }
}

export async function runSteps(options: StepsOptions): Promise<StepsEnd> {
  const { job, folders, reporter } = options;
  const memory: Memory = { failed: false, env: {}, paths: [], steps: {} };
  if (job.needsDocker) {
    reporter.row('Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?');
    return { failed: true, outputs: {} };
  }
  const fifos = job.steps.map((_, index) => join(folders.act, 'workflow', `${index}.out`));
  const made = await makeFifos(fifos);
  for (const [index, step] of job.steps.entries()) {
    reporter.stepStopped(index, await runOne(options, memory, step, index, made ? fifos[index] : undefined));
  }
  const names = namesOf(options, memory, {});
  const status = { failed: memory.failed, cancelled: false };
  return { failed: memory.failed, outputs: memory.failed ? {} : textsOf(job.outputs, names, status) };
}
