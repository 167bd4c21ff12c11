// One run of the runner: declare once, fetch a task (once, or until there is one), run it. `one-job` ends after one task, `daemon` never.
// A fetch that got no clear answer is repeated with the same request key, so that a task assigned in a lost reply is found again.

import { setTimeout as delay } from 'node:timers/promises';

import type { RunCommand } from './cli.ts';
import { openCache } from './cache.ts';
import { messageOf, RunnerFailure } from './failure.ts';
import { createRunnerLog, type RunnerLog } from './log-line.ts';
import { randomUuid } from './random.ts';
import { createRpc, type Rpc, version } from './rpc.ts';
import { type Connection, loadSettings, type Settings, type Surroundings } from './settings.ts';
import type { Task } from './wire.ts';

type Run = {
  readonly command: RunCommand;
  readonly settings: Settings;
  readonly connection: Connection;
  readonly log: RunnerLog;
  readonly rpc: Rpc;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
};

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function createFetch({ command, settings, log, rpc, signal }: Run): () => Promise<Task | undefined> {
  const timeoutMs = settings.fetchTimeoutMs;
  let requestKey = randomUuid();
  let tasksVersion = 0;
  return async () => {
    try {
      const answer = await rpc.fetch({ tasksVersion, handle: command.handle, requestKey, timeoutMs }, signal);
      requestKey = randomUuid();
      // Only the daemon spares the server a look; one-job always asks for one.
      tasksVersion = command.mode === 'daemon' && answer.task === undefined ? answer.tasksVersion : 0;
      return answer.task;
    } catch (error) {
      if (!signal.aborted) log.error('failed to fetch task', messageOf(error));
      return undefined;
    }
  };
}

async function perform(run: Run, task: Task): Promise<void> {
  const { runJob } = await import('./job.ts');
  const { connection, settings, log, rpc, env, signal } = run;
  await runJob({ task, rpc, log, url: connection.url, labels: connection.labels, settings, env, signal });
}

async function oneJob(run: Run): Promise<void> {
  const { command, settings, connection, log, signal } = run;
  const fetch = createFetch(run);
  log.info('single task poller launched');
  let task = await fetch();
  while (task === undefined && command.wait && !signal.aborted) {
    log.info(`single task poller received no task from ${connection.url}, trying again`);
    await sleep(settings.fetchIntervalMs, signal);
    if (!signal.aborted) task = await fetch();
  }
  if (task === undefined && !signal.aborted) throw new RunnerFailure('no task received', 2);
  if (task !== undefined) {
    log.info(`single task poller successfully fetched one task from ${connection.url}`);
    await perform(run, task);
    if (signal.aborted) {
      log.warning('forcing the the running task to stop');
      log.error('error during poller shutdown: context canceled');
      return;
    }
  }
  log.info('single task poller is shutting down');
}

async function daemon(run: Run): Promise<void> {
  const { settings, log, signal } = run;
  const fetch = createFetch(run);
  log.info('[poller] launched');
  while (!signal.aborted) {
    const next = sleep(settings.fetchIntervalMs, signal);
    const task = await fetch();
    if (task !== undefined) await perform(run, task);
    await next;
  }
  log.info('runner: shutdown initiated, waiting for running jobs to complete before shutting down');
}

/** Runs the command to its end. Throws RunnerFailure with the exit code and sentence of the real runner. */
export async function run(command: RunCommand, surroundings: Surroundings, signal: AbortSignal): Promise<void> {
  const early = createRunnerLog('info');
  if (command.config === undefined) early.info('No configuration file specified; using default settings.');
  const settings = await loadSettings(command, surroundings);
  const log = createRunnerLog(settings.logLevel);
  const [connection] = settings.connections;
  if (connection === undefined || settings.connections.length !== 1) {
    throw new RunnerFailure(
      `${command.mode} is only supported with a single connection, but ${settings.connections.length} connections are configured`,
    );
  }
  log.info(command.mode === 'one-job' ? 'Starting job' : 'Starting runner daemon');
  await openCache(settings);
  if (connection.labels.some((label) => label.schema === 'docker')) {
    throw new RunnerFailure('daemon Docker Engine socket not found and docker_host config was invalid');
  }
  const rpc = createRpc({ ...connection, timeoutMs: settings.clientTimeoutMs });
  const names = connection.labels.map((label) => label.name);
  const runner = await rpc.declare(names, signal).catch((error: unknown) => {
    throw new RunnerFailure(messageOf(error));
  });
  const labels = `with labels: [${names.join(' ')}], ephemeral: ${runner.ephemeral}`;
  log.info(`runner: ${runner.name}, with version: ${version}, ${labels}, declared successfully`);
  if (command.mode === 'daemon' && runner.ephemeral) {
    throw new RunnerFailure(`connection "${connection.name}" requires an ephemeral runner, which is not supported in daemon-mode`);
  }
  const parts = { command, settings, connection, log, rpc, env: surroundings.env, signal };
  await (command.mode === 'one-job' ? oneJob(parts) : daemon(parts));
  rpc.close();
}
