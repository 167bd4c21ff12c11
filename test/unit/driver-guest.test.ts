// Promises what machines with a systemd of their own are given, and what is made of Nix settings, as data: no host is needed to see them.

import { describe, expect, test } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { containerDevices } from '../../src/driver/confinement.ts';
import { guestFilesOf, guestUnit, guestUnitOf } from '../../src/driver/guest.ts';
import { usersIn } from '../../src/driver/nix-daemon.ts';
import { nspawnArgumentsOf, unitPropertiesOf, type UnitInput } from '../../src/driver/nspawn-unit.ts';

const profile: Profile = {
  name: 'default',
  labels: ['debian'],
  template: { kind: 'system', path: '/srv/debian' },
  limits: {},
  timeouts: { startMs: 60_000, pickMs: 30_000, jobMs: 7_200_000, stopMs: 10_000 },
  runnerPath: '/opt/forgejo-runner',
  binds: [],
  environment: { PATH: '/mine', PRICE: '5$ ${HOME} 100%', ODD: 'a"b\\c\nd' },
};
const boot = { init: ['/lib/systemd/systemd', '--show-status=error'], path: '/usr/bin:/bin' };
const input: UnitInput = {
  controllerId: 'main',
  stateDir: '/var/lib/frc',
  spec: { id: 'j0000001abc', slot: 3, profile, runtimeMaxMs: 7_300_000 },
  rootPlan: { template: profile.template, shared: [], overlaid: ['etc', 'usr'], boot },
  uidBase: 0x70030000,
};

describe('the unit of a job in a system of its own', () => {
  const unit = guestUnitOf(profile, { PATH: boot.path, NIX_REMOTE: 'daemon' });

  test('is ready at once, waits for the system, and ends it with its own code', () => {
    for (const line of ['Type=exec', 'After=multi-user.target', 'SuccessAction=exit-force', 'FailureAction=exit-force', 'KillMode=mixed'])
      expect(unit.split('\n')).toContain(line);
  });

  test('has the variables of template and profile as they are, those of the profile in front', () => {
    expect(unit).toContain('Environment="PATH=/mine"\n');
    expect(unit).not.toContain('PATH=/usr/bin');
    expect(unit).toContain('Environment="NIX_REMOTE=daemon"\n');
    expect(unit).toContain('Environment="PRICE=5$ ${HOME} 100%%"\n');
    expect(unit).toContain('Environment="ODD=a\\"b\\\\c\\nd"\n');
  });

  test('is wanted by the usual target, and put there by what nspawn starts', () => {
    const files = guestFilesOf(profile, {});
    expect(files['multi-user.conf']).toBe(`[Unit]\nWants=${guestUnit}\n`);
    expect(Object.keys(files).toSorted()).toEqual(['boot', guestUnit, 'multi-user.conf']);
    expect(nspawnArgumentsOf(input).slice(-5)).toEqual(['--', '/bin/sh', '/run/forgejo-runner/boot', ...boot.init]);
  });
});

test('a system that makes its own /etc/hosts is given the names of its profile before its job', () => {
  const names = { ...profile, extraHosts: [{ name: 'git.lan', address: '10.0.0.5' }] };
  const files = guestFilesOf(names, { PATH: boot.path }, '10.0.0.5 git.lan\n');
  expect(files[guestUnit]).toContain('ExecStartPre=/bin/sh /run/forgejo-runner/names\nExecStart=');
  expect(files).toMatchObject({ hosts: '10.0.0.5 git.lan\n', names: expect.stringContaining('PATH=/usr/bin:/bin:$PATH\n') as string });
  expect(guestUnitOf(profile, {})).not.toContain('ExecStartPre');
});

function inputOf(of: Profile, overlaid: readonly string[]): UnitInput {
  return { ...input, spec: { ...input.spec, profile: of }, rootPlan: { ...input.rootPlan, overlaid } };
}

