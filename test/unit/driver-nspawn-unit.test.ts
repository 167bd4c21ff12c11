// Promises that command lines, unit properties and names are what they should be, as data: no host is needed to see them.

import { describe, expect, test } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { keptCapabilities, droppedCapabilities } from '../../src/driver/confinement.ts';
import { assignmentText, initScript } from '../../src/driver/init-script.ts';
import {
  commandOf,
  interfaceOf,
  machineOfInterface,
  machineOfName,
  namespaceOf,
  nspawnArgumentsOf,
  parseExitRecord,
  pathsOf,
  unitOf,
  unitPropertiesOf,
} from '../../src/driver/nspawn-unit.ts';
import type { UnitInput } from '../../src/driver/nspawn-unit.ts';
import { runnerConfigOf } from '../../src/driver/root.ts';

const id = 'j0000001abc';
const profile: Profile = {
  name: 'default',
  labels: ['debian'],
  template: { kind: 'host' },
  limits: {},
  timeouts: { startMs: 60_000, pickMs: 30_000, jobMs: 7_200_000, stopMs: 10_000 },
  runnerPath: '/opt/forgejo-runner',
  binds: [],
  environment: {},
};

function inputOf(change: Partial<Profile> = {}): UnitInput {
  return {
    controllerId: 'main',
    stateDir: '/var/lib/frc',
    spec: { id, slot: 3, profile: { ...profile, ...change }, runtimeMaxMs: 7_300_000 },
    rootPlan: { template: { kind: 'host' }, shared: ['/usr', '/etc/alternatives'], overlaid: [] },
    uidBase: 0x70030000,
  };
}

describe('names', () => {
  test('all derive from controller and machine, and fit where the kernel counts', () => {
    expect(unitOf('main', id)).toBe('forgejo-runner-main-j0000001abc.service');
    expect(namespaceOf('main', id)).toBe('forgejo-runner-main-j0000001abc');
    expect(interfaceOf(id).length).toBeLessThanOrEqual(15);
  });

  test.each([
    ['forgejo-runner-main-j0000001abc.service', '.service', id],
    ['forgejo-runner-main-j0000001abc', '', id],
    ['forgejo-runner-main-x-j0000001abc.service', '.service', undefined],
    ['forgejo-runner-other-j0000001abc.service', '.service', undefined],
    ['forgejo-runner-main-j0000001ab.service', '.service', undefined],
    ['forgejo-runner-main-J0000001ABC.service', '.service', undefined],
    ['forgejo-runner-main-j0000001abc.scope', '.service', undefined],
    ['forgejo-runner-main.service', '.service', undefined],
    ['forgejo-runner-main-j0000001abc-backups', '.service', undefined],
  ] as const)('%s is ours only when it matches exactly (I6)', (name, suffix, expected) => {
    expect(machineOfName('main', name, suffix)).toBe(expected);
  });

  test.each([
    ['fr-j0000001abc', id],
    ['fr-eth0', undefined],
    ['ve-j0000001abc', undefined],
    ['fr-j0000001abcd', undefined],
  ])('interface %s', (name, expected) => {
    expect(machineOfInterface(name)).toBe(expected);
  });
});

