// The calls of the runner RPC, in binary protobuf, with errors in the words of connect-go ("code: message"). No call is repeated here.

import { textOf } from './plain-mapping.ts';
import { createHttp, isTrouble, type Reply } from './http1.ts';
import {
  type DeclaredRunner,
  type LogRow,
  readDeclareResponse,
  readFetchResponse,
  readUpdateLogResponse,
  readUpdateTaskResponse,
  type Task,
  type TaskState,
  writeDeclareRequest,
  writeFetchRequest,
  writeUpdateLogRequest,
  writeUpdateTaskRequest,
} from './wire.ts';

export const version = 'v12.8.2';

export type FetchRequest = {
  readonly tasksVersion: number;
  readonly handle: string | undefined;
  readonly requestKey: string;
  readonly timeoutMs: number;
};

export type Rpc = {
  declare(labels: readonly string[], signal: AbortSignal): Promise<DeclaredRunner>;
  fetch(request: FetchRequest, signal: AbortSignal): Promise<{ task: Task | undefined; tasksVersion: number }>;
  updateTask(state: TaskState, outputs: Readonly<Record<string, string>>): Promise<{ result: number; sentOutputs: readonly string[] }>;
  updateLog(taskId: number, index: number, rows: readonly LogRow[], noMore: boolean): Promise<{ ackIndex: number }>;
  close(): void;
};

export type RpcOptions = { readonly url: string; readonly uuid: string; readonly token: string; readonly timeoutMs: number };

const codeOfStatus: Readonly<Record<number, string>> = {
  400: 'internal',
  401: 'unauthenticated',
  403: 'permission_denied',
  404: 'unimplemented',
  429: 'unavailable',
  502: 'unavailable',
  503: 'unavailable',
  504: 'unavailable',
};

/** No control character but the tab, as HTTP has it. */
function validHeaderValue(value: string): boolean {
  return Array.from(value).every((character) => character === '\t' || (character >= ' ' && character !== '\u007F'));
}

function errorOfReply(reply: Reply): Error {
  const plain = `${codeOfStatus[reply.status] ?? 'unknown'}: ${reply.status} ${reply.statusText}`.trim();
  try {
    const body = JSON.parse(reply.body.toString('utf8')) as { code?: unknown; message?: unknown };
    return new Error(typeof body.code === 'string' ? `${body.code}: ${textOf(body.message)}` : plain);
  } catch (error) {
    return new Error(plain, { cause: error });
  }
}

function errorOfTrouble(error: unknown, url: URL): Error {
  if (!isTrouble(error)) return error instanceof Error ? error : new Error(String(error));
  const address = `${url.hostname}:${url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port}`;
  const timeout = `Post ${JSON.stringify(url.href)}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
  const texts: Readonly<Record<typeof error.trouble, string>> = {
    refused: `unavailable: dial tcp ${address}: connect: connection refused`,
    unresolved: `unavailable: dial tcp: lookup ${url.hostname}: no such host`,
    reset: `unavailable: read tcp ${address}: read: connection reset by peer`,
    closed: `unavailable: ${error.message}`,
    timeout: `deadline_exceeded: ${timeout}`,
    aborted: 'canceled: context canceled',
    malformed: `unavailable: ${error.message}`,
    other: `unavailable: ${error.message}`,
  };
  return new Error(texts[error.trouble], { cause: error });
}

export function createRpc({ url, uuid, token, timeoutMs }: RpcOptions): Rpc {
  const base = new URL(url);
  const http = createHttp(base);
  const root = `${base.pathname.replace(/\/$/, '')}/api/actions/runner.v1.RunnerService`;
  const headers = {
    'user-agent': `forgejo-runner/${version}`,
    'content-type': 'application/proto',
    'connect-protocol-version': '1',
    'x-runner-uuid': uuid,
    'x-runner-token': token,
  };

  const call = async (
    method: string,
    body: Uint8Array,
    more: { readonly key?: string; readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<Buffer> => {
    // What Go's client says to a token with a newline; 12.8.2 does not trim it.
    if (!validHeaderValue(token)) {
      throw new Error('unavailable: net/http: invalid header field value for "X-Runner-Token"');
    }
    const path = `${root}/${method}`;
    const all = more.key === undefined ? headers : { ...headers, 'x-runner-request-key': more.key };
    let reply: Reply;
    try {
      reply = await http.post(path, all, body, { timeoutMs: Math.min(timeoutMs, more.timeoutMs ?? timeoutMs), signal: more.signal });
    } catch (error) {
      throw errorOfTrouble(error, new URL(path, base));
    }
    if (reply.status !== 200) throw errorOfReply(reply);
    return reply.body;
  };

  return {
    declare: async (labels, signal) => readDeclareResponse(await call('Declare', writeDeclareRequest(version, labels), { signal })),
    async fetch({ tasksVersion, handle, requestKey, timeoutMs }, signal) {
      const single = handle !== undefined;
      const body = writeFetchRequest(tasksVersion, handle);
      const reply = await call(single ? 'FetchSingleTask' : 'FetchTask', body, { key: requestKey, timeoutMs, signal });
      return readFetchResponse(reply, single);
    },
    updateTask: async (state, outputs) => readUpdateTaskResponse(await call('UpdateTask', writeUpdateTaskRequest(state, outputs))),
    updateLog: async (taskId, index, rows, noMore) =>
      readUpdateLogResponse(await call('UpdateLog', writeUpdateLogRequest(taskId, index, rows, noMore))),
    close: () => http.close(),
  };
}
