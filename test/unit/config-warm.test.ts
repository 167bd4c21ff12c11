// Machines that wait for jobs, as the configuration says them.

import { describe, expect, test } from 'vitest';
import { renderConfig } from '../../src/config/config.ts';
import { basicYaml, load, refusal } from '../support/config-fixture.ts';

const yamlOf = (warm: string, more = ''): string =>
  `${basicYaml}profiles: [{labels: [debian]${warm === '' ? '' : `, warm: ${warm}`}${more}}]\n`;
const warmOf = async (warm: string) => (await load({ yaml: yamlOf(warm) })).profiles[0]?.warm;
const minute = 60_000;
const warned = async (max: number) =>
  (await load({ yaml: `maxConcurrent: ${max}\n${yamlOf('3')}` })).warnings.filter((line) => line.includes('warm'));

describe('machines that wait for jobs, in the configuration', () => {
  test.each([
    ['', undefined],
    ['0', undefined],
    ['{min: 0, maxAge: 5m}', undefined],
    ['2', { min: 2, maxAgeMs: 60 * minute }],
    ['{min: 1}', { min: 1, maxAgeMs: 60 * minute }],
    ['{min: 3, maxAge: 10m, linger: 30m}', { min: 3, maxAgeMs: 10 * minute, lingerMs: 30 * minute }],
  ])('warm is a number or a map; 0 and nothing are none', async (warm, wanted) => {
    expect(await warmOf(warm)).toEqual(wanted);
    const config = await load({ yaml: yamlOf(warm) });
    expect((await load({ yaml: renderConfig(config) })).profiles).toEqual(config.profiles);
  });
  test.each([
    ['-1', '', 'profiles[0].warm', /whole number from 0/],
    ['many', '', 'profiles[0].warm', /whole number from 0/],
    ['{maxAge: 1h}', '', 'profiles[0].warm.min', /is missing/],
    ['{min: 1, maxAge: 8d}', '', 'profiles[0].warm.maxAge', /too long/],
    ['{min: 1, ttl: 1h}', '', 'profiles[0].warm.ttl', /is not a known key/],
    ['3', ', max: 2', 'profiles[0].warm', /is 3, and max is 2/],
  ])('what cannot be meant is refused with its place: %s%s', async (warm, more, path, message) => {
    const { mistakes } = await refusal({ yaml: yamlOf(warm, more) });
    expect(mistakes.map((mistake) => [mistake.path, `${mistake.message} ${mistake.remedy}`])).toEqual([
      [path, expect.stringMatching(message)],
    ]);
  });
  test('more of them than machines may be there is said, but not where nothing is started at all', async () => {
    expect(await warned(2)).toEqual(['maxConcurrent: is 2, and the profiles want 3 warm machines: there will be fewer']);
    expect([...(await warned(3)), ...(await warned(0))]).toEqual([]);
  });
});
