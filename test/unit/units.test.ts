// Promises durations and sizes as people write them.

import { describe, expect, test } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/core/units.ts';

describe('durations', () => {
  test.each([
    ['20m', 1_200_000],
    ['1h30m', 5_400_000],
    ['500ms', 500],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['1.5s', 1_500],
    ['1.1s', 1_100],
    ['1h 5m', 3_900_000],
    ['7200', 7_200_000],
    [1, 1_000],
    [0.5, 500],
    ['0', 0],
  ])('%j is %j ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    '',
    'soon',
    '5 parsecs',
    '-1s',
    '1m1h',
    '1s1s',
    '0.1ms',
    '1e3',
    'ms',
    '99999999999999d',
    null,
    true,
    Number.NaN,
    Infinity,
    {},
  ])('%j is no duration', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test('they are written in the shortest exact form', () => {
    expect([0, 500, 1_000, 5_400_000, 90_061_001].map(formatDuration)).toEqual(['0s', '500ms', '1s', '1h30m', '1d1h1m1s1ms']);
  });
});

describe('sizes', () => {
  test.each([
    ['4GiB', 4 * 1024 ** 3],
    ['512MiB', 512 * 1024 ** 2],
    ['10GB', 10_000_000_000],
    ['1.5 GiB', 1.5 * 1024 ** 3],
    ['4g', 4 * 1024 ** 3],
    ['1TB', 1e12],
    ['100B', 100],
    ['1024', 1024],
    [2048, 2048],
  ])('%j is %j bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', 'big', '4 gigs', '-1', '1EiB', '9999999TiB', null, true, 1.5])('%j is no size', (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  test('they are written in the largest binary unit that is exact', () => {
    expect([0, 1000, 1024, 1.5 * 1024 ** 3, 4 * 1024 ** 3].map(formatSize)).toEqual(['0', '1000', '1KiB', '1536MiB', '4GiB']);
  });
});
