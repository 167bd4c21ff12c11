// Promises Semantic Versioning's order, and that a tag which follows versions is never given to an older one.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareVersions, movingTagsOf, versionOf, type Version } from '../../scripts/release-tags.ts';

const parsed = (text: string): Version => versionOf(text) ?? expect.fail(`${text} is no version`);

describe('versions', () => {
  test('stand in the order of Semantic Versioning', () => {
    const order = [
      '0.9.10',
      '1.0.0-1',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.0.1',
      '1.10.0',
      '2.0.0',
    ];
    const shuffled = order.toReversed().map(parsed).toSorted(compareVersions);
    expect(shuffled).toEqual(order.map(parsed));
  });

  test.each(['1.2', 'v1.2.3', '1.2.3.4', '01.2.3', '1.2.3-', ''])('%j is none', (text) => {
    expect(versionOf(text)).toBeUndefined();
  });
});

describe('the tags that follow', () => {
  test.each([
    ['0.1.0', [], ['latest', 'v0', 'v0.1']],
    ['0.2.0', ['0.1.0'], ['latest', 'v0', 'v0.2']],
    ['0.1.1', ['0.1.0', '0.2.0'], ['v0.1']],
    ['1.4.2', ['1.4.1', '1.5.0', '2.0.0'], ['v1.4']],
    ['1.6.0', ['1.5.0', '2.0.0'], ['v1', 'v1.6']],
    ['3.0.0-rc.1', ['2.0.0'], []],
    ['2.0.1', ['2.0.0', '3.0.0-rc.1'], ['latest', 'v2', 'v2.0']],
  ])('%s after %j moves %j', (version, released, moved) => {
    expect(movingTagsOf(parsed(version), released.map(parsed))).toEqual(moved);
  });

  test('whatever is released in whatever order, each of them only ever moves to a higher version', () => {
    const part = fc.integer({ min: 0, max: 3 });
    const version = fc.record({ major: part, minor: part, patch: part });
    fc.assert(
      fc.property(
        fc.uniqueArray(version, { maxLength: 20, selector: ({ major, minor, patch }) => `${major}.${minor}.${patch}` }),
        (releases) => {
          const at = new Map<string, Version>();
          const moves: number[] = [];
          for (const [index, release] of releases.entries())
            for (const tag of movingTagsOf(release, releases.slice(0, index))) {
              const before = at.get(tag);
              if (before !== undefined) moves.push(compareVersions(release, before));
              at.set(tag, release);
            }
          expect(moves.filter((step) => step <= 0)).toEqual([]);
          const [newest] = releases.toSorted(compareVersions).slice(-1);
          expect(at.get('latest')).toEqual(newest);
        },
      ),
    );
  });
});
