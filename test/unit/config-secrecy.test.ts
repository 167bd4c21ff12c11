// Promises I7 for the configuration: a token is neither taken from where it must not stand, nor quoted back, nor kept.

import { describe, expect, test } from 'vitest';
import { renderConfig } from '../../src/config/config.ts';
import { basicEnv, basicYaml, goodToken, load, mistakeAt, refusal } from '../support/config-fixture.ts';

const digits = '1234567890123456789012345678901234567890';

test('I7 the token is in neither the Config nor what check-config prints', async () => {
  const config = await load({ env: basicEnv });
  expect(JSON.stringify(config) + renderConfig(config)).not.toContain(goodToken);
});

test('I7 FORGEJO_TOKEN in the environment is refused with the remedy', async () => {
  expect(await mistakeAt('FORGEJO_TOKEN', { env: { ...basicEnv, FORGEJO_TOKEN: goodToken } })).toContain('FORGEJO_TOKEN_FILE');
  expect(await mistakeAt('FORGEJO_TOKEN', { yaml: basicYaml, env: { FORGEJO_TOKEN: goodToken } })).toContain('unset it');
});

test.each([
  ['an inline token', `forges: [{url: "https://x", scope: {user: true}, token: ${goodToken}}]`],
  ['a token as tokenFile', `forges: [{url: "https://x", scope: {user: true}, tokenFile: ${goodToken}}]`],
  ['a token of digits as tokenFile', `forges: [{url: "https://x", scope: {user: true}, tokenFile: ${digits}}]`],
  ['a short token as tokenFile', `forges: [{url: "https://x", scope: {user: true}, tokenFile: ${goodToken.slice(0, 20)}}]`],
  ['a token in the url', `forges: [{url: "https://u:${goodToken}@x", scope: {user: true}, tokenFile: /run/token}]`],
  ['a token as an unknown key', `${basicYaml}${goodToken}: 1`],
  ['a token as the value of an unknown key', `${basicYaml}frobnicate: ${goodToken}`],
  ['a token as a controller id', `${basicYaml}controllerId: ${goodToken}`],
  ['a token as a label', `${basicYaml}profiles: [{labels: ["${goodToken}:x"]}]`],
  ['a token in the environment of jobs', `${basicYaml}profiles: [{labels: a, environment: {API_TOKEN: ${goodToken}}}]`],
  ['a token beside a syntax error', `forges: [{token: "${goodToken}" ${goodToken}]\n  x`],
  ['a token as a duplicate key', `${goodToken}: 1\n${goodToken}: 1`],
  ['a token as an alias', `forges: *${goodToken}`],
])('I7 %s is refused and not quoted', async (_, yaml) => {
  const { all } = await refusal({ yaml });
  expect(all).not.toContain(goodToken.slice(0, 12));
  expect(all).not.toContain('1.23456');
  expect(all).not.toContain(digits.slice(0, 12));
});

test('I7 a token file with more than a token in it is refused and not quoted', async () => {
  const { all, mistakes } = await refusal({ env: basicEnv, files: { '/run/token': `user ${goodToken}` } });
  expect(mistakes[0]?.message).toContain('more than one word');
  expect(all).not.toContain(goodToken);
});

test.each(['', '  \n'])('an empty token file (%j) is refused', async (text) => {
  expect(await mistakeAt('FORGEJO_TOKEN_FILE', { env: basicEnv, files: { '/run/token': text } })).toContain('is empty');
});

test.each(['/run/api', '/run/api/token', '/run/forgejo-runner-controller', '/run/forgejo-runner-controller/build-host.sock'])(
  'I7 a bind of %s, which would show jobs the token or the socket of the API, is refused',
  async (source) => {
    const files = { '/run/token': goodToken, '/run/api/token': goodToken };
    const yaml = `${basicYaml}http: {tokenFile: /run/api/token}\nprofiles: [{labels: a, binds: ["${source}:/x"]}]`;
    expect(await mistakeAt('profiles[0].binds', { yaml, files })).toContain('holds secrets of this service');
  },
);

test.each(['/var/lib', '/', '/var/lib/forgejo-runner-controller/records', '/run/token', '/run'])(
  'I7 a bind of %s, which would show jobs the state or the token, is refused',
  async (source) => {
    const yaml = `${basicYaml}profiles: [{labels: a, binds: ["${source}:/x"]}]`;
    expect(await mistakeAt('profiles[0].binds', { yaml })).toContain('holds secrets of this service');
  },
);

