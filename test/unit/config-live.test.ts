// What a running service takes of a new configuration, and what waits for its next start.

import { describe, expect, test } from 'vitest';
import { liveOf } from '../../src/config/config.ts';
import { load, refusal } from '../support/config-fixture.ts';

const base = 'forges: [{name: a, url: "https://a.example.org", scope: {user: true}, tokenFile: /run/token}]\n';
const second = '{name: b, url: "https://b.example.org", scope: {user: true}, tokenFile: /run/token}';

describe('a configuration that is read again', () => {
  test('changes nothing when nothing changed', async () => {
    const config = await load({ yaml: base });
    expect(liveOf(config, await load({ yaml: base }))).toEqual({ config, taken: [], waiting: [] });
  });

  test('is taken where it can change live', async () => {
    const yaml = `${base.replace(']\n', `, ${second}]\n`)}maxConcurrent: 9\nmaxPerRepository: 2\npollInterval: 3s\njobTimeout: 5m\nlogLevel: debug
maintenance: "*/5 * * * *"\nmetrics: {perRepository: true}\nprofiles: [{name: new, labels: [gpu]}]\narchive: {maxAge: 1d}\ndispatch: {labels: [gpu]}\n`;
    const next = await load({ yaml });
    const live = liveOf(await load({ yaml: base }), next);
    expect(live).toEqual({ config: next, taken: expect.anything(), waiting: [] });
    const all = [
      'archive',
      'dispatch',
      'forges',
      'jobTimeout',
      'logLevel',
      'maintenance',
      'maxConcurrent',
      'maxPerRepository',
      'metrics',
      'pollInterval',
      'profiles',
    ];
    expect(live.taken.toSorted()).toEqual(all);
  });

  test.each([
    ['controllerId', 'controllerId: other'],
    ['stateDir', 'stateDir: /srv/state'],
    ['network', 'network: {pool: 10.77.0.0/16}'],
    ['http', 'http: {port: 9999}'],
  ] as const)('keeps its old %s until the next start, and takes the rest', async (path, line) => {
    const config = await load({ yaml: base });
    const live = liveOf(config, await load({ yaml: `${base}${line}\nmaxConcurrent: 2\n` }));
    // The socket of the API is named after the controller.
    expect(live.waiting).toMatchObject([{ path }, ...(path === 'controllerId' ? [{ path: 'http' }] : [])]);
    expect(live.taken).toEqual(['maxConcurrent']);
    expect(live.config[path]).toEqual(config[path]);
    expect(live.config.maxConcurrent).toBe(2);
  });

  test.each(['a.example.org', '{user: true}'])(
    'I9 keeps a forge whose %s changed under its name: its running jobs would seem gone',
    async (part) => {
      const config = await load({ yaml: base });
      const next = await load({ yaml: base.replace(part, part.startsWith('{') ? '{instance: true}' : 'c.example.org') });
      expect(liveOf(config, next)).toEqual({
        config,
        taken: [],
        waiting: [{ path: 'forges.a', why: expect.stringContaining('another name') }],
      });
    },
  );

  test('takes a forge under another name for a new one, and leaves out what has gone', async () => {
    const next = await load({ yaml: base.replace('name: a', 'name: c') });
    const live = liveOf(await load({ yaml: base }), next);
    expect([live.taken, live.config.forges.map(({ name }) => name)]).toEqual([['forges'], ['c']]);
  });

  test('I7 shows no job what the configuration in force keeps secret, though the new one names another place', async () => {
    const yaml = `${base}stateDir: /srv/state\nprofiles: [{labels: a, binds: ["/var/lib/frc:/x"]}]\n`;
    expect((await load({ yaml })).profiles).toHaveLength(1);
    const { mistakes } = await refusal({ yaml, guarded: ['/var/lib/frc'] });
    expect(mistakes).toMatchObject([{ path: 'profiles[0].binds' }]);
  });
});
