// Tells Forgejo about one task: log rows and state at once, then every interval; at the end the logs first, the final state last, both tried
// again on the schedule. A server that has ended the task aborts it. One report at a time: a hanging one holds up the end, as in 12.8.2.

import { setTimeout as sleep } from 'node:timers/promises';

import { messageOf } from './failure.ts';
import type { RunnerLog } from './log-line.ts';
import { retry, type RetryPolicy } from './retry.ts';
import type { Rpc } from './rpc.ts';
import { type LogRow, Result, type ResultCode, resultNames, type StepState } from './wire.ts';

export type Reporter = {
  /** Adds one row of the job's log; masks secrets. */
  row(content: string): void;
  mask(secret: string): void;
  stepStarted(id: number): void;
  stepStopped(id: number, result: ResultCode): void;
  setOutputs(outputs: Readonly<Record<string, string>>): void;
  start(): void;
  /** Sends all that is left and the result; answers when it is through or given up. */
  close(result: ResultCode): Promise<void>;
};

export type ReporterOptions = {
  readonly rpc: Pick<Rpc, 'updateLog' | 'updateTask'>;
  readonly log: RunnerLog;
  readonly taskId: number;
  readonly stepCount: number;
  readonly secrets: readonly string[];
  readonly intervalMs: number;
  readonly retry: RetryPolicy;
  /** Called once when the server says that the task has ended. */
  readonly onEndedByServer: () => void;
};

/** Replaces every secret and every line of a secret by three stars, the longest first. */
export function createMask(secrets: readonly string[]): { add(secret: string): void; apply(text: string): string } {
  const known = new Set<string>();
  let ordered: readonly string[] = [];
  const add = (secret: string): void => {
    for (const part of [secret, ...secret.split('\n')]) if (part.trim() !== '') known.add(part.trim());
    ordered = [...known].toSorted((a, b) => b.length - a.length);
  };
  for (const secret of secrets) add(secret);
  return { add, apply: (text) => ordered.reduce((masked, secret) => masked.replaceAll(secret, '***'), text) };
}

function createLogSender({ rpc, taskId }: Pick<ReporterOptions, 'rpc' | 'taskId'>): {
  add(row: LogRow): number;
  count(): number;
  send(noMore: boolean): Promise<void>;
} {
  let rows: LogRow[] = [];
  let offset = 0;
  const send = async (noMore: boolean): Promise<void> => {
    const batch = [...rows];
    const end = offset + batch.length;
    const { ackIndex } = await rpc.updateLog(taskId, offset, batch, noMore);
    if (ackIndex < offset) throw new Error('submitted logs are lost');
    rows = rows.slice(ackIndex - offset);
    offset = ackIndex;
    if (noMore && ackIndex < end) throw new Error('not all logs are submitted');
  };
  return {
    add: (row) => rows.push(row),
    count: () => offset + rows.length,
    send,
  };
}

type StepBook = {
  started(id: number, rows: number): void;
  row(): void;
  stopped(id: number, result: ResultCode): void;
  list(): StepState[];
};

function createStepBook(count: number): StepBook {
  const steps: StepState[] = Array.from({ length: count }, (_, id) => ({ id, result: Result.unspecified, logIndex: 0, logLength: 0 }));
  let current: number | undefined;
  const change = (id: number, part: Partial<StepState>): void => {
    const step = steps[id];
    if (step !== undefined) steps[id] = { ...step, ...part };
  };
  return {
    started(id, rows) {
      current = id;
      change(id, { startedAtMs: Date.now(), logIndex: rows });
    },
    row() {
      if (current !== undefined) change(current, { logLength: (steps[current]?.logLength ?? 0) + 1 });
    },
    stopped(id, result) {
      current = undefined;
      change(id, { result, stoppedAtMs: Date.now() });
    },
    list: () => [...steps],
  };
}

export function createReporter(options: ReporterOptions): Reporter {
  const { rpc, log, taskId, intervalMs } = options;
  const mask = createMask(options.secrets);
  const logs = createLogSender(options);
  const steps = createStepBook(options.stepCount);
  const startedAtMs = Date.now();
  let outputs: Record<string, string> = {};
  let closing = false;
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> = Promise.resolve();

  const sendState = async (result: ResultCode): Promise<void> => {
    const stoppedAtMs = result === Result.unspecified ? undefined : Date.now();
    const answer = await rpc.updateTask({ id: taskId, result, startedAtMs, stoppedAtMs, steps: steps.list() }, outputs);
    outputs = Object.fromEntries(Object.entries(outputs).filter(([key]) => !answer.sentOutputs.includes(key)));
    if (closing || answer.result === Result.unspecified) return;
    const name = resultNames[answer.result] ?? String(answer.result);
    const local = 'for a task that was in local state RESULT_UNSPECIFIED - beginning local task termination';
    log.warning(`UpdateTask returned task result ${name} ${local}`);
    options.onEndedByServer();
  };
  const round = async (): Promise<void> => {
    await logs.send(false).catch((error: unknown) => log.warning(`ReportLog error: ${messageOf(error)}`));
    if (closing) return;
    await sendState(Result.unspecified).catch((error: unknown) => log.warning(`ReportState error: ${messageOf(error)}`));
    if (!closing) timer = setTimeout(begin, intervalMs);
  };
  const begin = (): void => {
    current = round();
  };
  const labelled = async (what: string, send: Promise<void>): Promise<void> => {
    await send.catch((error: unknown) => {
      log.warning(`uploading final ${what} failed, but will be retried: ${messageOf(error)}`);
      throw error;
    });
  };

  return {
    row(content) {
      logs.add({ timeMs: Date.now(), content: mask.apply(content) });
      steps.row();
    },
    mask: (secret) => mask.add(secret),
    stepStarted: (id) => steps.started(id, logs.count()),
    stepStopped: (id, result) => steps.stopped(id, result),
    setOutputs(given) {
      outputs = { ...given };
    },
    start: begin,
    async close(result) {
      closing = true;
      clearTimeout(timer);
      // A report under way goes first: its "still running" must not arrive after the final state.
      await current;
      const attempt = async (): Promise<void> => {
        await labelled('logs', logs.send(true));
        await labelled('status', sendState(result));
      };
      const failure = await retry(options.retry, attempt, (ms) => sleep(ms), Math.random);
      if (failure !== undefined) log.error(`unable to send final job logs and status: ${failure}`);
    },
  };
}
