// Promises what a demo needs of a Forgejo besides Actions: version, the own user, organizations, repositories, and files that are committed
// over REST and so start workflows.

import { organizationFor, repositoryFor, requireCaller, requireRepositoryWriter } from './access.ts';
import { jsonReply, notFound, Refusal, type Reply } from './reply.ts';
import { idParam, param, type Call, type Route } from './router.ts';
import { commit, pushEventOf, startPushRuns, type Change } from './start-run.ts';
import { repositoryJsonOf, timeOf, userJsonOf } from './wire.ts';
import { repositoryByName, rowOf, userByName, type Repository, type User, type World } from './world.ts';

type Json = Readonly<Record<string, unknown>>;

/** `later` runs something when the listing delay is over. */
export function repositoryRoutes(later: (action: () => void) => void): readonly Route[] {
  const contents = '/api/v1/repos/{owner}/{repo}/contents/{path...}';
  const category = 'repository';
  return [
    { method: 'GET', path: '/api/v1/version', answer: ({ world }) => jsonReply(200, { version: world.version }) },
    {
      method: 'GET',
      path: '/api/forgejo/v1/version',
      answer: ({ world }) => jsonReply(200, { version: world.version }, { 'content-type': 'application/json; charset=utf-8' }),
    },
    { method: 'GET', path: '/api/v1/settings/api', answer: () => jsonReply(200, settings) },
    { method: 'GET', path: '/api/healthz', answer: health },
    { method: 'GET', path: '/api/v1/user', category: 'user', answer: ownUser },
    { method: 'POST', path: '/api/v1/user/repos', category: 'user', answer: (call) => create(call, requireCaller(call.caller).user) },
    { method: 'POST', path: '/api/v1/orgs', category: 'organization', answer: createOrganization },
    {
      method: 'POST',
      path: '/api/v1/orgs/{org}/repos',
      category: 'organization',
      answer: (call) => create(call, organizationFor(call.world, call.caller, param(call, 'org'))),
    },
    { method: 'GET', path: '/api/v1/repositories/{id}', category, answer: byId },
    { method: 'GET', path: '/api/v1/repos/{owner}/{repo}', category, answer: byName },
    { method: 'POST', path: '/api/v1/repos/{owner}/{repo}/statuses/{sha}', category, answer: setStatus },
    { method: 'GET', path: contents, category, answer: readFile },
    ...(['POST', 'PUT', 'DELETE'] as const).map(
      (method) => ({ method, path: contents, category, answer: (call: Call) => write(call, later) }) as const,
    ),
  ];
}

const settings = { max_response_items: 50, default_paging_num: 30, default_git_trees_per_page: 1000, default_max_blob_size: 10_485_760 };

function health({ world }: Call): Reply {
  const check = [{ status: 'pass', time: timeOf(world.now()) }];
  const checks = { 'cache:ping': check, 'database:ping': check };
  return jsonReply(
    200,
    { status: 'pass', description: 'ref', checks },
    { 'content-type': 'application/json', 'cache-control': 'no-store' },
  );
}

function ownUser({ world, caller }: Call): Reply {
  return jsonReply(200, userJsonOf(world.rootUrl, requireCaller(caller).user));
}

function createOrganization({ world, caller, body }: Call): Reply {
  const { user } = requireCaller(caller);
  const { username } = wishOf(body);
  if (typeof username !== 'string' || username === '') throw new Refusal(422, '[UserName]: Required');
  if (userByName(world, username) !== undefined) throw new Refusal(422, `user already exists [name: ${username}]`);
  const row = addUser(world, { name: username, kind: 'organization', admin: false, owners: [user.id] });
  return jsonReply(201, { ...userJsonOf(world.rootUrl, row), name: username, repo_admin_change_team_access: false });
}

export function addUser(world: World, wish: Pick<User, 'name' | 'kind' | 'admin'> & { readonly owners?: readonly number[] }): User {
  const row: User = { ...wish, id: world.next('user'), owners: new Set(wish.owners), createdAt: world.now() };
  world.users.set(row.id, row);
  return row;
}

function create({ world, caller, body }: Call, owner: User): Reply {
  const { name, private: hidden, auto_init: init, default_branch: branch } = wishOf(body);
  if (typeof name !== 'string' || name === '') throw new Refusal(422, '[Name]: Required');
  if (repositoryByName(world, owner.name, name) !== undefined) throw new Refusal(409, 'The repository with the same name already exists.');
  requireCaller(caller);
  const row = addRepository(world, owner, { name, private: hidden === true, branch: typeof branch === 'string' ? branch : 'main' });
  if (init === true) commit(world, row, { path: 'README.md', content: `# ${name}\n`, message: 'Initial commit' });
  return jsonReply(201, repositoryJsonOf(world.rootUrl, owner, row));
}

