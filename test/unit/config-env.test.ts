// Promises the configuration by environment variables alone, and the environment laid over a file.

import { describe, expect, test } from 'vitest';
import { basicEnv, basicYaml, load, mistakeAt, refusal } from '../support/config-fixture.ts';

describe('the environment alone', () => {
  test('three variables are enough, and the defaults are those of the documentation', async () => {
    const config = await load({ env: basicEnv });
    expect(config).toMatchObject({
      stateDir: '/var/lib/forgejo-runner-controller',
      maxConcurrent: 7,
      pollIntervalMs: 1_000,
      jobTimeoutMs: 7_200_000,
      http: { host: '127.0.0.1', port: 8080, basePath: '', socket: '/run/forgejo-runner-controller/build-host.sock' },
      maintenance: '*/10 * * * *',
      logLevel: 'info',
      network: {
        pool: { first: '192.168.100.0', last: '192.168.199.255' },
        prefix: 24,
        nameservers: [],
        allow: [],
        deny: [],
        openPorts: [],
        externalInterface: [],
        masquerade: true,
      },
    });
    expect(config.forges).toEqual([
      {
        name: 'default',
        url: 'https://forge.example.org',
        instanceUrl: 'https://forge.example.org',
        scope: { kind: 'repository', owner: 'owner', name: 'repo' },
        tokenFile: '/run/token',
        pollIntervalMs: 1_000,
      },
    ]);
    expect(config.profiles).toEqual([
      {
        name: 'default',
        labels: ['self-hosted', 'ci', 'nix', 'x64', 'Linux'],
        template: { kind: 'host' },
        limits: { memoryBytes: 4 * 1024 ** 3, tasks: 4096 },
        timeouts: { startMs: 60_000, pickMs: 30_000, jobMs: 7_200_000, stopMs: 10_000 },
        runnerPath: '/usr/local/bin/forgejo-runner',
        binds: [],
        environment: {},
      },
    ]);
  });

  test('every variable of the ancestor is understood, bare numbers as seconds', async () => {
    const config = await load({
      env: {
        ...basicEnv,
        FORGEJO_INSTANCE_URL: 'https://public.example.org/git/',
        RUNNER_LABELS: 'a, b:host ,c:docker://image:tag',
        MAX_CONCURRENT: '3',
        POLL_INTERVAL: '10',
        JOB_TIMEOUT: '1h30m',
        STATE_DIR: '/srv/state/',
        HTTP_PORT: '0',
        RUNNER_PATH: '/opt/runner',
        CONTROLLER_ID: 'ci-1',
      },
    });
    expect(config).toMatchObject({
      controllerId: 'ci-1',
      controllerIdIsDefault: false,
      maxConcurrent: 3,
      pollIntervalMs: 10_000,
      jobTimeoutMs: 5_400_000,
      stateDir: '/srv/state',
      http: { port: 0 },
    });
    expect(config.forges[0]).toMatchObject({ instanceUrl: 'https://public.example.org/git', pollIntervalMs: 10_000 });
    expect(config.profiles[0]).toMatchObject({ labels: ['a', 'b', 'c'], runnerPath: '/opt/runner', timeouts: { jobMs: 5_400_000 } });
  });

  test.each([
    [{ FORGEJO_ORG: 'builders' }, { kind: 'organization', name: 'builders' }],
    [{ FORGEJO_USER: 'me' }, { kind: 'user' }],
    [{ FORGEJO_INSTANCE: '1' }, { kind: 'instance' }],
    [{ FORGEJO_USER: 'me', FORGEJO_INSTANCE: 'false', FORGEJO_ORG: '' }, { kind: 'user' }],
  ])('the scope variable %j is the scope %j', async (scope: Readonly<Record<string, string>>, expected) => {
    const { FORGEJO_REPO: _, ...rest } = basicEnv;
    expect((await load({ env: { ...rest, ...scope } })).forges[0]?.scope).toEqual(expected);
  });

  test('missing required variables are all named at once', async () => {
    const { message, mistakes } = await refusal({ env: {} });
    expect(mistakes.map(({ path }) => path)).toEqual([
      'the configuration',
      'FORGEJO_URL',
      'FORGEJO_REPO, FORGEJO_ORG, FORGEJO_USER or FORGEJO_INSTANCE',
      'FORGEJO_TOKEN_FILE',
    ]);
    expect(message).toMatch(
      /^The configuration has 4 mistakes:\n {2}the configuration is nowhere: .* with the command init, [^\n]*\n {2}FORGEJO_URL is missing: write an address/,
    );
  });

  test('two scope variables are a mistake that names both', async () => {
    expect(await mistakeAt('FORGEJO_REPO and FORGEJO_ORG', { env: { ...basicEnv, FORGEJO_ORG: 'x' } })).toContain('keep exactly one of');
  });

  test('a mistake is called by the name of the variable that it stands in', async () => {
    const { mistakes } = await refusal({
      env: {
        ...basicEnv,
        FORGEJO_REPO: 'nope',
        FORGEJO_URL: 'ftp://x',
        MAX_CONCURRENT: '-1',
        POLL_INTERVAL: 'soon',
        HTTP_PORT: '70000',
        RUNNER_LABELS: ',',
        CONTROLLER_ID: 'A',
      },
    });
    expect(mistakes.map(({ path }) => path).toSorted()).toEqual(
      ['CONTROLLER_ID', 'FORGEJO_REPO', 'FORGEJO_URL', 'HTTP_PORT', 'MAX_CONCURRENT', 'POLL_INTERVAL', 'RUNNER_LABELS'].toSorted(),
    );
  });

  test('CREDENTIALS_DIRECTORY is expanded in the path of the token file, and its absence is told', async () => {
    const env = { ...basicEnv, FORGEJO_TOKEN_FILE: '$CREDENTIALS_DIRECTORY/forge' };
    const files = { '/run/credentials/x.service/forge': 'abc' };
    const config = await load({ env: { ...env, CREDENTIALS_DIRECTORY: '/run/credentials/x.service' }, files });
    expect(config.forges[0]?.tokenFile).toBe('/run/credentials/x.service/forge');
    expect(await mistakeAt('FORGEJO_TOKEN_FILE', { env })).toContain('LoadCredential=');
  });

  test('the runner is found on PATH when it is not at its usual place, and its absence is a warning', async () => {
    const env = { ...basicEnv, PATH: 'relative:/usr/bin:/opt/bin' };
    expect((await load({ env, executables: ['/opt/bin/forgejo-runner'] })).profiles[0]?.runnerPath).toBe('/opt/bin/forgejo-runner');
    const config = await load({ env, executables: [] });
    expect(config.warnings.join('\n')).toContain('no forgejo-runner was found');
  });

  test("systemd's STATE_DIRECTORY is the state directory when nothing else names one", async () => {
    expect((await load({ env: { ...basicEnv, STATE_DIRECTORY: '/var/lib/other' } })).stateDir).toBe('/var/lib/other');
    expect((await load({ env: { ...basicEnv, STATE_DIRECTORY: '/a', STATE_DIR: '/b' } })).stateDir).toBe('/b');
  });

  test('a controller id made from the host name is valid and is warned about', async () => {
    const config = await load({ env: basicEnv });
    expect(config).toMatchObject({ controllerId: 'build-host', controllerIdIsDefault: true });
    expect(config.warnings.join('\n')).toContain('controllerId: is not set');
  });
});

