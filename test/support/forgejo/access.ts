// Promises who is asking and what they may: access tokens with their scopes, and the rights of their users, refused in the words of
// Forgejo 16.

import { notFound, Refusal } from './reply.ts';
import { repositoryByName, rowOf, userByName, type Repository, type Token, type User, type World } from './world.ts';

export type Category = 'repository' | 'organization' | 'user' | 'admin';
export type Caller = { readonly user: User; readonly token: Token };

/** Undefined = nobody said who they are. A token that is not known is refused at once. */
export function callerOf(world: World, authorization: string | undefined): Caller | undefined {
  const text = tokenTextOf(authorization ?? '');
  if (text === undefined) return undefined;
  const token = world.tokens.get(text);
  if (token === undefined) throw new Refusal(401, badTokenMessageOf(text));
  return { user: rowOf(world.users, token.userId), token };
}

function tokenTextOf(authorization: string): string | undefined {
  const [scheme = '', value = ''] = authorization.split(' ', 2);
  if (/^(?:token|bearer)$/i.test(scheme)) return value;
  if (!/^basic$/i.test(scheme)) return undefined;
  const plain = Buffer.from(value, 'base64').toString();
  return plain.slice(plain.indexOf(':') + 1);
}

/** One line for each way in which Forgejo tried to read it. */
function badTokenMessageOf(text: string): string {
  const malformed = 'token is malformed: token contains an invalid number of segments';
  const ways = [`access token does not exist [sha: ${text}]`, malformed, `task with token "${text}": resource does not exist`];
  return [malformed, ...ways, `authorized integration: parse JWT error: ${malformed}`].join('\n');
}

/** Does the token reach that far? Nobody's token is not asked here, but by requireCaller. */
export function requireScope(caller: Caller | undefined, category: Category, method: string): void {
  if (caller === undefined) return;
  const { scopes } = caller.token;
  const level = method === 'GET' || method === 'HEAD' ? 'read' : 'write';
  if (scopes.has('all') || scopes.has(`write:${category}`) || (level === 'read' && scopes.has(`read:${category}`))) return;
  throw new Refusal(403, `token does not have at least one of required scope(s): [${level}:${category}]`);
}

export function requireCaller(caller: Caller | undefined): Caller {
  if (caller === undefined) throw new Refusal(401, 'token is required');
  return caller;
}

/** A repository that exists and that the caller may see. */
export function repositoryFor(world: World, caller: Caller | undefined, owner: string, name: string): Repository {
  const repository = repositoryByName(world, owner, name);
  if (repository === undefined || (repository.private && !canRead(world, caller, repository))) throw notFound();
  if (repository.private && caller?.token.scopes.has('public-only') === true) {
    throw new Refusal(403, 'token scope is limited to public repos');
  }
  return repository;
}

export function requireRepositoryOwner(world: World, caller: Caller, repository: Repository): void {
  if (!caller.user.admin && !owns(caller.user, rowOf(world.users, repository.ownerId))) {
    throw new Refusal(403, 'user should be the owner of the repo');
  }
  if (!repository.actions) throw notFound();
}

export function requireRepositoryWriter(world: World, caller: Caller, repository: Repository): void {
  const permission = repository.collaborators.get(caller.user.id);
  if (caller.user.admin || owns(caller.user, rowOf(world.users, repository.ownerId)) || permission === 'write' || permission === 'admin')
    return;
  throw new Refusal(403, 'user should have a permission to write to the repo');
}

export function organizationFor(world: World, caller: Caller | undefined, name: string): User {
  const organization = userByName(world, name);
  if (organization?.kind !== 'organization') throw new Refusal(404, 'GetOrgByName', [`user redirect does not exist [name: ${name}]`]);
  const { user } = requireCaller(caller);
  if (!user.admin && !organization.owners.has(user.id)) throw new Refusal(403, 'Must be an organization owner');
  return organization;
}

export function requireSiteAdmin(caller: Caller): void {
  if (!caller.user.admin) throw new Refusal(403, 'user should be the site admin');
}

function owns(user: User, owner: User): boolean {
  return owner.id === user.id || owner.owners.has(user.id);
}

function canRead(world: World, caller: Caller | undefined, repository: Repository): boolean {
  if (caller === undefined) return false;
  return caller.user.admin || owns(caller.user, rowOf(world.users, repository.ownerId)) || repository.collaborators.has(caller.user.id);
}