export function addRepository(
  world: World,
  owner: User,
  wish: { readonly name: string; readonly private?: boolean; readonly branch?: string; readonly actions?: boolean },
): Repository {
  const now = world.now();
  const row: Repository = {
    id: world.next('repository'),
    ownerId: owner.id,
    name: wish.name,
    private: wish.private ?? false,
    branch: wish.branch ?? 'main',
    collaborators: new Map(),
    files: new Map(),
    createdAt: now,
    actions: wish.actions ?? true,
    head: undefined,
    updatedAt: now,
    runs: 0,
  };
  world.repositories.set(row.id, row);
  return row;
}

function byId(call: Call): Reply {
  const { world, caller } = call;
  const row = world.repositories.get(idParam(call));
  if (row === undefined) throw notFound();
  const owner = rowOf(world.users, row.ownerId);
  return jsonReply(200, repositoryJsonOf(world.rootUrl, owner, repositoryFor(world, caller, owner.name, row.name)));
}

function byName(call: Call): Reply {
  const row = repositoryFor(call.world, call.caller, param(call, 'owner'), param(call, 'repo'));
  return jsonReply(200, repositoryJsonOf(call.world.rootUrl, rowOf(call.world.users, row.ownerId), row));
}

function setStatus(call: Call): Reply {
  const { world } = call;
  const row = repositoryFor(world, call.caller, param(call, 'owner'), param(call, 'repo'));
  requireRepositoryWriter(world, requireCaller(call.caller), row);
  const { state, context = 'default', description = '', target_url: target = '' } = wishOf(call.body);
  if (!['pending', 'success', 'error', 'failure', 'warning'].includes(String(state))) throw new Refusal(422, '[State]: Required');
  const sha = param(call, 'sha');
  const repository = `${rowOf(world.users, row.ownerId).name}/${row.name}`;
  const [status, of, text, page] = [state, context, description, target].map(String) as [string, string, string, string];
  const made = { id: world.next('status'), repository, sha, status, context: of, description: text, target: page };
  world.statuses.push(made);
  const url = `${world.rootUrl}/api/v1/repos/${repository}/statuses/${sha}`;
  const at = timeOf(world.now());
  return jsonReply(201, {
    id: made.id,
    status,
    target_url: page,
    description: text,
    url,
    context: of,
    creator: null,
    created_at: at,
    updated_at: at,
  });
}

function readFile(call: Call): Reply {
  const path = param(call, 'path');
  const row = repositoryFor(call.world, call.caller, param(call, 'owner'), param(call, 'repo'));
  if (!row.files.has(path)) throw new Refusal(404, `object does not exist [id: , rel_path: ${path}]`, []);
  return jsonReply(200, fileJsonOf(row, path));
}

/** POST creates, PUT creates or (with the right sha) updates, DELETE (with the right sha) deletes. */
function write(call: Call, later: (action: () => void) => void): Reply {
  const { world, method } = call;
  const path = param(call, 'path');
  const row = repositoryFor(world, call.caller, param(call, 'owner'), param(call, 'repo'));
  const caller = requireCaller(call.caller);
  requireRepositoryWriter(world, caller, row);
  const { content, message, sha } = wishOf(call.body);
  const old = row.files.get(path);
  if (method === 'POST' && old !== undefined) throw new Refusal(422, `repository file already exists [path: ${path}]`);
  if (method === 'DELETE' && old === undefined) throw new Refusal(404, `repository file does not exist [path: ${path}]`);
  if (method !== 'POST' && old !== undefined && old.sha !== sha) {
    throw new Refusal(
      sha === undefined ? 422 : 409,
      sha === undefined ? '[SHA]: Required' : `sha does not match [given: ${JSON.stringify(sha)}, expected: ${old.sha}]`,
    );
  }
  if (method !== 'DELETE' && typeof content !== 'string') throw new Refusal(422, '[ContentBase64]: Required');
  const text = method === 'DELETE' ? undefined : Buffer.from(String(content), 'base64').toString();
  const change: Change = { path, content: text, message: typeof message === 'string' ? message : `${method} ${path}` };
  const both = commit(world, row, change);
  later(() => startPushRuns(world, row, caller.user, pushEventOf(world, row, caller.user, change, both), change.message));
  const status = method === 'POST' || (method === 'PUT' && old === undefined) ? 201 : 200;
  const url = `${world.rootUrl}/${rowOf(world.users, row.ownerId).name}/${row.name}/commit/${both.after}`;
  const made = { sha: both.after, message: `${change.message}\n`, html_url: url, created: timeOf(world.now()) };
  return jsonReply(status, { content: text === undefined ? null : fileJsonOf(row, path), commit: made, verification: null });
}

function fileJsonOf(row: Repository, path: string): Json {
  const { sha = '', content = '' } = row.files.get(path) ?? {};
  const encoded = Buffer.from(content).toString('base64');
  return { name: path.split('/').at(-1), path, sha, type: 'file', size: Buffer.byteLength(content), encoding: 'base64', content: encoded };
}

function wishOf(body: Buffer): Json {
  try {
    return JSON.parse(body.toString() || '{}') as Json;
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal(422, `[]: ${error.message}`);
    throw error;
  }
}
