// Promises the least that a token must be allowed for a scope, and whose it must be: what a refusal of the forge, `init` and the documents say.
// Where it is put, too. Pure.

import type { Scope } from './model.ts';

/** Forgejo's name for what the scope belongs to: a token reads it with `read:` and changes it with `write:`, which includes the former. */
export function areaOf(scope: Scope): 'repository' | 'organization' | 'user' | 'admin' {
  return scope.kind === 'instance' ? 'admin' : scope.kind;
}

export function holderOf(scope: Scope): string {
  if (scope.kind === 'repository')
    return `an owner of the repository ${scope.owner}/${scope.name} (an administrating collaborator is not enough)`;
  if (scope.kind === 'organization') return `an owner of the organization ${scope.name}`;
  return scope.kind === 'user' ? 'the user whose jobs are to be run' : 'an administrator of the instance';
}

/** Where a person puts the token that is read at that path: what systemd copied for a unit (LoadCredential=) is nobody's to write. */
export function placeOf(path: string): string {
  const name = /^\/run\/credentials\/[^/]+\/([^/]+)$/.exec(path)?.[1];
  return name === undefined ? path : `the file that LoadCredential=${name}: of its unit names (systemd copies it at a start)`;
}
