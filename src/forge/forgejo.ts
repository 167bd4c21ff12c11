// Promises the Forge port over Forgejo's REST API (15 or newer): one scope of one server. Reads may be repeated, a registration is asked
// for exactly once and believed only after it was read back. Whatever the server answers, a call ends in a checked value or a
// ControllerError (FORGE_*), and neither the token nor the answer to a registration is ever in it or in the log.

import type { Clock } from '../clock.ts';
import type { Credentials, Job, Registration } from '../core/model.ts';
import { placeOf } from '../core/naming.ts';
import { ControllerError } from '../errors.ts';
import type { Forge, ForgeVersion } from './forge.ts';
import { createAsk, isAbsent, pathOf, valueOf, type Answer, type Ask, type ForgejoOptions } from './exchange.ts';
import { createCommitStatuses } from './commit-status.ts';
import { examine, type Examination } from './examination.ts';
import type { HttpReply } from './http-client.ts';
import { detailsOf, oldestMajor, refusalOf, tooOldOf, unreadableOf } from './forgejo-refusal.ts';
import {
  parseCredentials,
  parseJobs,
  parseRegistration,
  parseRegistrations,
  parseVersionText,
  registrationBodyOf,
  versionOf,
} from './forgejo-wire.ts';
import { createOrigins } from './origins.ts';
import { reportFailure, withholdJobs } from './runner-rpc.ts';
import { createWebhookKeeper } from './webhook.ts';

export type { Examination } from './examination.ts';

export type { ForgejoOptions } from './exchange.ts';

/** The server's own upper bound for a page. */
const pageSize = 50;
/** How often a list whose rows move while it is paged is gone through before giving up. */
const passes = 3;
/** More than any real list has, and how long one may take to read; a server that miscounts must not keep us for ever. */
const mostRows = 50_000;
const listingMs = 60_000;

export function createForgejo(options: ForgejoOptions): Forge {
  const { ask, http } = createAsk(options);
  const runners = `/api/v1${pathOf(options.scope)}/actions/runners`;
  const setCommitStatus = createCommitStatuses(ask);
  const tellOrigins = createOrigins(ask, options);

  async function jobs(signal?: AbortSignal): Promise<readonly Job[]> {
    // No `labels` parameter: since Forgejo 14 that means all, and one poll serves every profile.
    const answer = await ask({ method: 'GET', path: `${runners}/jobs`, list: true, signal });
    const listed = valueOf(answer, 200, (json) => parseJobs(options.name, json));
    return options.asksOrigin === undefined ? listed : tellOrigins(listed, options.asksOrigin, signal);
  }

  /** Is the scope there and readable? Tells "no such runner" from "no such repository", which answer alike. */
  async function probe(signal: AbortSignal | undefined): Promise<void> {
    const answer = await ask({ method: 'GET', path: `${runners}?page=1&limit=1`, list: true, signal });
    valueOf(answer, 200, parseRegistrations);
  }

  async function check(signal?: AbortSignal): Promise<ForgeVersion> {
    const answer = await ask({ method: 'GET', path: '/api/v1/version', signal });
    const text = valueOf(answer, 200, parseVersionText);
    const version = versionOf(text);
    if (version !== undefined && version.major < oldestMajor) throw tooOldOf(answer.asked, text);
    await probe(signal);
    await jobs(signal);
    // An odd build that knows these routes and lists handles is at least the oldest that has them.
    return version ?? { major: oldestMajor, minor: 0, patch: 0, text };
  }

  async function registration(id: number, signal?: AbortSignal): Promise<Registration | undefined> {
    const answer = await ask({ method: 'GET', path: `${runners}/${id}`, signal });
    if (!isAbsent(answer.reply)) return valueOf(answer, 200, parseRegistration);
    await probe(signal);
    return undefined;
  }

  async function registered(id: number, signal?: AbortSignal): Promise<boolean> {
    const answer = await ask({ method: 'GET', path: `${runners}/${id}`, signal });
    return !isAbsent(answer.reply) && valueOf(answer, 200, parseRegistration).id === id;
  }

  async function unregister(id: number, signal?: AbortSignal): Promise<void> {
    const { asked, reply } = await ask({ method: 'DELETE', path: `${runners}/${id}`, signal });
    // The 404 of a repository that is gone counts too, else its runners could never be finalized; a sweep finds what should come back.
    if (reply.status !== 204 && !isAbsent(reply)) throw refusalOf(asked, reply);
  }

  async function register(name: string, description: string, signal?: AbortSignal): Promise<Credentials> {
    const answer = await ask({ method: 'POST', path: runners, body: registrationBodyOf(name, description), signal });
    const credentials = valueOf(answer, 201, parseCredentials);
    try {
      const read = await ask({ method: 'GET', path: `${runners}/${credentials.id}`, signal });
      const seen = valueOf(read, 200, parseRegistration);
      const wrong = differenceOf(seen, credentials, name, description);
      if (wrong !== undefined) throw unreadableOf(read.asked, read.reply, wrong);
    } catch (error) {
      throw await withdrawn(error, credentials.id, unregister);
    }
    return credentials;
  }

  return {
    name: options.name,
    scope: options.scope,
    place: placeOf(options.url, options.scope),
    instanceUrl: options.instanceUrl,
    check,
    jobs,
    registrations: (signal) => listAll(ask, runners, options.clock, signal),
    registration,
    register,
    registered,
    reportFailure: (credentials, taskId, lines, signal) =>
      reportFailure(http, {
        forge: options.name,
        scope: options.scope,
        credentials,
        taskId,
        lines,
        at: new Date(options.clock.wallOf(options.clock.now())).toISOString(),
        signal,
      }),
    withhold: (credentials, signal) => withholdJobs(http, { forge: options.name, scope: options.scope, credentials, signal }),
    unregister,
    setCommitStatus: (run, status, signal) => setCommitStatus(run, status, signal),
    keepWebhook: createWebhookKeeper(options, ask),
    close: () => http.close(),
  };
}

