// Promises the configuration file: what loads, and what each mistake says.

import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { configHashOf, loadConfig, renderConfig } from '../../src/config/config.ts';
import { basicEnv, basicYaml, goodToken, hostWith, load, mistakeAt, refusal } from '../support/config-fixture.ts';

const forge = (extra: string): string => `forges: [{url: "https://forge.example.org", tokenFile: /run/token, ${extra}}]\n`;

describe('what loads', () => {
  test('config.example.yaml loads, and only the values marked as examples differ from the defaults', async () => {
    const yaml = await readFile(new URL('../../config.example.yaml', import.meta.url), 'utf8');
    const files = {
      '/run/c/forge-token': goodToken,
      '/run/c/mirror-token': goodToken,
      '/run/c/otlp-headers': 'authorization: x',
      '/run/c/webhook-secret': 'x'.repeat(16),
    };
    const config = await load({ yaml, env: { CREDENTIALS_DIRECTORY: '/run/c' }, files });
    expect(config.warnings).toEqual([]);
    const plain = await load({ env: basicEnv });
    const {
      controllerId: _id,
      controllerIdIsDefault: _isDefault,
      maxPerRepository: _max,
      dispatch,
      forges: _forges,
      http,
      profiles,
      telemetry: _telemetry,
      network: { mtu: _mtu, ...network },
      ...rest
    } = config;
    const { tokenFile: _tokenFile, ...open } = http;
    expect(plain.http).toEqual({ ...open, socket: '/run/forgejo-runner-controller/build-host.sock' });
    expect(plain).toMatchObject({ ...rest, warnings: plain.warnings });
    expect(plain.network).toEqual(network);
    expect(dispatch).toEqual({ labels: ['ci'] });
    expect(profiles[0]).toEqual(plain.profiles[0]);
    expect(profiles[1]).toMatchObject({
      labels: ['debian-12', 'large'],
      template: { kind: 'directory', path: '/var/lib/machines/debian-12' },
      limits: { cpus: 8, memoryBytes: 16 * 1024 ** 3, tasks: 4096, diskBytes: 50e9 },
      timeouts: { jobMs: 21_600_000, startMs: 60_000 },
      nameservers: ['9.9.9.9'],
      extraHosts: [
        { name: 'mirror.example.org', address: '10.1.2.3' },
        { name: 'ads.example.org', address: '0.0.0.0' },
      ],
      binds: [
        { source: '/srv/cache/debian', target: '/var/cache/debian', writable: false },
        { source: '/srv/scratch', target: '/scratch', writable: true },
      ],
      max: 2,
    });
  });

  test('what check-config prints loads to the same configuration', async () => {
    const yaml = `${forge('scope: {organization: o}, pollInterval: 2s')}controllerId: a
maxPerRepository: 2
profiles:
  - {name: a, labels: [x], limits: {memory: none, disk: 1.5GiB}, environment: {A: "yes", B: "1"}, binds: [/a, "/b:/c:rw"]}
  - {name: b, labels: [y], template: {kind: directory, path: /srv/root}, max: 3, timeouts: {job: 500s}}
  - {name: c, labels: [z], template: {kind: nix-env, path: /nix/store/env}, nix: {access: daemon}, runnerSha256: ${'ab'.repeat(32)}}
  - {name: d, labels: [w], template: {kind: system, path: /srv/root}, nix: {access: none}, forks: refuse, nameservers: [1.1.1.1, 10.1.2.53], extraHosts: {git.lan: [10.0.0.5, "fd00::5"], up.lan: host-gateway}}
  - {name: g, labels: [t], template: {kind: system, path: /srv/root}, containers: podman, forks: accept}
  - {name: i, labels: [r], repositories: {allow: [team/*, o/r], deny: [team/secret]}, events: {deny: [schedule]}}
  - {name: h, labels: [s], template: {kind: nixos, path: /nix/store/system}, containers: podman}
  - {name: e, labels: [v], nix: {access: own}}
dispatch: {labels: [x, y]}
network: {pool: 10.9.0.0/16, prefix: 26, allow: [10.1.2.3], deny: [203.0.113.0/24], openPorts: [80], nameservers: [9.9.9.9], externalInterface: [wg0, eth0.7], masquerade: false, mtu: 1380}
`;
    const config = await load({ yaml });
    expect(await load({ yaml: renderConfig(config) })).toEqual(config);
    expect(configHashOf(config)).toMatch(/^[0-9a-f]{12}$/);
    expect(configHashOf(await load({ yaml: `# a comment\n${yaml}` }))).toBe(configHashOf(config));
    expect(configHashOf(await load({ yaml: yaml.replace('max: 3', 'max: 4') }))).not.toBe(configHashOf(config));
  });

  test('a profile whose jobs may run containers takes none of forks unless it says so', async () => {
    const { profiles } = await load({
      yaml: `${basicYaml}profiles:
  - {name: a, labels: [a], template: {kind: system, path: /r}, containers: podman}
  - {name: b, labels: [b], template: {kind: system, path: /r}, containers: podman, forks: accept}
  - {name: c, labels: [c], template: {kind: system, path: /r}, containers: none}
`,
    });
    expect(profiles.map(({ containers, refusesForks }) => [containers, refusesForks])).toEqual([
      ['podman', true],
      ['podman', undefined],
      [undefined, undefined],
    ]);
  });

  test('a profile takes jobs of some repositories and events alone; one that takes the others may have its labels', async () => {
    const { profiles, warnings } = await load({
      yaml: `${basicYaml}profiles:
  - {name: a, labels: [x], repositories: {allow: [team/*]}, events: {allow: [push, merge_queue]}}
  - {name: b, labels: [x]}
`,
    });
    expect(profiles).toMatchObject([{ repositories: { allow: ['team/*'] }, events: { allow: ['push', 'merge_queue'] } }, {}]);
    expect(warnings).toContainEqual(expect.stringContaining('profiles[0].events: the string "merge_queue" is no event that is known here'));
  });

  test('the pin of a runner may be written as sha256sum or as Nix writes it', async () => {
    const pins = ['AB'.repeat(32), `sha256-${Buffer.from('ab'.repeat(32), 'hex').toString('base64')}`];
    for (const pin of pins) {
      const { profiles } = await load({ yaml: `${basicYaml}profiles: [{labels: a, runnerSha256: "${pin}"}]` });
      expect(profiles[0]?.runnerSha256).toBe('ab'.repeat(32));
    }
  });

  test('machines leave by any interface with the address of the host, and ask the resolvers of the network, where nothing else is said', async () => {
    const { network, profiles } = await load({ yaml: `${basicYaml}profiles: [{labels: a, nameservers: []}]` });
    expect(network).toMatchObject({ externalInterface: [], masquerade: true });
    expect(network).not.toHaveProperty('mtu');
    expect(profiles[0]).not.toHaveProperty('nameservers');
  });

  test.each([
    ['eth0', ['eth0']],
    ['[eth0, wg0, eth0]', ['eth0', 'wg0']],
  ])('network.externalInterface may be one name or a list: %s', async (text, expected) => {
    const { network } = await load({ yaml: `${basicYaml}network: {externalInterface: ${text}}` });
    expect(network.externalInterface).toEqual(expected);
  });

  test('the result is frozen to its depth', async () => {
    const config = await load({ env: basicEnv });
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(config)).toBe(true);
  });

  test.each([
    ['scope: {repository: o/n}', { kind: 'repository', owner: 'o', name: 'n' }],
    ['scope: {user: true}', { kind: 'user' }],
    ['scope: {instance: true}', { kind: 'instance' }],
    ['scope: {level: repository, owner: o, name: n}', { kind: 'repository', owner: 'o', name: 'n' }],
    ['scope: {level: organization, owner: o}', { kind: 'organization', name: 'o' }],
    ['scope: {level: organization, name: o}', { kind: 'organization', name: 'o' }],
    ['scope: {level: user}', { kind: 'user' }],
    ['scope: {level: instance}', { kind: 'instance' }],
  ])('%s is the scope %j', async (yaml, scope) => {
    expect((await load({ yaml: forge(yaml) })).forges[0]?.scope).toEqual(scope);
  });

  test('several forges and several profiles stand side by side', async () => {
    const yaml = `forges:
  - {name: a, url: "https://a", scope: {user: true}, tokenFile: /run/token}
  - {name: b, url: "https://b", scope: {user: true}, tokenFile: /run/token, pollInterval: 3s}
profiles: [{name: p, labels: "x, y"}, {name: q, labels: [x]}]
`;
    const config = await load({ yaml });
    expect(config.forges.map(({ name, pollIntervalMs }) => [name, pollIntervalMs])).toEqual([
      ['a', 1_000],
      ['b', 3_000],
    ]);
    expect(config.profiles.map(({ name, labels }) => [name, labels])).toEqual([
      ['p', ['x', 'y']],
      ['q', ['x']],
    ]);
  });

  test.each([
    ['listen: 127.0.0.1:8090', { host: '127.0.0.1', port: 8090 }],
    ['listen: ":8090"', { host: '127.0.0.1', port: 8090 }],
    ['listen: "[::1]:8090"', { host: '::1', port: 8090 }],
    ['http: {port: 0}', { host: '127.0.0.1', port: 0 }],
  ])('%s listens at %j', async (yaml, http) => {
    expect((await load({ yaml: basicYaml + yaml })).http).toMatchObject(http);
  });

  test.each([
    ['{}', { basePath: '', socket: '/run/forgejo-runner-controller/build-host.sock' }],
    ['{basePath: /ci/runners/, socket: /run/x.sock}', { basePath: '/ci/runners', socket: '/run/x.sock' }],
    ['{basePath: /, socket: none}', { basePath: '' }],
    ['{tokenFile: $CREDENTIALS_DIRECTORY/api}', { basePath: '', socket: expect.any(String), tokenFile: '/run/c/api' }],
  ])('http: %s is understood as %j, and printed so that it loads again', async (yaml, http) => {
    const env = { CREDENTIALS_DIRECTORY: '/run/c' };
    const files = { '/run/token': goodToken, '/run/c/api': goodToken };
    const config = await load({ yaml: `${basicYaml}http: ${yaml}`, env, files });
    expect(config.http).toEqual({ host: '127.0.0.1', port: 8080, ...http });
    expect((await load({ yaml: renderConfig(config), env, files })).http).toEqual(config.http);
  });

  test.each([
    ['http.basePath', 'basePath: ci'],
    ['http.basePath', 'basePath: /a/../b'],
    ['http.basePath', 'basePath: /a b'],
    ['http.basePath', 'basePath: "/{id}"'],
    ['http.socket', 'socket: api.sock'],
    ['http.socket', `socket: /${'x'.repeat(120)}`],
    ['http.tokenFile', 'tokenFile: /nowhere'],
    ['http.tokenFile', `tokenFile: ${goodToken}`],
  ])('a wrong %s is told: {%s}', async (path, line) => {
    expect(await mistakeAt(path, { yaml: `${basicYaml}http: {${line}}` })).not.toContain(goodToken);
  });

  test('codeberg.org is polled every 30 seconds at most', async () => {
    const config = await load({ yaml: 'forges: [{url: "https://codeberg.org", scope: {user: true}, tokenFile: /run/token}]' });
    expect(config.forges[0]?.pollIntervalMs).toBe(30_000);
  });
});

