// Promises that the list of mutations does not rot: each still fits the source it was written for. `npm run mutate` tries them.

import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { targets } from './mutations/targets.ts';

const root = new URL('..', import.meta.url);
const mutations = targets.flatMap(({ file, mutations }) => mutations.map(([name, from, to]) => ({ file, name, from, to })));

describe('the list of mutations', () => {
  test('the text of each occurs exactly once in its file, and its replacement differs', () => {
    const wrongs = mutations.flatMap(({ file, name, from, to }) => {
      const times = readFileSync(new URL(file, root), 'utf8').split(from).length - 1;
      return times === 1 && from !== to ? [] : [`${file}: ${name}: its text occurs ${times} times`];
    });
    expect(wrongs).toEqual([]);
  });
  test('every test that is run for them exists', () => {
    expect(targets.flatMap(({ tests }) => tests).filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
  });
  test('no name is used twice, and there are at least forty', () => {
    expect(new Set(mutations.map(({ file, name }) => `${file}: ${name}`)).size).toBe(mutations.length);
    expect(mutations.length).toBeGreaterThanOrEqual(40);
  });
});