describe('a machine whose job may run containers', () => {
  const asking: Profile = { ...profile, environment: {}, containers: 'podman' };

  test('has a socket for them before its job, an engine that begins with the first word to it, and both names of it', () => {
    const files = guestFilesOf(asking, { PATH: '/usr/bin:/bin' });
    const socket = 'forgejo-runner-containers.socket';
    expect(Object.keys(files).toSorted()).toEqual(
      [
        'boot',
        'containers.conf',
        'engine',
        'forgejo-runner-containers.service',
        socket,
        guestUnit,
        'health.json',
        'multi-user.conf',
      ].toSorted(),
    );
    for (const name of [socket, 'forgejo-runner-containers.service', guestUnit]) expect(files['boot']).toContain(name);
    expect(files[guestUnit]).toMatch(new RegExp(`Wants=${socket}\\nAfter=${socket}\\n`));
    const path = /^ListenStream=(.*)$/m.exec(files[socket] ?? '')?.[1];
    expect(files[socket]).toContain('SocketMode=0600\n');
    for (const name of ['DOCKER_HOST', 'CONTAINER_HOST']) expect(files[guestUnit]).toContain(`Environment="${name}=unix://${path}"`);
    expect(files['forgejo-runner-containers.service']).toContain('PATH=/usr/bin:/bin\n');
  });

  test('has the health of its containers watched from the moment they run, for no systemd is there to do that', () => {
    const files = guestFilesOf(asking, { PATH: '/usr/bin:/bin' });
    expect(files['containers.conf']).toContain('hooks_dir = ["/run/forgejo-runner"]\n');
    expect(JSON.parse(files['health.json'] ?? '')).toEqual({
      version: '1.0.0',
      hook: { path: '/bin/sh', args: ['sh', '/run/forgejo-runner/engine', 'watch'], env: ['PATH=/usr/bin:/bin', 'HOME=/root'] },
      when: { always: true },
      stages: ['poststart'],
    });
    expect(files['engine']).toContain('if [ "$1" = watch ]; then\n');
    expect(files['engine']).toContain(
      `podman --url unix://${/^ListenStream=(.*)$/m.exec(files['forgejo-runner-containers.socket'] ?? '')?.[1]} `,
    );
  });

  test('may take the name of its engine from its profile', () => {
    const own = { ...asking, environment: { DOCKER_HOST: 'tcp://10.0.0.1:2375' } };
    expect(guestUnitOf(own, {})).toContain('Environment="DOCKER_HOST=tcp://10.0.0.1:2375"\n');
    expect(guestUnitOf(own, {})).not.toContain('DOCKER_HOST=unix');
  });

  test('has one device more than others, and not one system call or capability', () => {
    expect(containerDevices).toEqual(['/dev/net/tun']);
    const [before, after] = [profile, asking].map((of) => inputOf({ ...of, environment: {} }, ['etc', 'usr', 'var']));
    if (before === undefined || after === undefined) throw new Error('two inputs');
    const more = unitPropertiesOf(after).filter((one) => !unitPropertiesOf(before).some((other) => other.join('=') === one.join('=')));
    expect(more).toEqual([['DeviceAllow', '/dev/net/tun rw']]);
    const flags = nspawnArgumentsOf(after).filter((word) => !nspawnArgumentsOf(before).includes(word));
    expect(flags).toEqual(['--bind=+/.containers:/var/lib/containers', '--bind=/dev/net/tun']);
  });

  test('keeps images where its own /var can take them, and beside it where that is an overlay', () => {
    expect(nspawnArgumentsOf(inputOf(asking, []))).not.toContain('--bind=+/.containers:/var/lib/containers');
  });
});

test('a system of its own is asked to halt, says when it is ready, and is confined as every machine but for the call that ends it', () => {
  const argv = nspawnArgumentsOf(input);
  for (const option of ['--kill-signal=SIGRTMIN+3', '--notify-ready=yes', '--no-new-privileges=yes', '--setenv=PATH=/mine'])
    expect(argv).toContain(option);
  expect(argv.find((word) => word.startsWith('--drop-capability='))).toMatch(/CAP_SYS_ADMIN.*CAP_SYS_BOOT/);
  const { boot: _, ...plain } = input.rootPlan;
  const [allowed, denied] = filtersOf(input);
  const [usuallyAllowed, usuallyDenied] = filtersOf({ ...input, rootPlan: plain });
  expect([allowed, denied]).toEqual([`${usuallyAllowed} reboot`, usuallyDenied]);
});

function filtersOf(of: UnitInput): readonly string[] {
  return unitPropertiesOf(of).flatMap(([name, value]) => (name === 'SystemCallFilter' ? [value] : []));
}

test.each([
  ['', ['root']],
  ['trusted-users = root @wheel', ['root', '@wheel']],
  ['trusted-users =', []],
  ['trusted-users = root\nextra-trusted-users = ada *', ['root', 'ada', '*']],
  ['# trusted-users = *', ['root']],
  ['trusted-users = root # *', ['root']],
  ['allowed-users = *\nsandbox = true', ['root']],
  ['trusted-users = *\ntrusted-users = root', ['root']],
])('%j trusts %j', (conf, users) => {
  expect(usersIn(conf, 'trusted-users')).toEqual(users);
});

test.each([
  ['', ['*']],
  ['allowed-users = @builders', ['@builders']],
  ['allowed-users = ada\nextra-allowed-users = *', ['ada', '*']],
  ['extra-trusted-users = ada', ['*']],
])('%j allows %j', (conf, users) => {
  expect(usersIn(conf, 'allowed-users')).toEqual(users);
});
