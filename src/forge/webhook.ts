// Promises one webhook of ours at a scope, whatever was there before: made when it is missing, made anew when it is not as it should be or
// older than its secret, and never two. It is found by its target alone; what others made is left alone.

import { stat } from 'node:fs/promises';
import { ControllerError, errnoOf } from '../errors.ts';
import type { WebhookOutcome } from './forge.ts';
import { isAbsent, pathOf, valueOf, type Ask, type ForgejoOptions } from './exchange.ts';
import { refusalOf } from './forgejo-refusal.ts';
import { hookBodyOf, parseHook, parseHooks, type Hook } from './hook-wire.ts';
import { createTokenFile } from './token-file.ts';

/** What can make jobs wait, and what frees a concurrency group. */
const usual = [
  'push',
  'create',
  'delete',
  'pull_request',
  'pull_request_review',
  'issues',
  'issue_comment',
  'release',
  'package',
  'wiki',
  'action_run_success',
  'action_run_failure',
];
/** Of others a server tells under which names it keeps them as it likes. */
const checked = ['push', 'action_run_success', 'action_run_failure'];
const pageSize = 50;
const mostPages = 20;

type Webhook = NonNullable<ForgejoOptions['webhook']>;

export function createWebhookKeeper(
  { name: forge, scope, webhook = { secretFile: '' }, log }: ForgejoOptions,
  ask: Ask,
): (signal: AbortSignal | undefined) => Promise<WebhookOutcome> {
  const { secretFile, ensureUrl: url, events = usual, inactive } = webhook;
  const path = `/api/v1${pathOf(scope)}/hooks`;
  /** Events of those that were made here, by their ids, as the server told them: another name for one must not make it anew for ever. */
  const asMade = new Map<number, string>();

  return async (signal) => {
    if (url === undefined) return 'none';
    // As the token of a forge is read: what is no secret is refused before anything is changed.
    const secret = await createTokenFile({ forge, path: secretFile, log }).read();
    const secretSince = await changedAt(secretFile);
    const ours = (await listAll(ask, path, signal)).filter((hook) => hook.url === url);
    const isGood = (hook: Hook): boolean => asMade.get(hook.id) === JSON.stringify(hook.events) || hasEvents(hook, webhook);
    const good = ours.find((hook) => isAsItShouldBe(hook, webhook) && isGood(hook) && hook.madeAt >= secretSince);
    // Those to go first: a crash between the two leaves none, which the next look makes again, and never two.
    for (const { id } of ours.filter((hook) => hook !== good)) {
      const { asked, reply } = await ask({ method: 'DELETE', path: `${path}/${id}`, signal });
      if (reply.status !== 204 && !isAbsent(reply)) throw refusalOf(asked, reply);
    }
    if (good !== undefined) return ours.length > 1 ? 'replaced' : 'kept';
    const body = hookBodyOf({ url, secret, events, active: inactive !== true, system: scope.kind === 'instance' });
    const made = valueOf(await ask({ method: 'POST', path, body, signal }), 201, parseHook);
    asMade.set(made.id, JSON.stringify(made.events));
    return ours.length > 0 ? 'replaced' : 'made';
  };
}

/** Changing it in place would keep its old secret and some of its old events: Forgejo's PATCH leaves both as they are. */
function isAsItShouldBe({ active, contentType }: Hook, { inactive }: Webhook): boolean {
  return active === (inactive !== true) && contentType === 'json';
}

/** Where events are named, those and no others; a server may tell the parts of a group in its place. */
function hasEvents(hook: Hook, { events }: Webhook): boolean {
  if (events === undefined) return checked.every((event) => hook.events.includes(event));
  return (
    events.every((wanted) => hook.events.some((told) => isOf(told, wanted))) &&
    hook.events.every((told) => events.some((wanted) => isOf(told, wanted)))
  );
}

function isOf(told: string, wanted: string): boolean {
  return told === wanted || told.startsWith(`${wanted}_`) || (wanted === 'issues' && told.startsWith('issue'));
}

/** To the second, as the server tells the age of a hook. */
async function changedAt(path: string): Promise<number> {
  try {
    return Math.floor((await stat(path)).mtimeMs / 1000) * 1000;
  } catch (error) {
    const code = errnoOf(error) ?? 'unknown error';
    throw new ControllerError('FORGE_UNAUTHORIZED', `The secret of a webhook (${path}) cannot be looked at (${code}).`, { cause: error });
  }
}

async function listAll(ask: Ask, path: string, signal: AbortSignal | undefined): Promise<readonly Hook[]> {
  const all: Hook[] = [];
  for (let page = 1; page <= mostPages; page += 1) {
    const answer = await ask({ method: 'GET', path: `${path}?page=${page}&limit=${pageSize}`, signal });
    const rows = valueOf(answer, 200, parseHooks);
    all.push(...rows.filter((row) => !all.some(({ id }) => id === row.id)));
    if (rows.length < pageSize) return all;
  }
  // Without all of them nobody can say that ours is missing.
  throw new ControllerError(
    'FORGE_INCOMPATIBLE',
    `There are more than ${mostPages * pageSize} webhooks: ours cannot be looked for among them.`,
  );
}