describe('the environment over a file', () => {
  test('the environment wins over the same scalar of the file', async () => {
    const yaml = `${basicYaml}maxConcurrent: 2\npollInterval: 5s\nhttp: {port: 1}\nstateDir: /a\n`;
    const config = await load({
      yaml,
      env: { MAX_CONCURRENT: '4', HTTP_PORT: '9', FORGEJO_URL: 'https://other.example.org', FORGEJO_ORG: 'o' },
    });
    expect(config).toMatchObject({ maxConcurrent: 4, pollIntervalMs: 5_000, http: { port: 9 }, stateDir: '/a' });
    expect(config.forges).toMatchObject([
      { url: 'https://other.example.org', scope: { kind: 'organization', name: 'o' }, tokenFile: '/run/token' },
    ]);
  });

  test('a file without forges takes its forge from the environment', async () => {
    expect((await load({ yaml: 'maxConcurrent: 2', env: basicEnv })).forges[0]?.url).toBe('https://forge.example.org');
  });

  test('a forge variable beside several forges is refused, because it could mean any', async () => {
    const yaml =
      'forges:\n  - {name: a, url: "https://a", scope: {user: true}, tokenFile: /run/token}\n  - {name: b, url: "https://b", scope: {user: true}, tokenFile: /run/token}\n';
    expect(await mistakeAt('FORGEJO_URL', { yaml, env: { FORGEJO_URL: 'https://c' } })).toContain('the file has 2 forges');
  });

  test('RUNNER_LABELS beside profiles in the file is warned about, not silently dropped', async () => {
    const config = await load({ yaml: `${basicYaml}profiles: [{labels: x}]`, env: { RUNNER_LABELS: 'y' } });
    expect(config.profiles.map(({ labels }) => labels)).toEqual([['x']]);
    expect(config.warnings.join('\n')).toContain('RUNNER_LABELS: is not used');
  });
});
