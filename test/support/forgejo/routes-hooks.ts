// Promises webhooks at all four scopes as Forgejo 16 keeps them: made (inactive unless said otherwise), listed by pages, deleted; the secret is
// never told. A push is delivered to those that want it, signed as the real one signs, once.

import { createHmac, randomUUID } from 'node:crypto';
import { organizationFor, repositoryFor, requireCaller, requireRepositoryOwner, requireSiteAdmin, type Category } from './access.ts';
import { emptyReply, jsonReply, Refusal, type Reply } from './reply.ts';
import { idParam, param, type Call, type Route } from './router.ts';
import { timeOf } from './wire.ts';
import type { Hook, Repository, Scoped, World } from './world.ts';

type ScopeOf = (call: Call) => Scoped;

const ofRepository: ScopeOf = (call) => {
  const repository = repositoryFor(call.world, call.caller, param(call, 'owner'), param(call, 'repo'));
  requireRepositoryOwner(call.world, requireCaller(call.caller), repository);
  return { ownerId: 0, repositoryId: repository.id };
};
const scopes: readonly (readonly [string, Category, ScopeOf])[] = [
  ['/api/v1/repos/{owner}/{repo}/hooks', 'repository', ofRepository],
  [
    '/api/v1/orgs/{org}/hooks',
    'organization',
    (call) => ({ ownerId: organizationFor(call.world, call.caller, param(call, 'org')).id, repositoryId: 0 }),
  ],
  ['/api/v1/user/hooks', 'user', (call) => ({ ownerId: requireCaller(call.caller).user.id, repositoryId: 0 })],
  [
    '/api/v1/admin/hooks',
    'admin',
    (call) => {
      requireSiteAdmin(requireCaller(call.caller));
      return { ownerId: 0, repositoryId: 0 };
    },
  ],
];

export const hookRoutes: readonly Route[] = scopes.flatMap(([path, category, scopeOf]): readonly Route[] => [
  { method: 'GET', path, category, answer: (call) => list(call, scopeOf(call)) },
  { method: 'POST', path, category, answer: (call) => create(call, scopeOf(call)) },
  { method: 'DELETE', path: `${path}/{id}`, category, answer: (call) => remove(call, scopeOf(call)) },
]);

const known = ['push', 'create', 'delete', 'issues', 'issue_comment', 'pull_request', 'release', 'package', 'wiki'];
const ofActions = ['action_run_failure', 'action_run_recover', 'action_run_success'];

function create({ world, body }: Call, scope: Scoped): Reply {
  const { type, config, events, active, authorization_header: header } = wishOf(body);
  if (type !== 'forgejo' && type !== 'gitea') throw new Refusal(422, `Invalid hook type: ${String(type)}`);
  const { url, content_type: contentType, secret, is_system_webhook: system } = config ?? {};
  if (url === undefined || contentType === undefined) throw new Refusal(422, 'Missing config option: url');
  const wanted = events === undefined || events.length === 0 ? ['push'] : events;
  const row: Hook = {
    ...scope,
    id: world.next('hook'),
    type,
    url,
    contentType,
    secret: secret ?? '',
    events: [...known, ...ofActions].filter((event) => wanted.includes(event)),
    active: active ?? false,
    system: system === 'true',
    header: header ?? '',
    createdAt: world.now(),
    deliveries: [],
  };
  world.hooks.set(row.id, row);
  return jsonReply(201, hookJsonOf(row));
}

function list({ world, query }: Call, scope: Scoped): Reply {
  const rows = [...world.hooks.values()].filter((row) => isOf(row, scope)).toSorted((a, b) => a.id - b.id);
  const page = Math.max(1, Number(query.get('page') ?? 1));
  const size = Math.min(50, Number(query.get('limit') ?? 30));
  return jsonReply(200, rows.slice((page - 1) * size, page * size).map(hookJsonOf), { 'x-total-count': String(rows.length) });
}

function remove(call: Call, scope: Scoped): Reply {
  const row = call.world.hooks.get(idParam(call));
  if (row === undefined || !isOf(row, scope)) throw new Refusal(404, "The target couldn't be found.", []);
  call.world.hooks.delete(row.id);
  return emptyReply(204);
}

function isOf(row: Scoped, scope: Scoped): boolean {
  return row.ownerId === scope.ownerId && row.repositoryId === scope.repositoryId;
}

function hookJsonOf(row: Hook): Readonly<Record<string, unknown>> {
  return {
    id: row.id,
    type: row.type,
    branch_filter: '',
    url: row.url,
    config: { content_type: row.contentType, url: row.url },
    events: row.events,
    authorization_header: row.header,
    content_type: row.contentType,
    metadata: null,
    active: row.active,
    updated_at: timeOf(row.createdAt),
    created_at: timeOf(row.createdAt),
  };
}

/** To the hooks of the repository and its owner, and to those of the whole site; nobody waits for them. */
export function deliverHooks(world: World, repository: Repository, event: string, payload: unknown): void {
  for (const hook of world.hooks.values()) {
    const here =
      hook.repositoryId === repository.id ||
      (hook.repositoryId === 0 && hook.ownerId === repository.ownerId) ||
      (hook.ownerId === 0 && hook.system);
    if (here && hook.active && hook.events.includes(event)) void deliver(world, hook, event, JSON.stringify(payload, undefined, 2));
  }
}

async function deliver(world: World, hook: Hook, event: string, body: string): Promise<void> {
  const sum = createHmac('sha256', hook.secret).update(body).digest('hex');
  const id = randomUUID();
  const headers: Record<string, string> = { 'content-type': 'application/json', 'user-agent': 'Go-http-client/1.1' };
  for (const name of ['forgejo', 'gitea', 'gogs', 'github']) {
    Object.assign(headers, { [`x-${name}-delivery`]: id, [`x-${name}-event`]: event, [`x-${name}-event-type`]: event });
    if (name !== 'github') headers[`x-${name}-signature`] = sum;
  }
  headers['x-hub-signature-256'] = `sha256=${sum}`;
  if (hook.header !== '') headers['authorization'] = hook.header;
  const answer = await fetch(hook.url, { method: 'POST', body, headers, signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
  hook.deliveries.push(answer?.status ?? 0);
  world.changed();
}

type Wish = {
  readonly type?: string;
  readonly config?: Readonly<Record<'url' | 'content_type' | 'secret' | 'is_system_webhook', string | undefined>>;
  readonly events?: readonly string[];
  readonly active?: boolean;
  readonly authorization_header?: string;
};

function wishOf(body: Buffer): Wish {
  try {
    return JSON.parse(body.toString() || '{}') as Wish;
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal(422, `[]: ${error.message}`);
    throw error;
  }
}