describe('warnings', () => {
  test.each([
    [
      'a token file that others may read',
      { env: basicEnv, files: { '/run/token': { text: goodToken, mode: 0o644 } } },
      'others may use /run/token',
    ],
    ['a configuration that others may read', { yaml: basicYaml, mode: 0o644 }, 'others may read it'],
    ['an API that is not on loopback', { yaml: `${basicYaml}http: {host: 0.0.0.0}` }, 'only who has the token is answered'],
    ['a token that goes over the network', { yaml: `${basicYaml}http: {host: 0.0.0.0, tokenFile: /run/token}` }, 'speaks no TLS'],
    ['a runner address that is loopback', { yaml: forge('scope: {user: true}, instanceUrl: "http://localhost:3000"') }, 'is loopback'],
    ['the image of a docker label', { yaml: `${basicYaml}profiles: [{labels: ["a:docker://b"]}]` }, 'is not used'],
    ['an allowed link-local network', { yaml: `${basicYaml}network: {allow: [169.254.169.254]}` }, 'metadata'],
  ])('%s is warned about, and refused with strict', async (_, given, sentence) => {
    expect((await load(given)).warnings.join('\n')).toContain(sentence);
    const yaml = 'yaml' in given ? given.yaml : '';
    expect((await refusal({ ...given, yaml: `strict: true\n${yaml}` })).message).toContain(sentence);
  });

  test('a placeholder token is refused, and only warned about with allowPending', async () => {
    const files = { '/run/token': 'PENDING-replace-me\n' };
    expect(await mistakeAt('forges[0].tokenFile', { yaml: basicYaml, files })).toContain('placeholder');
    const config = await load({ yaml: forge('scope: {user: true}, allowPending: true'), files });
    expect(config.warnings.join('\n')).toContain('polling starts when the file holds a token');
  });
});

