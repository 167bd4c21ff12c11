// Promises what an exchange with Forgejo was for, told by its method and path alone. Pure.

import type { Operation } from './forge.ts';

const operations: readonly (readonly [method: string, path: RegExp, operation: Operation])[] = [
  ['GET', /^\/api\/v1\/version$/, 'version'],
  ['GET', /\/actions\/runners\/jobs$/, 'list-jobs'],
  ['GET', /\/actions\/runners(?:\?[^/]*)?$/, 'list-registrations'],
  ['GET', /\/actions\/runners\/\d+$/, 'read-registration'],
  ['POST', /\/actions\/runners$/, 'register'],
  ['DELETE', /\/actions\/runners\/\d+$/, 'unregister'],
  ['POST', /^\/api\/actions\/runner\./, 'report'],
];

export function operationOf(method: string, path: string): Operation {
  return operations.find(([of, pattern]) => of === method && pattern.test(path))?.[2] ?? 'other';
}