describe('unit properties', () => {
  test('only limits that were given are set, swap never', () => {
    const names = unitPropertiesOf(inputOf()).map(([name]) => name);
    expect(names).not.toContain('MemoryMax');
    expect(names).not.toContain('CPUQuota');
    expect(names).not.toContain('TasksMax');
    expect(names).toContain('MemorySwapMax');
    const set = Object.fromEntries(unitPropertiesOf(inputOf({ limits: { cpus: 1.5, memoryBytes: 2 ** 31, tasks: 500 } })));
    expect(set).toMatchObject({ CPUQuota: '150%', MemoryMax: '2147483648', TasksMax: '500', MemorySwapMax: '0' });
  });

  test('a step that is killed for want of memory does not take its machine with it', () => {
    expect(Object.fromEntries(unitPropertiesOf(inputOf()))).toMatchObject({ OOMPolicy: 'continue' });
  });

  test('every deadline is on the unit, too (I5)', () => {
    expect(Object.fromEntries(unitPropertiesOf(inputOf()))).toMatchObject({
      RuntimeMaxSec: '7300000ms',
      TimeoutStartSec: '60000ms',
      TimeoutStopSec: '10000ms',
      KillMode: 'mixed',
      Delegate: 'yes',
      NetworkNamespacePath: '/run/netns/forgejo-runner-main-j0000001abc',
    });
  });

  test('a machine is stopped before the network, firewall and name service when the host goes down', () => {
    const after = Object.fromEntries(unitPropertiesOf(inputOf()))['After']?.split(' ');
    expect(after).toEqual(['network-pre.target', 'network.target', 'nss-lookup.target']);
  });

  test('the exit record is one write of a whole line, with dollars doubled for systemd', () => {
    const recorder = Object.fromEntries(unitPropertiesOf(inputOf()))['ExecStopPost'] ?? '';
    expect(recorder).toMatch(/^\+\/bin\/sh -c '/);
    expect(recorder.match(/[^$](?:\$\$)*\$(?!\$)/)).toBeNull();
    expect(recorder.split('>"$$0"')).toHaveLength(2);
    const group = `machine.slice/machine-forgejorunners.slice/forgejo-runner-main-${id}.service`;
    const words = [
      `/var/lib/frc/exits/${id}`,
      `/sys/fs/cgroup/${group}`,
      `/sys/fs/cgroup/memory/${group}`,
      `/sys/fs/cgroup/unified/${group}`,
      `/sys/fs/cgroup/cpuacct/${group}`,
    ];
    expect(recorder.endsWith(`>"$$0"' ${words.map((word) => `"${word}"`).join(' ')}`)).toBe(true);
  });

  test.each([
    ['exit-code exited 3\n', { result: 'exit-code', code: 'exited', status: '3' }],
    ['success exited 0\n', { result: 'success', code: 'exited', status: '0' }],
    ['timeout killed KILL\n', { result: 'timeout', code: 'killed', status: 'KILL' }],
    ['timeout  \n', { result: 'timeout', code: '', status: '' }],
    ['timeout - - - -\n', { result: 'timeout', code: '', status: '' }],
    ['signal killed KILL 851443712 2\n', { result: 'signal', code: 'killed', status: 'KILL', memoryPeakBytes: 851_443_712, oomKills: 2 }],
    [
      'signal killed KILL 851443712 2 12345678\n',
      { result: 'signal', code: 'killed', status: 'KILL', memoryPeakBytes: 851_443_712, oomKills: 2, cpuMs: 12_346 },
    ],
    ['signal killed KILL x 1e9 -5\n', { result: 'signal', code: 'killed', status: 'KILL' }],
    ['exit-code exi', undefined],
    ['', undefined],
    ['\n', undefined],
  ])('exit record %j', (text, expected) => {
    expect(parseExitRecord(text)).toEqual(expected);
  });
});

describe('the nspawn command line', () => {
  test('has the uid range of the slot, its own name and root, and ends in the init script', () => {
    const argv = nspawnArgumentsOf(inputOf());
    expect(argv).toEqual(expect.arrayContaining([`--machine=${id}`, `--private-users=1879244800:65536`]));
    expect(argv).toContain(`--directory=${pathsOf('/var/lib/frc', id).root}`);
    expect(argv.slice(-3)).toEqual(['--', '/bin/sh', '/run/forgejo-runner/init']);
    expect(argv).toContain('--bind-ro=/usr:/usr:idmap');
    expect(argv.filter((argument) => argument.startsWith('--bind=') || argument.startsWith('--capability'))).toEqual([]);
  });

  test('gives no new privileges, ends by a signal that the runner hears, and hears nothing from files of the host', () => {
    const argv = nspawnArgumentsOf(inputOf());
    for (const option of ['--no-new-privileges=yes', '--kill-signal=SIGTERM', '--settings=no']) expect(argv).toContain(option);
  });

  test('binds say read-only unless writable, and escape what nspawn would split at', () => {
    const binds = [
      { source: '/srv/a:b', target: '/in/a\\b', writable: false },
      { source: '/srv/cache', target: '/cache', writable: true },
    ];
    const argv = nspawnArgumentsOf(inputOf({ binds }));
    expect(argv).toContain('--bind-ro=/srv/a\\:b:/in/a\\\\b:idmap');
    expect(argv).toContain('--bind=/srv/cache:/cache:idmap');
  });

  test('a directory template is bound once and overlaid per top folder', () => {
    const input = inputOf();
    const argv = nspawnArgumentsOf({
      ...input,
      rootPlan: { template: { kind: 'directory', path: '/srv/debian' }, shared: [], overlaid: ['etc', 'usr'] },
    });
    expect(argv).toEqual(
      expect.arrayContaining([
        '--bind-ro=/srv/debian:/.template:idmap',
        '--overlay=+/.template/etc:+/.fresh/etc:/etc',
        '--overlay=+/.template/usr:+/.fresh/usr:/usr',
      ]),
    );
  });

  test("a store of the machine's own is a layer of its root over that of the host, which is bound read-only and nowhere else", () => {
    const rootPlan = { template: { kind: 'nix-env', path: '/nix/store/env' }, shared: [], overlaid: [], layered: '/nix/store' } as const;
    const shown = nspawnArgumentsOf({ ...inputOf(), rootPlan }).filter((argument) => argument.includes('/nix/store'));
    expect(shown).toEqual(['--bind-ro=/nix/store:/.nix/lower:idmap', '--overlay=+/.nix/lower:+/.nix/upper:/nix/store']);
  });

  test('dollars in the environment reach the job as they are', () => {
    const argv = commandOf(inputOf({ environment: { PRICE: '5$ ${HOME}' } }), '/usr/bin/systemd-nspawn');
    expect(argv).toContain('--setenv=PRICE=5$$ $${HOME}');
    expect(argv[0]).toBe('/usr/bin/systemd-nspawn');
  });

  test('no capability is both kept and dropped', () => {
    expect(keptCapabilities.filter((name) => droppedCapabilities.includes(name))).toEqual([]);
  });
});

describe('the assignment', () => {
  const assignment = { url: 'https://forge.test', uuid: 'u-1', token: 'secret', handle: 'h-1', labels: ['debian', 'big one'] };

  test('is lines, then the token with no newline', () => {
    expect(assignmentText(assignment)).toBe('https://forge.test\nu-1\nh-1\n2\ndebian\nbig one\nsecret');
    expect(assignmentText({ ...assignment, handle: '', labels: [] })).toBe('https://forge.test\nu-1\n\n0\nsecret');
  });

  test.each([
    ['url', { url: 'a\nb' }],
    ['uuid', { uuid: 'a\u0000' }],
    ['handle', { handle: 'a\r' }],
    ['token', { token: 'a\n' }],
    ['label', { labels: ['ok', 'a\nb'] }],
    ['empty token', { token: '' }],
    ['length', { labels: ['x'.repeat(5_000)] }],
  ])('is refused when its %s could be mistaken for something else, without saying the secret', (_, change) => {
    const attempt = (): string => assignmentText({ ...assignment, token: 'hush-hush', ...change });
    expect(attempt).toThrow(expect.objectContaining({ code: 'DRIVER_FAILED' }));
    expect(attempt).not.toThrow(/hush-hush/);
  });

  test('the init script holds no token in a variable, argument or environment (I7)', () => {
    expect(initScript).not.toMatch(/export|read -r token|\$token/);
    expect(initScript).toContain('--token-url file:///dev/stdin');
  });
});

test("the runner's configuration has no cache listener, and offers a job's result for longer than a forge takes to restart", () => {
  const text = runnerConfigOf({ timeouts: { ...profile.timeouts, jobMs: 7_200_000 } });
  expect(text).toMatch(/cache:\n {2}enabled: false/);
  const [, retries = '', capSeconds = ''] = /max_retries: (\d+)\n {4}max_delay: (\d+)s/.exec(text) ?? [];
  const delaysMs = Array.from({ length: Number(retries) - 1 }, (_, tried) => Math.min(Number(capSeconds) * 1000, 100 * 2 ** tried));
  expect(delaysMs.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(60_000);
  expect(text).toMatch(/timeout: 7230s/);
});

test('containers of a job may have any folder of the machine as a volume, and a profile without containers says nothing of them', () => {
  expect(runnerConfigOf({ ...profile, containers: 'podman' })).toMatch(/^container:\n {2}valid_volumes:\n {4}- '\*\*'$/m);
  expect(runnerConfigOf(profile)).not.toContain('container:');
});