describe('what is refused', () => {
  test('an unknown key is a mistake that names the nearest known one', async () => {
    const yaml = `${basicYaml}maxConcurent: 3\nmax_concurrent: 3\nfrobnicate: 3\nprofiles: [{lables: [a]}]`;
    expect(await mistakeAt('maxConcurent', { yaml })).toBe('is not a known key: did you mean maxConcurrent?');
    expect(await mistakeAt('max_concurrent', { yaml })).toBe('is not a known key: did you mean maxConcurrent?');
    expect(await mistakeAt('frobnicate', { yaml })).toContain('known keys here: controllerId, stateDir');
    expect(await mistakeAt('profiles[0].lables', { yaml })).toContain('did you mean labels?');
  });

  const rest = 'scope: {user: true}';
  test.each([
    ['forges[0].scope', forge('name: a'), 'is missing: write one of {repository: owner/name}'],
    ['forges[0].scope', forge('scope: owner/name'), 'is the string "owner/name"'],
    ['forges[0].scope', forge('scope: {user: true, instance: true}'), 'names user and instance'],
    ['forges[0].scope.user', forge('scope: {user: false}'), 'is false'],
    ['forges[0].scope.level', forge('scope: {level: enterprise}'), 'one of repository, organization'],
    ['forges[0].scope.owner', forge('scope: {level: repository, name: n}'), 'is missing'],
    ['forges[0].scope.repository', forge('scope: {repository: ../..}'), 'write owner/name'],
    ['forges', 'maxConcurrent: 1', 'is missing: list at least one forge'],
    ['forges', 'forges: {url: x}', 'is a map: write a list'],
    ['forges[0].url', `forges: [{${rest}, url: "https://x/?q=1", tokenFile: /run/token}]`, 'has a query'],
    ['forges[0].url', `forges: [{${rest}, url: 7, tokenFile: /run/token}]`, 'is the number 7'],
    ['forges[0].url', `forges: [{${rest}, url: , tokenFile: /run/token}]`, 'is nothing'],
    ['forges[0].tokenFile', `forges: [{${rest}, url: "https://x", tokenFile: token}]`, 'is a string (not shown)'],
    ['forges[0].tokenFile', `forges: [{${rest}, url: "https://x", tokenFile: /absent}]`, 'cannot be read (ENOENT)'],
    ['pollInterval', `${basicYaml}pollInterval: 0`, 'is the number 0, which is too short'],
    ['pollInterval', `${basicYaml}pollInterval: soon`, 'is the string "soon": write a duration such as'],
    ['maxConcurrent', `${basicYaml}maxConcurrent: [1]`, 'is a list: write a whole number'],
    ['maxConcurrent', `${basicYaml}maxConcurrent: -1`, 'write a whole number from 0'],
    ['maxConcurrent', `${basicYaml}maxConcurrent: 101`, 'but the pool has room for 100 machines'],
    ['network.pool', `${basicYaml}network: {pool: 8.8.8.0/24}`, 'is not private'],
    ['network.pool', `${basicYaml}network: {pool: 127.0.0.0/8}`, 'overlaps loopback'],
    ['network.pool', `${basicYaml}network: {pool: 169.254.0.0/16}`, 'overlaps link-local'],
    ['network.pool', `${basicYaml}network: {pool: 10.0.0.5/16}`, 'has host bits: write 10.0.0.0/16'],
    ['network.pool', `${basicYaml}network: {pool: 10.0.0.5-10.0.9.255}`, 'does not begin and end with a /24: write 10.0.0.0-10.0.9.255'],
    ['network.prefix', `${basicYaml}network: {prefix: 31}`, 'from 16 to 30'],
    ['network.nameservers[0]', `${basicYaml}network: {nameservers: [127.0.0.53]}`, 'the machine itself'],
    ['network.allow[0]', `${basicYaml}network: {allow: [0.0.0.0/0]}`, 'includes loopback'],
    ['network.externalInterface', `${basicYaml}network: {externalInterface: "eth 0"}`, 'write the name of an interface such as eth0'],
    ['network.externalInterface', `${basicYaml}network: {externalInterface: {}}`, 'is a map: write a list'],
    [
      'network.externalInterface[1]',
      `${basicYaml}network: {externalInterface: [eth0, lo]}`,
      'by which nothing leaves this host: name another',
    ],
    [
      'network.externalInterface[0]',
      `${basicYaml}network: {externalInterface: [fr-j0000001abc]}`,
      'an interface of a machine: name one that',
    ],
    ['network.externalInterface[0]', `${basicYaml}network: {externalInterface: ["${'e'.repeat(16)}"]}`, 'at most 15 characters'],
    ['network.externalInterface[0]', `${basicYaml}network: {externalInterface: ['eth0" }; flush ruleset; {']}`, 'write the name'],
    ['network.mtu', `${basicYaml}network: {mtu: 500}`, 'from 576 to 65535, such as 1400'],
    ['network.masquerade', `${basicYaml}network: {masquerade: maybe}`, 'write true or false'],
    ['profiles[0].nameservers[0]', `${basicYaml}profiles: [{labels: a, nameservers: [127.0.0.53]}]`, 'the machine itself'],
    ['profiles[0].nameservers[1]', `${basicYaml}profiles: [{labels: a, nameservers: [9.9.9.9, "::1"]}]`, 'write the IPv4 address'],
    ['profiles[0].nameservers', `${basicYaml}profiles: [{labels: a, nameservers: 9.9.9.9}]`, 'write a list'],
    ['network.deny[0]', `${basicYaml}network: {deny: [everything]}`, 'an IPv4 network such as'],
    ['http.port', `${basicYaml}http: {port: 65536}`, 'is the number 65536'],
    ['http.host', `${basicYaml}http: {host: example.org}`, 'an address of this host'],
    ['listen', `${basicYaml}http: {port: 1}\nlisten: ":1"`, 'stands beside http'],
    ['maintenance', `${basicYaml}maintenance: "61 * * * *"`, 'five or six fields'],
    ['logLevel', `${basicYaml}logLevel: loud`, 'one of debug, info, warn, error'],
    ['stateDir', `${basicYaml}stateDir: state`, 'as an absolute path'],
    ['profiles', `${basicYaml}profiles: []`, 'is an empty list'],
    ['profiles[0].labels', `${basicYaml}profiles: [{labels: []}]`, 'is an empty list'],
    ['profiles[0].labels', `${basicYaml}profiles: [{name: a}]`, 'is missing'],
    ['profiles[0].labels', `${basicYaml}profiles: [{labels: "a,a:host"}]`, 'has the label "a" twice'],
    [
      'profiles[0].labels[0]',
      `${basicYaml}profiles: [{labels: ["k:kubernetes://x"]}]`,
      'whose scheme no machine can serve: write "k" alone',
    ],
    ['profiles[0].limits.memory', `${basicYaml}profiles: [{labels: a, limits: {memory: 4}}]`, 'write a size with its unit'],
    ['profiles[0].template.path', `${basicYaml}profiles: [{labels: a, template: {kind: directory}}]`, 'is missing'],
    [
      'profiles[0].template.kind',
      `${basicYaml}profiles: [{labels: a, template: {kind: magic}}]`,
      'one of host, directory, system, nix-env, nixos',
    ],
    ['profiles[0].template.path', `${basicYaml}profiles: [{labels: a, template: {kind: nix-env}}]`, 'an environment in the Nix store'],
    ['profiles[0].template.path', `${basicYaml}profiles: [{labels: a, template: {kind: nixos, path: result}}]`, 'as an absolute path'],
    ['profiles[0].template.path', `${basicYaml}profiles: [{labels: a, template: {kind: system, path: /}}]`, 'is the root of the host'],
    ['profiles[0].containers', `${basicYaml}profiles: [{labels: a, containers: docker}]`, 'one of none, podman'],
    ['profiles[0].containers', `${basicYaml}profiles: [{labels: a, containers: podman}]`, 'write template.kind: system or nixos'],
    ['profiles[0].forks', `${basicYaml}profiles: [{labels: a, forks: never}]`, 'one of accept, refuse'],
    [
      'profiles[0].repositories.allow[0]',
      `${basicYaml}profiles: [{labels: a, repositories: {allow: [team]}}]`,
      'write owner/name, where *',
    ],
    [
      'profiles[0].repositories.deny',
      `${basicYaml}profiles: [{labels: a, repositories: {deny: []}}]`,
      'is an empty list: write owner/name',
    ],
    ['profiles[0].repositories', `${basicYaml}profiles: [{labels: a, repositories: {}}]`, 'has neither allow nor deny'],
    ['profiles[0].repositories', `${basicYaml}profiles: [{labels: a, repositories: [o/r]}]`, 'write a map with some of: allow, deny'],
    ['profiles[0].events.allow[1]', `${basicYaml}profiles: [{labels: a, events: {allow: [push, pull-request]}}]`, 'below `on`'],
    ['profiles[1].labels', `${basicYaml}profiles: [{name: a, labels: x, forks: refuse}, {name: b, labels: x, forks: refuse}]`, 'profile a'],
    ['profiles[0].nix.access', `${basicYaml}profiles: [{labels: a, nix: {access: root}}]`, 'one of none, daemon, own'],
    ['profiles[0].runnerSha256', `${basicYaml}profiles: [{labels: a, runnerSha256: abc}]`, '64 hexadecimal digits'],
    ['profiles[0].binds[0]', `${basicYaml}profiles: [{labels: a, binds: ["/a:/b:rx"]}]`, 'write /source:/target:ro'],
    ['profiles[0].binds[0]', `${basicYaml}profiles: [{labels: a, binds: ["/a:/proc"]}]`, 'of its own'],
    ['profiles[0].binds[0]', `${basicYaml}profiles: [{labels: a, binds: ["/a/../b"]}]`, 'goes up with ..'],
    ['profiles[0].environment.A', `${basicYaml}profiles: [{labels: a, environment: {A: [1]}}]`, 'write a string'],
    ['profiles[1].name', `${basicYaml}profiles: [{name: a, labels: x}, {name: a, labels: y}]`, 'a second time'],
    ['profiles[1].labels', `${basicYaml}profiles: [{name: a, labels: "x,y"}, {name: b, labels: "y,x"}]`, 'are those of the profile a'],
  ])('%s is refused in %j: %s', async (path, yaml, sentence) => {
    expect(await mistakeAt(path, { yaml })).toContain(sentence);
  });

  test('two forges of one name, or of one url and scope, are refused', async () => {
    const one = '{name: a, url: "https://a", scope: {user: true}, tokenFile: /run/token}';
    const yaml = `forges: [${one}, ${one}]`;
    expect(await mistakeAt('forges[1].name', { yaml })).toContain('a second time');
    expect(await mistakeAt('forges[1]', { yaml })).toContain('would run the same jobs');
  });

  test('all mistakes are told at once, one line each, with path, what stood there and the remedy', async () => {
    const { message, mistakes } = await refusal({ yaml: `${forge('scope: x')}pollInterval: soon\nmaxConcurrent: no\n` });
    expect(mistakes).toHaveLength(3);
    expect(message.split('\n')).toHaveLength(4);
    for (const { path, message: said, remedy } of mistakes) expect(message).toContain(`  ${path} ${said}: ${remedy}`);
  });

  test('YAML that cannot be read is told by line and column, duplicate keys by name', async () => {
    const { mistakes } = await refusal({ yaml: 'a: 1\nmaxConcurrent: 1\nmaxConcurrent: 2\nb: [1\n' });
    expect(mistakes[0]).toMatchObject({ path: '/etc/frc.yaml:3:1', message: 'has the key maxConcurrent a second time' });
    expect(mistakes[1]?.path).toMatch(/^\/etc\/frc\.yaml:\d+:\d+$/);
  });

  test.each([
    ['an alias bomb', `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [${'*a,'.repeat(9)}]\nc: &c [${'*b,'.repeat(9)}]\nd: [${'*c,'.repeat(9)}]`],
    ['endless nesting', '['.repeat(100_000)],
    ['a second document', 'a: 1\n---\nb: 1'],
    ['a tag', 'stateDir: !!js/function "x"'],
    ['a list', '- a'],
    ['a file that is too large', `# ${'x'.repeat(1_100_000)}`],
  ])('%s is a mistake, not a crash', async (_, yaml) => {
    expect((await refusal({ yaml })).mistakes.length).toBeGreaterThan(0);
  });

  test('a configuration file that is not there is one mistake and not twenty', async () => {
    const { mistakes } = await refusal({ yaml: 'a' }).then(() =>
      loadConfig({ file: '/absent', env: {}, host: hostWith({}) }).then(
        () => ({ mistakes: [] }),
        (error: { details: { mistakes: unknown[] } }) => error.details,
      ),
    );
    expect(mistakes).toEqual([expect.objectContaining({ path: '/absent', message: 'cannot be read (ENOENT)' })]);
  });

  test('the real file system is read when no other host is given', async () => {
    await expect(loadConfig({ file: '/dev/zero', env: {} })).rejects.toMatchObject({ code: 'CONFIG_INVALID', exitCode: 2 });
    await expect(loadConfig({ file: '/nonexistent/x.yaml', env: {} })).rejects.toThrow('cannot be read (ENOENT)');
  });
});
