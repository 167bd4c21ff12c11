// What jobs of one repository keep between them, as the configuration says it.

import { describe, expect, test } from 'vitest';
import { liveOf, renderConfig } from '../../src/config/config.ts';
import { basicEnv, basicYaml, load, refusal } from '../support/config-fixture.ts';

const yamlOf = (cache: string, more = ''): string => `${basicYaml}profiles: [{labels: [debian], cache: ${cache}${more}}]\n`;
const home = '/root';
const bound = (source: string, cache: string): string =>
  `${basicYaml}cacheDir: /srv/caches\nprofiles: [{name: a, labels: [a], binds: ["${source}:/data"]}, {name: b, labels: [b]${cache}}]\n`;
const [GiB, day] = [1024 ** 3, 86_400_000];

describe('a cache, in the configuration', () => {
  test.each([
    ['{}', { path: '/cache', maxBytes: 5 * GiB, maxAgeMs: 30 * day }],
    ['{path: /var/cache/ci/, maxSize: 20GiB, maxAge: 12h}', { path: '/var/cache/ci', maxBytes: 20 * GiB, maxAgeMs: day / 2 }],
  ])('is a map of what it may be, and reads back as it is shown: %s', async (cache, wanted) => {
    const config = await load({ yaml: yamlOf(cache) });
    expect(config.profiles[0]?.cache).toEqual(wanted);
    expect((await load({ yaml: renderConfig(config) })).profiles).toEqual(config.profiles);
  });

  test('is nobody’s unless it is written', async () => {
    expect((await load({ yaml: basicYaml })).profiles[0]).not.toHaveProperty('cache');
  });

  const refused: readonly (readonly [string, string, string, RegExp])[] = [
    ['{path: cache}', '', 'cache.path', /write an absolute path/],
    ['{path: "/a b"}', '', 'cache.path', /write an absolute path/],
    ...['/', '/usr/cache', '/nix', '/etc', home, `${home}/.cache/npm`, '/home', '/var', '/lib64', '/run/x', '/tmp', '/proc'].map(
      (path) => [`{path: ${path}}`, '', 'cache.path', /machines have something of their own/] as const,
    ),
    ['{maxSize: 1MiB}', '', 'cache.maxSize', /write a size from 64MiB to 1TiB/],
    ['{maxSize: none}', '', 'cache.maxSize', /write a size from 64MiB to 1TiB/],
    ['{maxAge: 1s}', '', 'cache.maxAge', /too short/],
    ['{size: 1GiB}', '', 'cache.size', /is not a known key/],
    ['{}', ', warm: 1', 'cache', /is set beside warm/],
    ['{path: /data/ci}', ', binds: ["/srv/a:/data"]', 'cache.path', /a bind has the target \/data:/],
    ['{path: /data}', ', binds: ["/srv/a:/data/ci:rw"]', 'cache.path', /a bind has the target \/data\/ci:/],
  ];
  test.each(refused)('that cannot be meant is refused with its place: %s%s', async (cache, more, path, message) => {
    const { mistakes } = await refusal({ yaml: yamlOf(cache, more) });
    expect(mistakes.map((mistake) => [mistake.path, `${mistake.message}: ${mistake.remedy}`])).toEqual([
      [`profiles[0].${path}`, expect.stringMatching(message)],
    ]);
  });

  test.each([`${home}/.npm`, '/home/ci/.cache', '/var/cache', '/opt/cache'])('may lie where machines have nothing: %s', async (path) => {
    expect((await load({ yaml: yamlOf(`{path: ${path}}`) })).profiles[0]?.cache?.path).toBe(path);
  });
});

describe('where caches lie', () => {
  test("is what cacheDir says, else systemd's CACHE_DIRECTORY, else a folder of our own below /var/cache", async () => {
    const env = { ...basicEnv, CACHE_DIRECTORY: '/var/cache/other' };
    expect((await load({ env })).cacheDir).toBe('/var/cache/other');
    expect((await load({ env: basicEnv })).cacheDir).toBe('/var/cache/forgejo-runner-controller');
    expect((await load({ yaml: `${basicYaml}cacheDir: /srv/caches\n`, env })).cacheDir).toBe('/srv/caches');
    expect((await refusal({ yaml: `${basicYaml}cacheDir: /\n` })).mistakes.map(({ path }) => path)).toEqual(['cacheDir']);
  });

  test('is shown to no job that binds it or what holds it, and may be bound where no profile has a cache', async () => {
    for (const source of ['/srv/caches', '/srv', '/srv/caches/ci'])
      expect((await refusal({ yaml: bound(source, ', cache: {}') })).mistakes.map(({ path }) => path)).toEqual(['profiles[0].binds']);
    expect((await load({ yaml: bound('/srv/caches', '') })).profiles).toHaveLength(2);
  });

  test('does not change while the service runs, and what a profile keeps does', async () => {
    const [before, after] = [await load({ yaml: basicYaml }), await load({ yaml: `${yamlOf('{}')}cacheDir: /srv/caches\n` })];
    const { config, taken, waiting } = liveOf(before, after);
    expect([config.cacheDir, config.profiles[0]?.cache?.path]).toEqual([before.cacheDir, '/cache']);
    expect([taken, waiting.map(({ path }) => path)]).toEqual([['profiles'], ['cacheDir']]);
  });
});
