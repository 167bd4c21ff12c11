// Promises that whatever a configuration holds, if it loads: no argument of ours is taken for another one or split, and no rule or batch line
// of the network is anything but numbers in the place of numbers.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { hostBatchOf, machineBatchOf, rulesOf } from '../../src/driver/network.ts';
import { commandOf, nspawnArgumentsOf, type UnitInput } from '../../src/driver/nspawn-unit.ts';
import { isControllerError } from '../../src/errors.ts';
import { load } from '../support/config-fixture.ts';

const id = 'j0000001abc';
const odd = fc.oneof(
  fc.constantFrom(...'-- -x --bind=/:/ a:b a,b %i %% $HOME $$ ${X} "q" \'q\' \\ \\: ; } { # ..'.split(' ')),
  fc.constantFrom(' ', 'a b', '\n', '\t', '\0', '\u001b[2J', 'é', '\u202e', ';flush ruleset', '} table x {', '0.0.0.0/0 }; }'),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
const path = fc.oneof(
  odd.map((text) => `/srv/${text}`),
  odd.map((text) => `/srv/${text.replaceAll(/[:\p{Cc}]/gu, '')}/x`),
);
/** Mostly what may load: with every part odd, no network would. */
const mostly = <T>(drawn: fc.Arbitrary<T>) => fc.oneof({ weight: 1, arbitrary: odd }, { weight: 5, arbitrary: drawn });
const address = mostly(
  fc.oneof(
    fc.ipV4(),
    fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 33 })).map(([ip, bits]) => `${ip}/${bits}`),
  ),
);

/** Drawn parts that the configuration refuses are left out one by one, so that what is left is as odd as can be. */
async function configOf(
  profile: Readonly<Record<string, unknown>>,
  network: Readonly<Record<string, unknown>>,
): Promise<Config | undefined> {
  const forges = [{ url: 'https://x', scope: { user: true }, tokenFile: '/run/token' }];
  try {
    return await load({ yaml: JSON.stringify({ forges, network, profiles: [{ name: 'p', labels: ['ci'], ...profile }] }) });
  } catch (error) {
    if (!isControllerError(error, 'CONFIG_INVALID')) throw error;
    return undefined;
  }
}

function inputOf(config: Config): UnitInput {
  const [profile] = config.profiles;
  if (profile === undefined) throw new Error('no profile');
  const { template } = profile;
  const rootPlan = { template, shared: ['/usr'], overlaid: template.kind === 'host' ? [] : ['usr', 'etc'] };
  return {
    controllerId: 'ci-1',
    stateDir: config.stateDir,
    spec: { id, slot: 0, profile, runtimeMaxMs: 1_000 },
    rootPlan,
    uidBase: 0x70000000,
  };
}

/** As nspawn reads a bind: fields between colons, a backslash before a character takes its meaning. */
function fieldsOf(argument: string): readonly string[] {
  const fields = [''];
  for (let at = argument.indexOf('=') + 1; at < argument.length; at += 1) {
    const char = argument.charAt(at);
    if (char === ':') fields.push('');
    else fields[fields.length - 1] += char === '\\' ? argument.charAt((at += 1)) : char;
  }
  return fields;
}

test('every argument is one option with one value, and binds, variables and paths come out as they were written', async () => {
  let loaded = 0;
  const bind = fc.record({ source: path, target: path, writable: fc.boolean() });
  const variables = fc.dictionary(fc.constantFrom('A', 'B_1', '-x', 'a b', '__proto__', 'LD_PRELOAD'), odd, { maxKeys: 2 });
  const profiles = fc.record(
    {
      binds: fc.array(bind, { maxLength: 2 }),
      environment: variables,
      runner: path,
      template: fc.tuple(fc.constantFrom('directory', 'system'), path).map(([kind, place]) => ({ kind, path: place })),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(profiles, async (drawn) => {
      const config = await configOf(drawn, {});
      if (config === undefined) return;
      loaded += 1;
      const input = inputOf(config);
      const { binds, environment, runnerPath } = input.spec.profile;
      const nspawn = nspawnArgumentsOf(input);
      expect(nspawn.slice(-3)).toEqual(['--', '/bin/sh', '/run/forgejo-runner/init']);
      for (const argument of nspawn.slice(0, -3)) expect(argument).toMatch(/^--[a-z][a-z-]*(?:=|$)/);
      const bound = nspawn.filter((argument) => /^--bind(?:-ro)?=/.test(argument)).map(fieldsOf);
      for (const { source, target } of binds) expect(bound).toContainEqual([source, target, 'idmap']);
      expect(bound).toContainEqual([runnerPath, '/run/forgejo-runner/runner']);
      const set = nspawn.filter((argument) => argument.startsWith('--setenv='));
      expect(set).toEqual(Object.entries(environment).map(([name, value]) => `--setenv=${name}=${value}`));
      const command = commandOf(input, '/usr/bin/systemd-nspawn');
      expect(command.map((argument) => argument.replaceAll('$$', '$'))).toEqual(['/usr/bin/systemd-nspawn', ...nspawn]);
    }),
    { numRuns: 1_000 },
  );
  expect(loaded).toBeGreaterThan(100);
});

/** As if a machine had the resolvers of the network for its own. */
function rules(network: Config['network']): string {
  const input = { controllerId: 'ci-1', network, endpoints: [{ address: '192.0.2.1', port: 443 }], nameservers: network.nameservers };
  return rulesOf(input, new Map([[id, network.nameservers]]));
}

/** Without lists of elements, and all numbers alike. */
function shapeOf(text: string): string {
  return text
    .replaceAll(/elements = \{ (?:[\d., /-]|"[A-Za-z0-9._@-]{1,15}")+ \}; /g, '')
    .replace(/^ .*oifname != @uplinks reject.*\n/m, '')
    .replace('oifname @uplinks ', '')
    .replaceAll(/\d+(?:\.\d+)*/g, '0');
}

test('whatever networks, resolvers and ports load, the rules and the batches keep their shape', async () => {
  let loaded = 0;
  const networks = fc.record(
    {
      allow: fc.array(address, { maxLength: 2 }),
      deny: fc.array(address, { maxLength: 2 }),
      nameservers: fc.array(address, { maxLength: 2 }),
      openPorts: fc.array(fc.oneof(odd, fc.integer({ min: -1, max: 70_000 }), fc.integer({ min: 1, max: 65_535 }).map(String)), {
        maxLength: 2,
      }),
      externalInterface: fc.array(mostly(fc.constantFrom('eth0', 'br-lan', 'enp3s0.7', 'wg@x')), { maxLength: 2 }),
      pool: fc.oneof(address, fc.constantFrom('10.9.0.0/16', '172.16.0.0-172.16.255.255')),
    },
    { requiredKeys: [] },
  );
  const plain = (await configOf({}, {}))?.network;
  if (plain === undefined) throw new Error('the plain configuration does not load');
  const link = { controllerId: 'ci-1', id, slot: 0, mtu: 1500 };
  await fc.assert(
    fc.asyncProperty(networks, async (drawn) => {
      const config = await configOf({}, drawn);
      if (config === undefined) return;
      loaded += 1;
      const { network } = config;
      expect(shapeOf(rules(network))).toBe(shapeOf(rules(plain)));
      expect(shapeOf(hostBatchOf({ ...link, network }))).toBe(shapeOf(hostBatchOf({ ...link, network: plain })));
      expect(shapeOf(machineBatchOf({ slot: 0, network }))).toBe(shapeOf(machineBatchOf({ slot: 0, network: plain })));
    }),
    { numRuns: 1_000 },
  );
  expect(loaded).toBeGreaterThan(100);
});
