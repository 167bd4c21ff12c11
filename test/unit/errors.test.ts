// Which failures are the world's, by the word that the system has for them.

import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { ControllerError, errnoOf } from '../../src/errors.ts';

test('a failure of the system has its word; an error of ours, a bug, and what is no error have none', async () => {
  expect(errnoOf(await readFile('/nonexistent/file').catch((error: unknown) => error))).toBe('ENOENT');
  for (const other of [new ControllerError('STORE_FAILED', 'x'), new TypeError('x'), 'ENOENT', { code: 'ENOENT' }, undefined])
    expect(errnoOf(other)).toBeUndefined();
  expect(errnoOf(Object.assign(new Error('x'), { code: 20 }))).toBeUndefined();
});
