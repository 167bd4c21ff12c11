// Promises registrations and the list of jobs, at all four scopes and at the deprecated paths, with the quirks of Forgejo 16: null for no
// jobs, no paging unless `page` is said, names that are cut and not unique.

import { organizationFor, repositoryFor, requireCaller, requireRepositoryOwner, requireSiteAdmin, type Category } from './access.ts';
import { emptyReply, jsonReply, missing, Refusal, type Reply } from './reply.ts';
import { idParam, param, type Call, type Route } from './router.ts';
import { jobJsonOf, registrationJsonOf } from './wire.ts';
import { newHex, newUuid, rowOf, type Job, type Registration, type Scoped, type World } from './world.ts';

type ScopeOf = (call: Call) => Scoped;

const ofRepository: ScopeOf = (call) => {
  const repository = repositoryFor(call.world, call.caller, param(call, 'owner'), param(call, 'repo'));
  requireRepositoryOwner(call.world, requireCaller(call.caller), repository);
  return { ownerId: 0, repositoryId: repository.id };
};
const ofOrganization: ScopeOf = (call) => ({ ownerId: organizationFor(call.world, call.caller, param(call, 'org')).id, repositoryId: 0 });
const ofUser: ScopeOf = (call) => ({ ownerId: requireCaller(call.caller).user.id, repositoryId: 0 });
const ofInstance: ScopeOf = (call) => {
  requireSiteAdmin(requireCaller(call.caller));
  return { ownerId: 0, repositoryId: 0 };
};

const scopes: readonly (readonly [string, Category, ScopeOf])[] = [
  ['/api/v1/repos/{owner}/{repo}/actions/runners', 'repository', ofRepository],
  ['/api/v1/orgs/{org}/actions/runners', 'organization', ofOrganization],
  ['/api/v1/user/actions/runners', 'user', ofUser],
  ['/api/v1/admin/actions/runners', 'admin', ofInstance],
];

export const runnerRoutes: readonly Route[] = [
  { method: 'GET', path: '/api/v1/admin/runners/jobs', category: 'admin', answer: (call) => listJobs(call, ofInstance(call)) },
  {
    method: 'GET',
    path: '/api/v1/admin/runners/registration-token',
    category: 'admin',
    answer: (call) => registrationToken(call, ofInstance(call)),
  },
  ...scopes.flatMap(([path, category, scopeOf]): readonly Route[] => [
    { method: 'GET', path: `${path}/jobs`, category, answer: (call) => listJobs(call, scopeOf(call)) },
    { method: 'GET', path: `${path}/registration-token`, category, answer: (call) => registrationToken(call, scopeOf(call)) },
    { method: 'GET', path, category, answer: (call) => list(call, scopeOf(call)) },
    { method: 'POST', path, category, answer: (call) => register(call, scopeOf(call)) },
    { method: 'GET', path: `${path}/{id}`, category, answer: (call) => read(call, scopeOf(call)) },
    { method: 'DELETE', path: `${path}/{id}`, category, answer: (call) => remove(call, scopeOf(call)) },
  ]),
];

function listJobs({ world, query }: Call, { ownerId, repositoryId }: Scoped): Reply {
  const isWanted = labelFilterOf(query.get('labels'));
  const rows: Job[] = [];
  for (const job of world.jobs.values()) {
    if (job.status !== 'waiting' && job.status !== 'running') continue;
    if (repositoryId !== 0 && job.repositoryId !== repositoryId) continue;
    if (ownerId !== 0 && job.ownerId !== ownerId) continue;
    if (isWanted(job)) rows.push(job);
  }
  return jsonReply(200, rows.length === 0 ? null : rows.toSorted((a, b) => b.id - a.id).map(jobJsonOf));
}

/** Absent = all; else the jobs that a runner with exactly these labels could run. Entries are not trimmed, only the whole value is. */
function labelFilterOf(value: string | null): (job: Job) => boolean {
  if (value === null) return () => true;
  const text = value.trim();
  if (text === '') return (job) => job.labels.length === 0;
  const labels = new Set(text.split(','));
  return (job) => job.labels.length > 0 && job.labels.every((label) => labels.has(label));
}

function registrationToken({ world }: Call, scope: Scoped): Reply {
  for (const [text, { ownerId, repositoryId }] of world.registrationTokens) {
    if (ownerId === scope.ownerId && repositoryId === scope.repositoryId) return jsonReply(200, { token: text });
  }
  const token = newHex();
  world.registrationTokens.set(token, scope);
  return jsonReply(200, { token });
}

function register(call: Call, scope: Scoped): Reply {
  const row = addRegistration(call.world, scope, wishOf(call));
  return jsonReply(201, { id: row.id, uuid: row.uuid, token: row.token });
}

type Wish = { readonly name: string; readonly description: string; readonly ephemeral: boolean };

export function addRegistration(world: World, scope: Scoped, { name, description, ephemeral }: Wish): Registration {
  const row: Registration = {
    id: world.next('registration'),
    uuid: newUuid(),
    token: newHex(),
    ...scope,
    name: cut(name),
    description,
    ephemeral,
    version: '',
    labels: null,
    onlineAt: 0,
    activeAt: 0,
  };
  world.registrations.set(row.id, row);
  world.changed();
  return row;
}

