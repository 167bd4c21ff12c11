// Promises that the NixOS module makes of the configurations people write what the service and systemd are meant to get. It is evaluated, by the
// real Nix; no NixOS takes part.

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import {
  evaluateAll,
  loadRendered,
  ownConfigurations,
  writeModules,
  type Evaluated,
  type Settings,
  type Unit,
} from '../support/nix-module.ts';
import { openNix } from '../support/nix.ts';

const root = new URL('../..', import.meta.url);
const etc = '/etc/forgejo-runner-controller/config.yaml';
let opened: Awaited<ReturnType<typeof openNix>>;
let all: ReadonlyMap<string, Evaluated>;

beforeAll(async () => {
  opened = await openNix();
  all = await evaluateAll(opened.nix, ownConfigurations);
});
afterAll(() => opened.end());

function evaluatedAs(name: string): Evaluated & { readonly unit: Unit; readonly settings: Settings } {
  const { unit, settings, ...rest } = all.get(name) ?? { failed: [], warnings: [], credentials: [] };
  if (unit === undefined || settings === undefined || settings === null) throw new Error(`${name} has no unit or no settings`);
  return { ...rest, unit, settings };
}

const loaded = (name: string) => loadRendered(evaluatedAs(name));

describe('every configuration', () => {
  const names = [...readFileSync(ownConfigurations, 'utf8').matchAll(/^ {2}([a-z-]+)(?:\.| = (?:with' )?\{)/gm)]
    .map((hit) => hit[1] ?? '')
    .filter((name) => name !== 'off');

  test('evaluates without a failed assertion', () => {
    expect([...all.keys()].toSorted()).toEqual(['off', ...names].toSorted());
    expect([...all].filter(([, { failed }]) => failed.length > 0)).toEqual([]);
    expect(names.length).toBeGreaterThan(12);
  });

  test.each(names.filter((name) => !['raw', 'checked'].includes(name)))(
    '%s loads in the service, with every token that it names',
    async (name) => {
      const config = await loaded(name);
      const { settings } = evaluatedAs(name);
      expect(config.forges.map((forge) => forge.name)).toEqual(settings.forges.map((forge) => forge.name));
      expect(config.profiles.length).toBe(settings.profiles.length);
      const expected: Readonly<Record<string, readonly string[]>> = {
        'odd-host-name': ['controllerId: is not set'],
        'roll-out': ['polling starts when the file holds a token'],
        unpolled: ['else every 10m alone: schedules'],
        api: ['is not loopback, and the API speaks no TLS'],
      };
      const wanted = expected[name] ?? [];
      expect(config.warnings).toEqual(wanted.map((words) => expect.stringContaining(words) as unknown));
    },
  );

  test('has the unit of nix/unit.json, whatever else it sets', () => {
    const shape = z.record(z.string(), z.union([z.string(), z.array(z.string())]));
    const { Service } = z.looseObject({ Service: shape }).parse(JSON.parse(readFileSync(new URL('nix/unit.json', root), 'utf8')));
    const { ExecStart: _, LoadCredential: __, ExecReload: reload, ...same } = Service;
    const store = `${'0'.repeat(32)}-`;
    for (const name of names.filter((one) => !['adjusted', 'settings-win', 'settings-win-and-lines'].includes(one))) {
      const { ExecStart, LoadCredential: ___, ExecReload, ...rest } = all.get(name)?.unit?.serviceConfig ?? {};
      expect(rest).toEqual(same);
      expect(ExecReload).toBe(String(reload).replace('@kill@', `/nix/store/${store}coreutils-1.0/bin/kill`));
      const file = name === 'raw' ? '/run/agenix/forgejo-runner-controller.yaml' : etc;
      expect(ExecStart).toBe(`/nix/store/${store}forgejo-runner-controller-1.0/bin/forgejo-runner-controller --config ${file}`);
    }
  });

  test('starts nothing with more rights than the service has, and copies secrets by LoadCredential alone', () => {
    for (const name of names) {
      const lines = Object.entries(all.get(name)?.unit?.serviceConfig ?? {});
      expect(
        lines.filter(([key]) => /^(?:ExecStartPre|ExecStartPost|ExecCondition|EnvironmentFile|PermissionsStartOnly)$/.test(key)),
      ).toEqual([]);
      expect(lines.filter(([key, value]) => key.startsWith('Exec') && [value].flat().some((line) => /^[-@:!+]/.test(line)))).toEqual([]);
    }
  });

  test('keeps other network managers off the interfaces of machines, and forwards their packets', () => {
    for (const name of names) {
      expect(all.get(name)).toMatchObject({
        unmanaged: ['interface-name:fr-*', 'fr-*'],
        networks: { '05-forgejo-runner-controller': { matchConfig: { Name: 'fr-*' }, linkConfig: { Unmanaged: true } } },
        sysctl: { 'net.ipv4.conf.all.forwarding': true },
        programs: ['forgejo-runner-controller'],
      });
    }
  });
});

test('without enable the module leaves nothing on a host', () => {
  const left = Object.entries(all.get('off')?.left ?? {});
  expect(left.length).toBeGreaterThan(7);
  for (const [, value] of left)
    expect(Object.keys(z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]).parse(value))).toEqual([]);
});

describe('a Forgejo on the same host', () => {
  test('is asked at its local address, else its public one, and machines reach it at the public one', async () => {
    const one = await loaded('beside-forgejo');
    expect(one.forges[0]).toMatchObject({
      url: 'https://git.example.org',
      instanceUrl: 'https://git.example.org',
      scope: { kind: 'instance' },
    });
    const both = await loaded('beside-forgejo-and-away');
    expect(both.forges.map(({ name, instanceUrl }) => [name, instanceUrl])).toEqual([
      ['main', 'https://git.example.org'],
      ['other', 'http://other.example.org:3000'],
    ]);
    const other = await loaded('beside-forgejo-on-a-port');
    expect(other.forges[0]).toMatchObject({ url: 'http://127.0.0.1:3000', instanceUrl: 'http://10.0.0.5:3000' });
  });

  test('starts before the service, and only then', () => {
    for (const key of ['wants', 'after'] as const) {
      expect(evaluatedAs('beside-forgejo').unit[key]).toContain('forgejo.service');
      expect(evaluatedAs('away').unit[key]).not.toContain('forgejo.service');
    }
  });

  test('is let through the firewall of the host to machines alone, as DNS and open ports are', () => {
    expect(evaluatedAs('beside-forgejo').interfaces).toEqual({ 'fr-+': { allowedTCPPorts: [53, 443], allowedUDPPorts: [53] } });
    expect(evaluatedAs('beside-forgejo-and-away').interfaces).toEqual(evaluatedAs('beside-forgejo').interfaces);
    const { interfaces, extraForwardRules } = evaluatedAs('beside-forgejo-on-a-port');
    expect(interfaces).toEqual({ 'fr-*': { allowedTCPPorts: [53, 3000], allowedUDPPorts: [53] } });
    expect(extraForwardRules).toBe('iifname "fr-*" accept\n');
    expect(evaluatedAs('beside-forgejo-by-its-address').interfaces).toEqual({
      'fr-+': { allowedTCPPorts: [53, 3000], allowedUDPPorts: [53] },
    });
    expect(evaluatedAs('on-loopback').interfaces).toEqual({ 'fr-+': { allowedTCPPorts: [53, 3300], allowedUDPPorts: [53] } });
    expect(evaluatedAs('network').interfaces).toEqual({ 'fr-+': { allowedTCPPorts: [53, 3142, 5000], allowedUDPPorts: [53] } });
    expect(evaluatedAs('closed-firewall').interfaces).toEqual({});
    expect(evaluatedAs('away').allowedTCPPorts).toEqual([]);
    expect(evaluatedAs('api').allowedTCPPorts).toEqual([9090]);
  });
});

describe('tokens', () => {
  test('of every forge, of the API and further ones are copied by systemd, each under its own name', () => {
    expect(evaluatedAs('several-forges').unit.serviceConfig['LoadCredential']).toEqual([
      'forge-main:/run/secrets/forge-token',
      'forge-mine:/run/secrets/codeberg-token',
      'forge-mirror:/run/secrets/mirror-token',
    ]);
    expect(evaluatedAs('api').unit.serviceConfig['LoadCredential']).toContain('api-token:/run/agenix/api-token');
    expect(evaluatedAs('webhook').unit.serviceConfig['LoadCredential']).toContain('webhook-forge:/run/agenix/webhook-secret');
    expect(evaluatedAs('adjusted').unit.serviceConfig['LoadCredential']).toContain('extra:/run/agenix/extra');
    expect(all.get('raw')?.unit?.serviceConfig['LoadCredential']).toEqual([
      'forge-token:/run/agenix/forge-token',
      'mirror:/run/agenix/mirror-token',
    ]);
  });

  test('that may come later are read where they will be, and the start waits for no copy', async () => {
    expect(evaluatedAs('roll-out').unit.serviceConfig['LoadCredential']).toEqual([]);
    expect((await loaded('roll-out')).forges[0]?.tokenFile).toBe('/run/agenix/forge-token');
  });

  test('and the configuration are for root: the file is no link into the store', () => {
    const modes = [...all].filter(([name]) => !['off', 'raw'].includes(name)).map(([, { fileMode }]) => fileMode);
    expect(new Set(modes)).toEqual(new Set(['0640']));
  });
});

describe('profiles', () => {
  test('have the limits, clocks and caps that were given, in order of priority', async () => {
    const { profiles } = await loaded('all-limits');
    expect(profiles.map(({ name }) => name)).toEqual(['small', 'big', 'stops-slowly']);
    expect(profiles[1]).toMatchObject({
      labels: ['nix', 'large'],
      limits: { cpus: 7.5, memoryBytes: 16 * 1024 ** 3, tasks: 8192, diskBytes: 50e9 },
      timeouts: { startMs: 90_000, pickMs: 20_000, jobMs: 21_600_000, stopMs: 5_000 },
      max: 2,
      warm: { min: 1, maxAgeMs: 3_600_000, lingerMs: 1_800_000 },
      environment: { CI_SITE: 'north' },
    });
    expect(profiles.map(({ warm }) => warm?.min)).toEqual([2, 1, undefined]);
    expect(profiles.map(({ cache }) => cache)).toEqual([
      undefined,
      undefined,
      { path: '/cache', maxBytes: 2 * 1024 ** 3, maxAgeMs: 2_592_000_000 },
    ]);
    expect(profiles[0]?.limits).toEqual({ cpus: 1 });
    expect(profiles[2]?.timeouts).toMatchObject({ stopMs: 120_000, jobMs: 5_400_000 });
  });

  test('are made of what their container says: packages, a NixOS system, or a directory', async () => {
    const { profiles } = await loaded('templates');
    expect(profiles.map(({ name, template }) => [name, template.kind])).toEqual([
      ['built', 'nixos'],
      ['debian', 'directory'],
      ['debian-systemd', 'system'],
      ['env', 'nix-env'],
      ['own-store', 'nix-env'],
      ['own-system', 'nixos'],
      ['podman', 'nixos'],
      ['services', 'nixos'],
    ]);
    const open = profiles.filter(({ containers }) => containers === 'podman');
    expect(open.map(({ name, refusesForks }) => [name, refusesForks ?? false])).toEqual([
      ['debian-systemd', false],
      ['podman', true],
    ]);
    expect(profiles[0]?.template).toEqual({ kind: 'nixos', path: `/nix/store/${'0'.repeat(32)}-nixos-system-ci` });
    expect(profiles[3]).toMatchObject({
      nixAccess: 'daemon',
      binds: [
        { source: '/srv/ci-data', target: '/data', writable: false },
        { source: '/var/cache/ccache', target: '/var/cache/ccache', writable: true },
      ],
    });
    // The packages asked for, and with the host's daemon Nix itself, come before those that every machine has.
    expect(profiles[3]?.template).toMatchObject({
      path: expect.stringMatching(/environment-12\.11\.1-coreutils-nix-forgejo-runner-bash-/) as unknown,
    });
    // Those with a store of their own have Nix, too.
    const own = profiles.filter(({ nixAccess }) => nixAccess === 'own');
    expect(own.map(({ template }) => template)).toEqual([
      { kind: 'nix-env', path: expect.stringMatching(/environment-12\.11\.1-nix-forgejo-runner-/) as unknown },
      { kind: 'nixos', path: expect.stringMatching(/nixos-system/) as unknown },
    ]);
    expect(evaluatedAs('templates').warnings).toEqual([expect.stringContaining('container.nix.access = "daemon"')]);
  });

  test('run the runner of the Nix store', async () => {
    for (const name of ['away', 'all-limits'])
      for (const profile of (await loaded(name)).profiles)
        expect(profile.runnerPath).toMatch(/^\/nix\/store\/0+-forgejo-runner-.*\/bin\/forgejo-runner$/);
  });
});

test('the driver nixos-container has its command, its unit and its folders on the host, and machines of NixOS systems', async () => {
  expect(await loaded('containers')).toMatchObject({
    driver: 'nixos-container',
    profiles: [{ template: { kind: 'nixos' } }],
    nixosContainer: { configurationDirectory: '/etc/nixos-containers', stateDirectory: '/var/lib/nixos-containers' },
  });
  expect((await loaded('containers-of-old')).nixosContainer).toMatchObject({
    configurationDirectory: '/etc/containers',
    stateDirectory: '/var/lib/containers',
  });
  const { enableContainers, unit } = evaluatedAs('containers');
  expect(enableContainers).toBe(true);
  expect(unit.path).toEqual(expect.arrayContaining(['/run/current-system/sw', 'nix', 'findutils', 'util-linux', 'e2fsprogs']));
  expect([(await loaded('away')).driver, evaluatedAs('away').enableContainers]).toEqual(['nspawn', false]);
});

test('uplinks, masquerading and name servers of a profile reach the service as its own settings, and are left to it where nothing is set', async () => {
  const { network, profiles } = await loaded('network');
  expect(network).toMatchObject({ externalInterface: ['enp1s0'], masquerade: false, nameservers: ['9.9.9.9'], mtu: 1380 });
  expect((await loaded('away')).network).not.toHaveProperty('mtu');
  expect(profiles).toMatchObject([{ name: 'inside', nameservers: ['10.1.2.53'] }]);
  expect((await loaded('away')).profiles[0]).not.toHaveProperty('nameservers');
  expect((await loaded('uplinks')).network).toMatchObject({ externalInterface: ['enp1s0', 'wg0'], masquerade: true });
  expect((await loaded('away')).network).toMatchObject({ externalInterface: [], masquerade: true });
});

test('names for machines of a profile reach the service as they were written, and there are none where none were', async () => {
  const [inside] = (await loaded('network')).profiles;
  expect(inside?.extraHosts?.map(({ name, address }) => `${name} ${address}`).toSorted()).toEqual([
    'both.lan 10.1.2.4',
    'both.lan 10.1.2.5',
    'git.lan 10.1.2.3',
    'host.docker.internal host-gateway',
  ]);
  expect((await loaded('away')).profiles[0]).not.toHaveProperty('extraHosts');
});

test('what stands in settings wins over the options, and a state directory of its own is made', async () => {
  const config = await loaded('settings-win');
  expect(config).toMatchObject({ controllerId: 'ci-1', stateDir: '/srv/runner-state', maxPerRepository: 3, logLevel: 'debug' });
  expect(config.profiles.map(({ labels }) => labels)).toEqual([['written', 'by', 'hand']]);
  expect(config.network).toMatchObject({ prefix: 25, pool: { first: '192.168.100.0', last: '192.168.199.255' } });
  const { tmpfiles, unit } = evaluatedAs('settings-win');
  expect(tmpfiles).toEqual({ 'forgejo-runner-controller': { '/srv/runner-state': { d: { group: 'root', mode: '0711', user: 'root' } } } });
  expect(unit.serviceConfig).not.toHaveProperty('StateDirectory');
  expect(unit.serviceConfig).toMatchObject({ ReadWritePaths: ['/srv/runner-state'] });
  // What somebody adds does not take it away.
  const written = evaluatedAs('settings-win-and-lines').unit.serviceConfig['ReadWritePaths'];
  expect(new Set([written].flat())).toEqual(new Set(['/srv/runner-cache', '/srv/runner-socket', '/srv/runner-state']));
  expect(evaluatedAs('settings-win-and-lines').tmpfiles).toMatchObject({
    'forgejo-runner-controller': { '/srv/runner-cache': { d: { mode: '0700' } }, '/srv/runner-state': { d: { mode: '0711' } } },
  });
  expect(unit.serviceConfig).toMatchObject({ ProtectSystem: 'strict', ReadWritePaths: ['/srv/runner-state'] });
});

test('every program that the driver starts comes with a package on the PATH of the unit', () => {
  const packages: Readonly<Record<string, string>> = {
    bash: 'sh',
    coreutils: 'cp cat chmod ln mkdir mkfifo mv readlink rm rmdir sha256sum test touch',
    e2fsprogs: 'chattr mkfs.ext4',
    iproute2: 'ip',
    nftables: 'nft',
    systemd: 'busctl journalctl machinectl systemctl systemd-nspawn systemd-run',
    'util-linux': 'flock losetup mount nsenter umount',
  };
  const from = new Map(Object.entries(packages).flatMap(([name, programs]) => programs.split(' ').map((program) => [program, name])));
  const folder = new URL('src/driver/', root);
  const texts = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8'));
  const started = texts.flatMap((text) => [
    ...text.matchAll(/\b(?:run|tryRun|perform|tryPerform|linesOf)\(\s*'([a-z][\w.-]*)'/g),
    // Those that the check of the host asks for.
    ...text.matchAll(/^ +\['([a-z][\w.-]*)', '-/gm),
  ]);
  const programs = new Set(started.map((hit) => hit[1] ?? ''));
  expect(programs.size).toBeGreaterThan(10);
  const { path } = evaluatedAs('away').unit;
  expect([...programs].filter((program) => !path.includes(from.get(program) ?? ''))).toEqual([]);
});

test('environment, PATH, slice and lines of the unit can be added to and changed', () => {
  const { unit, slice } = evaluatedAs('adjusted');
  expect(unit.environment).toMatchObject({ NODE_EXTRA_CA_CERTS: '/etc/ssl/certs/internal-ca.pem' });
  expect(unit.path).toContain('findutils');
  expect(unit.serviceConfig).toMatchObject({ MemoryMax: '1G', RestartSec: '30s', KillMode: 'mixed' });
  expect(slice).toMatchObject({ sliceConfig: { CPUQuota: '800%' } });
});

/** A configuration that works, and more. */
const of = (more: string) => `{ services.forgejo-runner-controller = {
  enable = true; tokenFile = "/run/agenix/t"; forges.forge = { url = "https://forge.example.org"; scope.user = true; };
  ${more} }; }`;

describe('a switch', () => {
  test('of polling.enable to false leaves the service up, and it starts nothing', async () => {
    expect((await loaded('closed')).maxConcurrent).toBe(0);
    expect(evaluatedAs('closed').unit).toMatchObject({
      wantedBy: ['multi-user.target'],
      restartTriggers: evaluatedAs('away').unit.restartTriggers,
    });
  });

  test('to another configuration reloads the service, unless it changed in what only a start reads; a restart spares running jobs', async () => {
    const changes = [
      '',
      'profiles.other = { };',
      'settings.maxConcurrent = 3;',
      'network.pool = "10.0.0.0/16";',
      'settings.http.port = 9000;',
    ];
    const path = await writeModules(opened.home, 'switch.nix', changes.map(of));
    const units = [...(await evaluateAll(opened.nix, path)).values()].map(({ unit }) => unit);
    const [before] = units;
    if (before === undefined) throw new Error('nothing was evaluated');
    const { reloads: _, restartTriggers: __, ...same } = before;
    for (const unit of units) expect(unit).toMatchObject({ ...same, restartIfChanged: true, stopIfChanged: false });
    const differs = (key: 'reloads' | 'restartTriggers') =>
      units.map((unit) => JSON.stringify(unit?.[key]) !== JSON.stringify(before[key]));
    expect(differs('reloads')).toEqual([false, true, true, true, true]);
    expect(differs('restartTriggers')).toEqual([false, false, false, true, true]);
    expect(before.serviceConfig).toMatchObject({
      KillMode: 'mixed',
      ExecReload: expect.stringMatching(/kill -HUP \$MAINPID$/) as unknown,
    });
  });
});

test("the build lets the service's own reader check what was rendered, without any token, and ends when it finds a mistake", async () => {
  const { settings } = evaluatedAs('away');
  const check = all.get('checked')?.check ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'frc-check-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const program = fileURLToPath(new URL('src/main.ts', root));
  const script = check
    .replaceAll(/\/nix\/store\/\S+\/bin\/forgejo-runner-controller/g, `${process.execPath} ${program}`)
    .replaceAll(/\/nix\/store\/\S+\.json-0/g, `${folder}/in.json`);
  const build = async (text: string) => {
    await writeFile(join(folder, 'in.json'), text, { mode: 0o640 });
    await promisify(execFile)('bash', ['-euc', script], { env: { PATH: process.env['PATH'], out: join(folder, 'out.json') } });
    return readFile(join(folder, 'out.json'), 'utf8');
  };
  const text = JSON.stringify(settings);
  expect(script).toMatch(/check-config --pending --config \S+in\.json/);
  expect(await build(text)).toBe(text);
  await expect(build(JSON.stringify({ ...settings, maxConcurrent: 5_000 }))).rejects.toThrow('maxConcurrent');
});