test.each([
  ['/run/secrets', 'secrets of the host'],
  ['/run/secrets/db', 'secrets of the host'],
  ['/run/agenix', 'secrets of the host'],
  ['/run/credentials/x.service', 'secrets of the host'],
  ['/etc/ssh', 'secrets of the host'],
  ['/etc', '/etc/credstore'],
  ['/root', 'secrets of the host'],
  ['/var/lib/private/app', 'secrets of the host'],
  ['/run/docker.sock', 'power over the host'],
  ['/var/run/docker.sock', 'power over the host'],
  ['/run/containerd/containerd.sock', 'power over the host'],
  ['/run/podman', 'power over the host'],
  ['/nix/var/nix/daemon-socket', 'power over the host'],
  ['/run/dbus/system_bus_socket', 'power over the host'],
  ['/dev/kvm', "kernel's own"],
  ['/proc', "kernel's own"],
  ['/sys/kernel', "kernel's own"],
  ['/home', "people's own keys"],
  ['/home/ada', "people's own keys"],
  ['/home/ada/.ssh/id_ed25519', "people's own keys"],
  ['/srv/build/.aws', "people's own keys"],
])('a bind of %s is refused, because it %s', async (source, why) => {
  for (const mode of ['ro', 'rw'])
    expect(
      await mistakeAt('profiles[0].binds', { yaml: `${basicYaml}profiles: [{labels: a, binds: ["${source}:/x:${mode}"]}]` }),
    ).toContain(why);
});

test.each(['/srv/cache', '/nix/store', '/opt/tools', '/home/ada/cache', '/etc/ssl/certs', '/usr/share/zoneinfo', '/run/forge-cache'])(
  'a bind of %s, which holds nothing of the kind, is taken',
  async (source) => {
    const { profiles } = await load({ yaml: `${basicYaml}profiles: [{labels: a, binds: ["${source}:/x:ro"]}]` });
    expect(profiles[0]?.binds).toEqual([{ source, target: '/x', writable: false }]);
  },
);

describe('what lies in a writable bind of any profile', () => {
  const cache = '{labels: a, binds: ["/srv/cache:/cache:rw"]}';
  test.each([
    ['a bind', '{labels: b, binds: ["/srv/cache/npm:/npm:ro"]}', 'profiles[1].binds'],
    ['a writable bind', '{labels: b, binds: ["/srv/cache/npm:/npm:rw"]}', 'profiles[1].binds'],
    ['a template', '{labels: b, template: {kind: directory, path: /srv/cache/root}}', 'profiles[1].template.path'],
    ['the bind itself as a template', '{labels: b, template: {kind: system, path: /srv/cache}}', 'profiles[1].template.path'],
    ['the link to a template', '{labels: b, template: {kind: nixos, path: /srv/cache/system}}', 'profiles[1].template.path'],
    ['a runner', '{labels: b, runner: /srv/cache/bin/forgejo-runner}', 'profiles[1].runner'],
  ])('%s could be replaced by a job, and is refused', async (_, profile, path) => {
    const yaml = `${basicYaml}profiles: [${cache}, ${profile.replace('{', '{name: b, ')}]`.replace('{labels: a', '{name: a, labels: a');
    const said = await mistakeAt(path, { yaml });
    expect(said).toContain('which jobs could replace');
    expect(said).toContain('/srv/cache is a writable bind');
  });

  test('counts also for the profile that has it, and for the program of containers', async () => {
    const own = `${basicYaml}profiles: [{labels: a, binds: ["/srv/cache:/cache:rw", "/srv/cache/npm:/npm:ro"]}]`;
    expect(await mistakeAt('profiles[0].binds', { yaml: own })).toContain('which jobs could replace');
    const template = 'template: {kind: nixos, path: /nix/store/x}';
    const yaml = `${basicYaml}driver: nixos-container\nnixosContainer: {program: /opt/tools/nc}\nprofiles: [{labels: a, ${template}, binds: ["/opt/tools:/t:rw"]}]`;
    expect(await mistakeAt('nixosContainer.program', { yaml })).toContain('/opt/tools is a writable bind');
  });

  test('is taken where it cannot be replaced: the same bind twice, one beside it, one that holds it, all of it read-only', async () => {
    const binds = ['"/srv/cache:/b:ro"', '"/srv/cache-2/npm:/c:ro"', '"/srv:/d:ro"'];
    const { profiles } = await load({
      yaml: `${basicYaml}profiles: [{name: a, labels: a, binds: ["/srv/cache:/a:rw"]}, {name: b, labels: b, binds: [${binds.join(', ')}]}]`,
    });
    expect(profiles.map((profile) => profile.binds.length)).toEqual([1, 3]);
    expect((await load({ yaml: `${basicYaml}profiles: [{labels: a, binds: ["/usr/local:/a:ro"]}]` })).profiles).toHaveLength(1);
    expect(await mistakeAt('profiles[0].runner', { yaml: `${basicYaml}profiles: [{labels: a, binds: ["/usr/local:/a:rw"]}]` })).toContain(
      '/usr/local/bin/forgejo-runner',
    );
  });
});

test.each(['directory', 'system'])('I7 a template %s that holds secrets of the host is refused', async (kind) => {
  const yaml = `${basicYaml}profiles: [{labels: a, template: {kind: ${kind}, path: /root}}]`;
  expect(await mistakeAt('profiles[0].template.path', { yaml })).toContain('secrets of the host');
});
