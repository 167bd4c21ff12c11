// Promises the runner's side of the server: Ping, Register, Declare, FetchTask, FetchSingleTask, UpdateTask and UpdateLog in protobuf and in
// JSON, with the answers of Forgejo 16. The rules of picking and ending are in runs.ts.

import { create } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createConnectRouter, type HandlerContext } from '@connectrpc/connect';
import { compressionGzip } from '@connectrpc/connect-node';
import { PingService } from '../gen/ping/v1/services_pb.ts';
import { Result, RunnerSchema, type LogRow, type Runner, type Task as WireTask, type TaskState } from '../gen/runner/v1/messages_pb.ts';
import { RunnerService } from '../gen/runner/v1/services_pb.ts';
import type { Reply } from './reply.ts';
import { addRegistration } from './routes-runners.ts';
import { endTask, hasTask, isCurrent, isDone, pick, redelivered } from './runs.ts';
import { taskMessageOf } from './task-message.ts';
import { bumpVersion, newHex, rowOf, versionOf, type Registration, type Status, type Task, type World } from './world.ts';

export type RpcRequest = { readonly method: string; readonly path: string; readonly headers: Headers; readonly body: Buffer };
/** Undefined = no such service or method. */
export type Rpc = { answer(request: RpcRequest): Promise<Reply> | undefined };

const prefix = '/api/actions';
/** What the real one says besides 415; over HTTP/1.1 only the last three are of use. */
const acceptPost = ['application/grpc', 'application/grpc-web']
  .flatMap((type) => [type, `${type}+json`, `${type}+json; charset=utf-8`, `${type}+proto`])
  .concat('application/json', 'application/json; charset=utf-8', 'application/proto')
  .join(', ');
const maxValueBytes = 1024 * 1024;

const resultOf: Readonly<Partial<Record<Status, Result>>> = {
  success: Result.SUCCESS,
  failure: Result.FAILURE,
  cancelled: Result.CANCELLED,
  skipped: Result.SKIPPED,
};
const statusOf: ReadonlyMap<Result, Status> = new Map([
  [Result.SUCCESS, 'success'],
  [Result.FAILURE, 'failure'],
  [Result.CANCELLED, 'cancelled'],
  [Result.SKIPPED, 'skipped'],
]);

export function createRpc(world: World): Rpc {
  const router = createConnectRouter({ acceptCompression: [compressionGzip] });
  router.service(PingService, { ping: ({ data }) => ({ data: `Hello, ${data}!` }) });
  router.service(RunnerService, {
    register: (wish) => ({ runner: register(world, wish) }),
    declare: (wish, context) => ({ runner: declare(world, authenticated(world, context), wish) }),
    fetchTask: ({ tasksVersion, taskCapacity = 1n }, context) => {
      const { tasks, version } = fetch(world, context, { tasksVersion, handle: '', capacity: Number(taskCapacity) });
      const [task, ...additionalTasks] = tasks;
      return { tasksVersion: version, additionalTasks, ...(task === undefined ? {} : { task }) };
    },
    fetchSingleTask: ({ tasksVersion, handle = '' }, context) => {
      const { tasks, version } = fetch(world, context, { tasksVersion, handle, capacity: 1 });
      const [task] = tasks;
      return { tasksVersion: version, ...(task === undefined ? {} : { task }) };
    },
    updateTask: ({ state, outputs }, context) => updateTask(world, authenticated(world, context, true), state, outputs),
    updateLog: (wish, context) => ({ ackIndex: updateLog(world, authenticated(world, context, true), wish) }),
  });
  const handlers = new Map(router.handlers.map((handler) => [prefix + handler.requestPath, handler]));
  return {
    answer: ({ method, path, headers, body }) => {
      const handler = handlers.get(path);
      if (handler === undefined) return undefined;
      const { signal } = new AbortController();
      const answered = handler({ httpVersion: '1.1', method, url: `http://runner${path}`, header: headers, body: chunksOf(body), signal });
      return answered.then(async ({ status, header, body: chunks }) => {
        const parts: Uint8Array[] = [];
        for await (const chunk of chunks ?? []) parts.push(chunk);
        const said = Object.fromEntries(header ?? new Headers());
        const accepts = status === 415 ? { 'accept-post': acceptPost } : { 'accept-encoding': 'gzip' };
        return { status, headers: { ...said, ...accepts }, body: Buffer.concat(parts) };
      });
    },
  };
}

async function* chunksOf(body: Buffer): AsyncGenerator<Uint8Array> {
  if (body.length > 0) yield body;
}

function authenticated(world: World, { requestHeader }: HandlerContext, reports = false): Registration {
  const uuid = requestHeader.get('x-runner-uuid') ?? '';
  const row = world.registrations.values().find((registration) => registration.uuid === uuid);
  if (row === undefined || row.token !== requestHeader.get('x-runner-token'))
    throw new ConnectError('unregistered runner', Code.Unauthenticated);
  row.onlineAt = world.now();
  if (reports) row.activeAt = world.now();
  return row;
}

type Introduction = Readonly<{ name: string; token: string; version: string; labels: readonly string[]; ephemeral: boolean }>;

