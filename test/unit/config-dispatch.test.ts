// What a configuration lets orders ask for: nothing unless it says so, and nothing that no profile could serve.

import { describe, expect, test } from 'vitest';
import { basicYaml, load, mistakeAt } from '../support/config-fixture.ts';

const profiles = 'profiles:\n  - {name: a, labels: [debian, big]}\n  - {name: b, labels: [guarded], forks: refuse}\n';

describe('dispatch', () => {
  test('is nothing unless it is written', async () => {
    expect((await load({ yaml: `${basicYaml}${profiles}` })).dispatch).toBeUndefined();
  });

  test.each(['[debian, big]', '"debian,big"', '["debian:host", "big:docker://image"]'])(
    'takes labels of the profiles: %s',
    async (labels) => {
      expect((await load({ yaml: `${basicYaml}${profiles}dispatch: {labels: ${labels}}\n` })).dispatch).toEqual({
        labels: ['debian', 'big'],
      });
    },
  );

  test.each([
    ['dispatch: {}', 'dispatch.labels', 'is missing'],
    ['dispatch: {labels: []}', 'dispatch.labels', 'is an empty list'],
    ['dispatch: {labels: [arm]}', 'dispatch.labels', 'has "arm", which no profile serves'],
    ['dispatch: {labels: [debian, guarded]}', 'dispatch.labels', 'asks where jobs come from'],
    ['dispatch: {labels: [debian], ttl: 5m}', 'dispatch.ttl', 'is not a known key'],
    ['dispatch: [debian]', 'dispatch', ''],
  ])('%s is refused', async (line, path, message) => {
    expect(await mistakeAt(path, { yaml: `${basicYaml}${profiles}${line}\n` })).toContain(message);
  });
});
