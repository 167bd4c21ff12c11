// Promises one sentence with a remedy for every answer of a Forgejo that is not the agreed one: what was asked, what it said, what to do.
// Pure. The server's own words are quoted short and without the token (a 401 repeats the token it was given).

import type { Scope } from '../core/model.ts';
import { areaOf, holderOf } from '../core/token-rights.ts';
import { ControllerError } from '../errors.ts';
import { refusalMessageOf } from './forgejo-wire.ts';
import type { HttpReply } from './http-client.ts';

/** What was asked of whom. */
export type Asked = {
  readonly forge: string;
  readonly scope: Scope;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** Cut out of whatever is quoted. */
  readonly token: string;
};

export const oldestMajor = 15;

/** An answer whose status is not the agreed one. Never FORGE_THROTTLED: the HTTP client throws that. */
export function refusalOf(asked: Asked, reply: HttpReply): ControllerError {
  const { status } = reply;
  const message = refusalMessageOf(reply.text);
  const said = message === undefined || message.trim() === '' ? '' : `: "${quotable(message, asked.token)}"`;
  const start = `Forgejo "${asked.forge}" answered ${status} to ${asked.method} ${asked.path}${said}.`;
  const details = { ...detailsOf(asked), status };
  if (status === 401 || status === 403) {
    const scope = scopeNeeded(asked);
    return new ControllerError('FORGE_UNAUTHORIZED', `${start} ${rightsSentence(asked, status)}`, { details: { ...details, scope } });
  }
  if (status === 404) {
    const remedy = message === undefined ? unknownRouteSentence : absentSentence(asked.scope);
    return new ControllerError('FORGE_INCOMPATIBLE', `${start} ${remedy}`, { details });
  }
  if (status >= 500) return new ControllerError('FORGE_UNREACHABLE', `${start} Its own log says why.`, { details });
  return new ControllerError('FORGE_INCOMPATIBLE', `${start} That is not an answer this program knows.`, { details });
}

/** An answer with the right status and a body that cannot be used. */
export function unreadableOf(asked: Asked, reply: HttpReply, problem: string): ControllerError {
  const message = `Forgejo "${asked.forge}" answered ${asked.method} ${asked.path} with something this program cannot use: ${problem}.`;
  return new ControllerError('FORGE_INCOMPATIBLE', message, { details: { ...detailsOf(asked), status: reply.status } });
}

/** An answer with the right status that is not JSON at all: cut short, or from somebody else than Forgejo's API. */
export function notJsonOf(asked: Asked, reply: HttpReply): ControllerError {
  const type = reply.headers.get('content-type') ?? 'no content type';
  const details = { ...detailsOf(asked), status: reply.status };
  const start = `Forgejo "${asked.forge}" answered ${asked.method} ${asked.path}`;
  if (/\bjson\b/i.test(type))
    return new ControllerError('FORGE_UNREACHABLE', `${start} with JSON that cannot be read: cut or damaged.`, { details });
  const message = `${start} with ${quotable(type, asked.token)} instead of JSON: is the URL the root of a Forgejo, with no sign-in page before it?`;
  return new ControllerError('FORGE_INCOMPATIBLE', message, { details });
}

/** A server that says itself that it is older. */
export function tooOldOf(asked: Asked, version: string): ControllerError {
  const message =
    `Forgejo "${asked.forge}" is version ${quotable(version, asked.token)}. Forgejo ${oldestMajor} or newer is needed: ` +
    'older ones have no ephemeral runners and no job handles.';
  return new ControllerError('FORGE_INCOMPATIBLE', message, { details: { ...detailsOf(asked), version: quotable(version, asked.token) } });
}

const unknownRouteSentence = `The server does not know this address: Forgejo ${oldestMajor} or newer is needed, and the URL must be its root.`;

export function detailsOf(asked: Asked): { readonly forge: string; readonly method: string; readonly path: string } {
  return { forge: asked.forge, method: asked.method, path: asked.path };
}

/** The token scope that Forgejo checks for this call: reads need read:, everything else write: (which includes read:). */
function scopeNeeded(asked: Asked): string {
  return `${asked.method === 'GET' ? 'read' : 'write'}:${areaOf(asked.scope)}`;
}

function rightsSentence(asked: Asked, status: 401 | 403): string {
  const needed = scopeNeeded(asked);
  const both = needed.startsWith('read:') ? `${needed} (and write:${areaOf(asked.scope)} to register runners)` : needed;
  const unknown = status === 401 ? 'The token file holds no token that this server knows: put a valid one into it. ' : '';
  return `${unknown}The token needs the scope ${both} and must belong to ${holderOf(asked.scope)}.`;
}

function absentSentence(scope: Scope): string {
  if (scope.kind === 'repository') {
    return (
      `Either the repository ${scope.owner}/${scope.name} does not exist, or Actions are disabled in its settings, ` +
      'or the token cannot see it; the token must belong to an owner of the repository.'
    );
  }
  if (scope.kind === 'organization') {
    return `Either the organization ${scope.name} does not exist, or the token cannot see it; the token must belong to one of its owners.`;
  }
  return 'Actions may be disabled on this server.';
}

/** One short line without the token. */
function quotable(text: string, token: string): string {
  const clean = (token === '' ? text : text.replaceAll(token, '[secret]')).replaceAll(/[\s\p{Cc}]+/gu, ' ').trim();
  return clean.length > 200 ? `${clean.slice(0, 200)}...` : clean;
}