function register(world: World, { name, token, version, labels, ephemeral }: Introduction): Runner {
  const scope = world.registrationTokens.get(token);
  if (token === '' || name === '') throw new ConnectError('missing runner token, name', Code.InvalidArgument);
  if (scope === undefined) throw new ConnectError('runner registration token not found', Code.NotFound);
  const row = addRegistration(world, scope, { name, description: '', ephemeral });
  row.version = version;
  row.labels = labels;
  return create(RunnerSchema, { ...messageOf(row), token: row.token });
}

function declare(world: World, row: Registration, { version, labels }: Readonly<{ version: string; labels: readonly string[] }>): Runner {
  row.version = version;
  row.labels = labels.length === 0 ? null : labels;
  world.changed();
  return create(RunnerSchema, messageOf(row));
}

function messageOf({ id, uuid, name, version, labels, ephemeral }: Registration) {
  return { id: BigInt(id), uuid, name, version, labels: [...(labels ?? [])], ephemeral };
}

type Wish = { readonly tasksVersion: bigint; readonly handle: string; readonly capacity: number };

function fetch(
  world: World,
  context: HandlerContext,
  { tasksVersion, handle, capacity }: Wish,
): Readonly<{ tasks: WireTask[]; version: bigint }> {
  const row = authenticated(world, context);
  const requestKey = context.requestHeader.get('x-runner-request-key') ?? '';
  fetchesOf(world, handle).asked += 1;
  const lost = redelivered(world, row, requestKey);
  if (lost.length > 0) {
    // The first token is dead from now on, as it is in Forgejo; the version is left out.
    for (const task of lost) task.token = newHex();
    return { tasks: lost.map((task) => taskMessageOf(world, task)), version: 0n };
  }
  // Before the look at the version: what comes after it must be seen the next time.
  const version = BigInt(versionOf(world, row));
  const tasks: Task[] = [];
  if (!isCurrent(world, row, Number(tasksVersion)) && !(row.ephemeral && hasTask(world, row))) {
    for (let left = row.ephemeral ? 1 : Math.max(1, capacity); left > 0; left -= 1) {
      const task = pick(world, row, handle, requestKey);
      if (task === undefined) break;
      tasks.push(task);
    }
  }
  for (const task of tasks) fetchesOf(world, rowOf(world.jobs, task.jobId).handle).given += 1;
  return { tasks: tasks.map((task) => taskMessageOf(world, task)), version };
}

function fetchesOf(world: World, handle: string): { asked: number; given: number } {
  const known = world.fetches.get(handle) ?? { asked: 0, given: 0 };
  world.fetches.set(handle, known);
  return known;
}

function updateTask(world: World, row: Registration, state: TaskState | undefined, outputs: Readonly<Record<string, string>>) {
  if (state === undefined) throw new ConnectError('update task: state is missing', Code.Internal);
  const task = taskOf(world, row, state.id, 'update task: ');
  if (!isDone(task.status)) {
    task.steps = state.steps.map(({ id, result }) => ({ id: Number(id), result: statusOf.get(result) ?? 'unspecified' }));
    task.updatedAt = world.now();
    for (const [key, value] of Object.entries(outputs)) {
      if (key.length <= 255 && Buffer.byteLength(value) <= maxValueBytes && !task.outputs.has(key)) task.outputs.set(key, value);
    }
  }
  const final = statusOf.get(state.result);
  if (final !== undefined) {
    endTask(world, task, final);
    if (state.stoppedAt !== undefined) task.stoppedAt = timestampDate(state.stoppedAt).getTime();
    bumpVersion(world, row);
  }
  world.changed();
  return { state: { id: state.id, result: resultOf[task.status] ?? Result.UNSPECIFIED }, sentOutputs: [...task.outputs.keys()] };
}

type LogPart = Readonly<{ taskId: bigint; index: bigint; rows: readonly LogRow[]; noMore: boolean }>;

/** Rows that are known already are dropped; a gap is not filled. The count of rows is the answer. */
function updateLog(world: World, row: Registration, { taskId, index, rows, noMore }: LogPart): bigint {
  const task = taskOf(world, row, taskId, '');
  const known = task.rows.length;
  const first = Number(index);
  if (rows.length === 0 || first > known || first + rows.length <= known) return BigInt(known);
  if (task.logClosed) throw new ConnectError('log file has been archived', Code.AlreadyExists);
  for (const { time, content } of rows.slice(known - first)) task.rows.push(`${rowTimeOf(time)} ${content.replaceAll('\n', ' ')}`);
  task.logClosed = noMore;
  task.updatedAt = world.now();
  world.changed();
  return BigInt(task.rows.length);
}

/** Seven digits of a second, as Forgejo writes them into its log files. */
function rowTimeOf(time: LogRow['time']): string {
  const { seconds, nanos } = time ?? { seconds: 0n, nanos: 0 };
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${whole}.${String(Math.floor(nanos / 100)).padStart(7, '0')}Z`;
}

function taskOf(world: World, row: Registration, id: bigint, words: string): Task {
  const task = world.tasks.get(Number(id));
  if (task === undefined) throw new ConnectError(`${words}task with id ${id}: resource does not exist`, Code.Internal);
  if (task.registrationId !== row.id) throw new ConnectError(`${words}invalid runner for task`, Code.Internal);
  return task;
}