function wishOf({ contentType, body }: Call): Wish {
  const given: Readonly<Record<string, unknown>> = contentType.startsWith('application/x-www-form-urlencoded')
    ? formOf(new URLSearchParams(body.toString()))
    : objectOf(body.toString());
  const { name = '', description = '', ephemeral = false } = given;
  if (name !== null && typeof name !== 'string') throw wrong(name, 'Name', 'string');
  if (description !== null && typeof description !== 'string') throw wrong(description, 'Description', 'string');
  if (ephemeral !== null && typeof ephemeral !== 'boolean') throw wrong(ephemeral, 'Ephemeral', 'bool');
  if (name === null || name === '') throw new Refusal(422, '[Name]: Required');
  return { name, description: description ?? '', ephemeral: ephemeral ?? false };
}

function wrong(value: unknown, field: string, type: string): Refusal {
  const place = `Go struct field RegisterRunnerOptions.${field} of type ${type}`;
  return new Refusal(422, `[]: json: cannot unmarshal ${typeof value} into ${place}`);
}

function formOf(form: URLSearchParams): Readonly<Record<string, unknown>> {
  return { ...Object.fromEntries(form), ephemeral: isTrue(form.get('ephemeral')) };
}

/** The body as an object; nothing at all is an empty one. */
function objectOf(text: string): Readonly<Record<string, unknown>> {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Refusal(422, `[]: invalid character '${text.slice(0, 1)}' looking for beginning of value`);
}

/** At most 255 bytes, the last three of them an ellipsis when something was left out. */
function cut(name: string): string {
  if (Buffer.byteLength(name) <= 255) return name;
  let text = '';
  for (const character of name) {
    if (Buffer.byteLength(text + character) > 252) break;
    text += character;
  }
  return `${text}…`;
}

function list({ world, query, path }: Call, scope: Scoped): Reply {
  const all = isTrue(query.get('visible'));
  const unfiltered = all && isInstance(scope);
  const rows = [...world.registrations.values()]
    .filter((row) => (all ? isVisible(world, row, scope) : row.ownerId === scope.ownerId && row.repositoryId === scope.repositoryId))
    // The real order has no tie-break: an unfiltered list came newest first from sqlite, a filtered one oldest first.
    .toSorted((a, b) => b.onlineAt - a.onlineAt || (unfiltered ? b.id - a.id : a.id - b.id));
  const page = Number(query.get('page') ?? '0');
  const total = { 'x-total-count': String(rows.length) };
  const json = (part: readonly Registration[], headers: Readonly<Record<string, string>>): Reply => {
    return jsonReply(
      200,
      part.map((row) => registrationJsonOf(row, world.now())),
      headers,
    );
  };
  if (!(page >= 1)) return json(rows, { ...total, 'access-control-expose-headers': 'X-Total-Count' });
  const limit = Math.min(50, Number(query.get('limit') ?? '0') || 30);
  const link = linkOf(`${world.rootUrl}${path}`, query, { page, limit, total: rows.length });
  const part = rows.slice((page - 1) * limit, page * limit);
  if (link === '') return json(part, { ...total, 'access-control-expose-headers': 'X-Total-Count' });
  return json(part, { ...total, link, 'access-control-expose-headers': 'Link, X-Total-Count' });
}

/** A page behind the last one is taken for the last one. */
function linkOf(url: string, query: URLSearchParams, { page, limit, total }: Readonly<Record<'page' | 'limit' | 'total', number>>): string {
  const last = Math.max(1, Math.ceil(total / limit));
  const current = Math.min(page, last);
  const link = (to: number, rel: string): string => {
    const changed = new URLSearchParams(query);
    changed.set('page', String(to));
    changed.sort();
    return `<${url}?${changed.toString()}>; rel="${rel}"`;
  };
  const onwards = current < last ? [link(current + 1, 'next'), link(last, 'last')] : [];
  return [...onwards, ...(current > 1 ? [link(1, 'first'), link(current - 1, 'prev')] : [])].join(',');
}

function read(call: Call, scope: Scoped): Reply {
  return jsonReply(200, registrationJsonOf(visible(call, scope), call.world.now()));
}

function remove(call: Call, scope: Scoped): Reply {
  const row = visible(call, scope);
  const mine = isInstance(scope) || (scope.repositoryId === 0 ? row.ownerId === scope.ownerId : row.repositoryId === scope.repositoryId);
  if (!mine) throw new Refusal(404, 'No permission to delete this runner');
  // A task that it runs stays as it is: nobody reports it any more, and the zombie time-out ends it.
  call.world.registrations.delete(row.id);
  call.world.changed();
  return emptyReply(204);
}

function visible(call: Call, scope: Scoped): Registration {
  const id = idParam(call);
  const row = call.world.registrations.get(id);
  if (row === undefined || !isVisible(call.world, row, scope)) throw missing('runner', id);
  return row;
}

function isVisible(world: World, row: Registration, scope: Scoped): boolean {
  if (isInstance(scope) || isInstance(row)) return true;
  if (scope.repositoryId === 0) return row.ownerId === scope.ownerId;
  return row.repositoryId === scope.repositoryId || row.ownerId === rowOf(world.repositories, scope.repositoryId).ownerId;
}

function isInstance({ ownerId, repositoryId }: Scoped): boolean {
  return ownerId === 0 && repositoryId === 0;
}

/** Go's ParseBool, and what a browser sends for a tick. */
function isTrue(value: string | null): boolean {
  return ['1', 't', 'T', 'true', 'TRUE', 'True', 'on'].includes(value ?? '');
}
