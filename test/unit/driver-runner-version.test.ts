// A forgejo-runner that cannot do what the service asks of it is told by its version, and one that says nothing of use is not judged.

import { expect, test } from 'vitest';
import { runnerVersionOf } from '../../src/driver/runner-version.ts';

test.each([
  ['forgejo-runner version v12.8.2\n', '12.8.2', false],
  ['forgejo-runner version v12.8.2-local-b93a918a', '12.8.2-local-b93a918a', false],
  ['forgejo-runner version v12.10.0', '12.10.0', false],
  ['forgejo-runner version v13.0.0', '13.0.0', false],
  ['forgejo-runner version v12.8.1', '12.8.1', true],
  ['forgejo-runner version v12.7.9', '12.7.9', true],
  ['forgejo-runner version 9.99.99', '9.99.99', true],
  ['act_runner version v0.2.11', '0.2.11', true],
])('%j is version %s, and that it is too old is %s', (text, known, tooOld) => {
  expect(runnerVersionOf(text)).toEqual({ known, tooOld });
});

test.each(['', 'forgejo-runner version dev', 'version v12', 'usage: run'])('%j names no version and is not judged', (text) => {
  expect(runnerVersionOf(text)).toEqual({ tooOld: false });
});