/** See examination.ts. */
export async function examineForgejo(options: ForgejoOptions): Promise<Examination> {
  const { ask, http } = createAsk(options);
  const forge = createForgejo(options);
  const askVersion = async () => {
    const answer = await ask({ method: 'GET', path: '/api/v1/version', signal: undefined });
    return { date: answer.reply.headers.get('date'), said: () => versionSaid(answer) };
  };
  try {
    return await examine(forge, askVersion, options.clock);
  } finally {
    await Promise.all([forge.close(), http.close()]);
  }
}

async function versionSaid(answer: Answer): Promise<string> {
  const text = valueOf(answer, 200, parseVersionText);
  if ((versionOf(text)?.major ?? oldestMajor) < oldestMajor) throw tooOldOf(answer.asked, text);
  return text;
}

/** What is wrong with a new registration as read back. Without name and description no later sweep would know it for ours. */
function differenceOf(seen: Registration, made: Credentials, name: string, description: string): string | undefined {
  if (!seen.ephemeral) return 'the new registration is not ephemeral, so it could run a second job (Forgejo 15 or newer is needed)';
  if (seen.id !== made.id || seen.uuid !== made.uuid) return 'the new registration was read back as another one';
  if (seen.name !== name) return 'the new registration was read back under another name';
  if (seen.description !== description) return 'the new registration was read back with another description';
  return undefined;
}

/** Takes a registration back that cannot be trusted, and gives the error to throw. Not under the caller's signal: it may have fired. */
async function withdrawn(reason: unknown, id: number, unregister: (id: number) => Promise<void>): Promise<unknown> {
  try {
    await unregister(id);
    return reason;
  } catch (error) {
    if (!(error instanceof ControllerError) || !(reason instanceof ControllerError)) return error;
    const message = `${reason.message} The registration ${id} could not be deleted either: ${error.message}`;
    return new ControllerError(reason.code, message, { cause: reason, details: { ...reason.details, registrationId: id } });
  }
}

/**
 * Every registration. Asked without `page` Forgejo sends all at once; what answers with fewer than X-Total-Count is paged instead. Pages are
 * ordered by last contact, so rows move between them: they are gathered by id, over several passes, until none is missing.
 */
async function listAll(ask: Ask, runners: string, clock: Clock, signal: AbortSignal | undefined): Promise<readonly Registration[]> {
  const read = async (query: string) => {
    const answer = await ask({ method: 'GET', path: `${runners}${query}`, list: true, signal });
    return { answer, rows: valueOf(answer, 200, parseRegistrations), total: totalOf(answer.reply) };
  };
  const until = clock.now() + listingMs;
  const whole = await read('');
  const found = new Map(whole.rows.map((row) => [row.id, row]));
  let { answer, total } = whole;
  for (let pass = 1; pass <= passes && found.size < total && total <= mostRows && clock.now() < until; pass += 1) {
    let last = 1;
    for (let page = 1; page <= last && found.size < total; page += 1) {
      const part = await read(`?page=${page}&limit=${pageSize}`);
      for (const row of part.rows) found.set(row.id, row);
      ({ answer, total } = part);
      // The size of a page is the server's choice; the first one shows it.
      if (page === 1) last = Math.ceil(total / part.rows.length);
      if (part.rows.length === 0 || total > mostRows || clock.now() >= until) break;
    }
  }
  if (found.size >= total) return [...found.values()].toSorted((a, b) => a.id - b.id);
  const message = `Forgejo "${answer.asked.forge}" lists ${total} runners but showed ${found.size} of them: the list is not complete.`;
  throw new ControllerError('FORGE_UNREACHABLE', message, { details: { ...detailsOf(answer.asked), total, found: found.size } });
}

function totalOf(reply: HttpReply): number {
  const text = reply.headers.get('x-total-count') ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}
