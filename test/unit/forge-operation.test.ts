// What an exchange with a forge is counted as.

import { expect, test } from 'vitest';
import { operationOf } from '../../src/forge/operation.ts';

test.each([
  ['GET', '/api/v1/version', 'version'],
  ['GET', '/api/v1/repos/o/jobs/actions/runners/jobs', 'list-jobs'],
  ['GET', '/api/v1/orgs/o/actions/runners', 'list-registrations'],
  ['GET', '/api/v1/admin/actions/runners?page=1&limit=50', 'list-registrations'],
  ['GET', '/api/v1/user/actions/runners/42', 'read-registration'],
  ['POST', '/api/v1/user/actions/runners', 'register'],
  ['DELETE', '/api/v1/user/actions/runners/42', 'unregister'],
  ['POST', '/api/actions/runner.v1.RunnerService/UpdateTask', 'report'],
  ['GET', '/api/v1/anything/else', 'other'],
])('%s %s is %s', (method, path, operation) => {
  expect(operationOf(method, path)).toBe(operation);
});
