// Promises the calls of a runner that a controller must be able to make in its place: the end of its log, its result, and that it serves no
// label any more. Connect's JSON form, so that no message definitions are needed. The runner's token goes into a header and nowhere else.

import type { Credentials, Scope } from '../core/model.ts';
import type { ReportOutcome } from './forge.ts';
import { jsonOf, parseAckIndex, parseDeclared, parseRpcRefusal } from './forgejo-wire.ts';
import type { HttpClient, HttpReply } from './http-client.ts';
import { notJsonOf, refusalOf, unreadableOf, type Asked } from './forgejo-refusal.ts';

const service = '/api/actions/runner.v1.RunnerService';
const answerBytes = 64 * 1024;

type Speaker = {
  readonly forge: string;
  readonly scope: Scope;
  readonly credentials: Credentials;
  readonly signal: AbortSignal | undefined;
};

export type Report = Speaker & {
  readonly taskId: number;
  readonly lines: readonly string[];
  /** ISO 8601, for the rows and the end of the job. */
  readonly at: string;
};

type Answer = { readonly asked: Asked; readonly reply: HttpReply; readonly refusal: ReportOutcome | 'log-closed' | undefined };

/** Adds the lines to the log and ends the task as failed. */
export async function reportFailure(http: HttpClient, report: Report): Promise<ReportOutcome> {
  const { taskId, lines, at } = report;
  const id = String(taskId);
  // Without rows the server says how many it has; ours go behind them, and only rows can close a log.
  const known = await ask(http, report, 'UpdateLog', { taskId: id, index: '0', rows: [] });
  if (known.refusal === 'over' || known.refusal === 'foreign') return known.refusal;
  if (known.refusal === undefined && lines.length > 0) {
    const rows = lines.map((content) => ({ time: at, content }));
    const said = await ask(http, report, 'UpdateLog', { taskId: id, index: ackIndexOf(known), rows, noMore: true });
    if (said.refusal === 'over' || said.refusal === 'foreign') return said.refusal;
  }
  const ended = await ask(http, report, 'UpdateTask', { state: { id, result: 'RESULT_FAILURE', stoppedAt: at } });
  return ended.refusal === 'over' || ended.refusal === 'foreign' ? ended.refusal : 'reported';
}

/**
 * A server hands a job to a runner whose declared labels hold all of the job's, also one that is named by its handle: without labels there is
 * none. What the runner has by then is not touched, for that is told apart by the task alone.
 */
export async function withholdJobs(http: HttpClient, speaker: Speaker): Promise<void> {
  const { reply, refusal, asked } = await send(http, speaker, 'Declare', { version: '', labels: [] });
  if (refusal === 'over' || reply.status === 404) return;
  if (reply.status !== 200) throw refusalOf(asked, reply);
  const json = jsonOf(reply.text);
  if (json === undefined) throw notJsonOf(asked, reply);
  const declared = parseDeclared(json);
  if (!declared.ok) throw unreadableOf(asked, reply, declared.problem);
  const { uuid, labels } = declared.value;
  if (uuid !== speaker.credentials.uuid || labels > 0)
    throw unreadableOf(asked, reply, 'it does not say that the runner has no label left');
}

async function ask(http: HttpClient, report: Report, method: string, message: unknown): Promise<Answer> {
  const answer = await send(http, report, method, message);
  if (answer.reply.status !== 200 && answer.refusal === undefined) throw refusalOf(answer.asked, answer.reply);
  return answer;
}

async function send(http: HttpClient, { forge, scope, credentials, signal }: Speaker, method: string, message: unknown): Promise<Answer> {
  const path = `${service}/${method}`;
  const { uuid, token } = credentials;
  const headers = { 'content-type': 'application/json', 'x-runner-uuid': uuid, 'x-runner-token': token };
  const reply = await http.send({ method: 'POST', path, headers, body: JSON.stringify(message), maxBytes: answerBytes, signal });
  const asked: Asked = { forge, scope, method: 'POST', path, token };
  return { asked, reply, refusal: reply.status === 200 ? undefined : meaningOf(reply) };
}

/** What Forgejo 16 answers when the runner has no such task any more, never had it, or its log was closed; undefined for any other refusal. */
function meaningOf({ text }: HttpReply): Answer['refusal'] {
  const refusal = parseRpcRefusal(jsonOf(text));
  if (!refusal.ok) return undefined;
  const { code, message } = refusal.value;
  if (code === 'unauthenticated') return 'over';
  if (code === 'already_exists') return 'log-closed';
  if (message.includes('invalid runner for task')) return 'foreign';
  return /task with id \d+: resource does not exist/.test(message) ? 'over' : undefined;
}

function ackIndexOf({ asked, reply }: Answer): string {
  const json = jsonOf(reply.text);
  if (json === undefined) throw notJsonOf(asked, reply);
  const parsed = parseAckIndex(json);
  if (!parsed.ok) throw unreadableOf(asked, reply, parsed.problem);
  return parsed.value;
}
