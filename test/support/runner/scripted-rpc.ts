// A scripted runner RPC for the stand-in runner's own tests: one task, every call remembered, any call answered otherwise on demand. It reads
// and writes with the generated code, so that the runner's hand-written codec is held against it. Not a Forgejo: it knows no states.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

import { create, type DescMessage, fromBinary, type JsonObject, toBinary } from '@bufbuild/protobuf';

import * as schema from '../gen/runner/v1/messages_pb.ts';

export type Method = 'Declare' | 'FetchTask' | 'FetchSingleTask' | 'UpdateTask' | 'UpdateLog';

export type Call = {
  readonly method: Method;
  readonly at: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Uint8Array;
};

export type Trouble =
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message: string }
  | { readonly kind: 'plain'; readonly status: number; readonly text: string }
  | { readonly kind: 'empty' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'silence' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'lost' };

export const unregistered: Trouble = { kind: 'error', status: 401, code: 'unauthenticated', message: 'unregistered runner' };

export type ScriptedRpc = {
  readonly url: string;
  readonly calls: readonly Call[];
  /** Decides for each call whether something else than the good answer happens; `nth` counts from 1 per method. */
  trouble: (method: Method, nth: number) => Trouble | undefined;
  count(method: Method): number;
  /** All rows that arrived, each once. */
  rows(): readonly string[];
  /** The final state, when one arrived. */
  final(): schema.TaskState | undefined;
  /** Every state that arrived, in order. */
  states(): readonly schema.TaskState[];
  outputs(): Readonly<Record<string, string>>;
  noMore(): boolean;
  close(): Promise<void>;
};

export type ScriptedTask = {
  readonly workflow: string;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly context?: JsonObject;
  readonly ephemeral?: boolean;
};

export const aContext: JsonObject = {
  gitea_default_actions_url: 'https://data.forgejo.org',
  repository: 'acme/demo',
  job: 'build',
  event_name: 'push',
  event: { ref: 'refs/heads/main' },
  sha: '0123456789',
  run_id: '7',
};

type Reaction = { readonly message: Uint8Array };

function message<Desc extends DescMessage>(desc: Desc, value: Parameters<typeof create<Desc>>[1]): Reaction {
  return { message: toBinary(desc, create(desc, value)) };
}

function createTaskBook(task: ScriptedTask) {
  const rows: string[] = [];
  const states: schema.TaskState[] = [];
  const outputs: Record<string, string> = {};
  let noMore = false;
  const theTask = {
    id: 1n,
    workflowPayload: Buffer.from(task.workflow),
    context: task.context ?? aContext,
    secrets: { ...task.secrets },
  };
  const react: Readonly<Record<Method, (body: Uint8Array) => Reaction>> = {
    Declare: (body) => {
      const { labels } = fromBinary(schema.DeclareRequestSchema, body);
      return message(schema.DeclareResponseSchema, { runner: { name: 'r-c01', labels, ephemeral: task.ephemeral ?? true } });
    },
    FetchTask: () => message(schema.FetchTaskResponseSchema, { task: theTask, tasksVersion: 1n }),
    FetchSingleTask: () => message(schema.FetchSingleTaskResponseSchema, { task: theTask, tasksVersion: 1n }),
    UpdateTask: (body) => {
      const request = fromBinary(schema.UpdateTaskRequestSchema, body);
      Object.assign(outputs, request.outputs);
      if (request.state !== undefined) states.push(request.state);
      return message(schema.UpdateTaskResponseSchema, { state: { id: 1n }, sentOutputs: Object.keys(request.outputs) });
    },
    UpdateLog: (body) => {
      const request = fromBinary(schema.UpdateLogRequestSchema, body);
      const fresh = request.rows.slice(rows.length - Number(request.index));
      rows.push(...fresh.map((row) => row.content));
      if (fresh.length > 0 && request.noMore) noMore = true;
      return message(schema.UpdateLogResponseSchema, { ackIndex: BigInt(rows.length) });
    },
  };
  return { react, rows, states, outputs, noMore: () => noMore };
}

const empty: Readonly<Record<Method, DescMessage>> = {
  Declare: schema.DeclareResponseSchema,
  FetchTask: schema.FetchTaskResponseSchema,
  FetchSingleTask: schema.FetchSingleTaskResponseSchema,
  UpdateTask: schema.UpdateTaskResponseSchema,
  UpdateLog: schema.UpdateLogResponseSchema,
};

function sendProto(response: ServerResponse, body: Uint8Array): void {
  response.writeHead(200, { 'content-type': 'application/proto' }).end(body);
}

function sendTrouble(trouble: Trouble, method: Method, request: IncomingMessage, response: ServerResponse): void {
  if (trouble.kind === 'error') {
    response.writeHead(trouble.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ code: trouble.code, message: trouble.message }));
  } else if (trouble.kind === 'plain') response.writeHead(trouble.status, { 'content-type': 'text/html' }).end(trouble.text);
  else if (trouble.kind === 'reset' || trouble.kind === 'lost') request.socket.destroy();
  else if (trouble.kind === 'empty') sendProto(response, toBinary(empty[method], create(empty[method])));
  else if (trouble.kind === 'cancelled') {
    const state = { id: 1n, result: schema.Result.CANCELLED };
    sendProto(response, toBinary(schema.UpdateTaskResponseSchema, create(schema.UpdateTaskResponseSchema, { state })));
  }
}

/** Starts the server on a free port of the loopback; `port` reopens a known one. */
export async function startScriptedRpc(task: ScriptedTask, port = 0): Promise<ScriptedRpc> {
  const calls: Call[] = [];
  const book = createTaskBook(task);
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const method = (request.url ?? '').split('/').at(-1) as Method;
    const body = await buffer(request);
    calls.push({ method, at: Date.now(), headers: request.headers, body });
    const trouble = rpc.trouble(method, rpc.count(method));
    const reaction = trouble === undefined || trouble.kind === 'lost' ? book.react[method](body) : undefined;
    if (trouble !== undefined) sendTrouble(trouble, method, request, response);
    else if (reaction !== undefined) sendProto(response, reaction.message);
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const rpc: ScriptedRpc = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    trouble: () => undefined,
    count: (method) => calls.filter((call) => call.method === method).length,
    rows: () => book.rows,
    states: () => book.states,
    final: () => book.states.find((state) => state.result !== schema.Result.UNSPECIFIED),
    outputs: () => book.outputs,
    noMore: book.noMore,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return rpc;
}
