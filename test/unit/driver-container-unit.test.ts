// Promises that what the host's containers module is told of a machine is what it should be, as data: no host is needed to see it.

import { describe, expect, test } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import {
  confLinesOf,
  containerUnitOf,
  controllerOfConf,
  couldBeUnmarked,
  dropInNameOf,
  dropInOf,
  machineOfConf,
  machineOfDropIns,
  unfitOf,
} from '../../src/driver/container-unit.ts';
import type { UnitInput } from '../../src/driver/nspawn-unit.ts';

const id = 'j0000001abc';
const profile: Profile = {
  name: 'default',
  labels: ['debian'],
  template: { kind: 'nixos', path: '/nix/store/x-system' },
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
    rootPlan: { template: profile.template, shared: [], overlaid: [], boot: { init: [], path: '/bin' } },
    uidBase: 0x70030000,
  };
}

/** As systemd reads an environment file: the last line of a key counts, escapes within double quotes. */
function readConf(text: string): Readonly<Record<string, string>> {
  const pairs = [...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, key = '', value = '']) => {
    const inner = /^"(.*)"$/.exec(value)?.[1];
    return [key, inner === undefined ? value : inner.replaceAll(/\\([\\"$`])/g, '$1')] as const;
  });
  return Object.fromEntries(pairs);
}
const flagsOf = (change: Partial<Profile> = {}): readonly string[] =>
  (readConf(confLinesOf(inputOf(change)))['EXTRA_NSPAWN_FLAGS'] ?? '').split(' ');
const created = 'PRIVATE_NETWORK=1\nHOST_ADDRESS=192.168.103.10\nLOCAL_ADDRESS=192.168.103.11\nHOST_BRIDGE=\nHOST_PORT=\nAUTO_START=0\n';

describe('names', () => {
  test('only those that a machine of ours has are read as one', () => {
    expect(containerUnitOf(id)).toBe('container@j0000001abc.service');
    expect(
      ['container@j0000001abc.service.d', 'container@web.service.d', 'container@.service.d', `${id}.service.d`].map(machineOfDropIns),
    ).toEqual([id, undefined, undefined, undefined]);
    expect(['j0000001abc.conf', 'web.conf', 'j0000001abc.conf.bak', 'j0000001abc'].map(machineOfConf)).toEqual([
      id,
      undefined,
      undefined,
      undefined,
    ]);
    expect(dropInNameOf('a')).not.toBe(dropInNameOf('b'));
  });
});

describe('the conf of a container', () => {
  test('bears our mark, and leaves the network to us, whatever stood in it before', () => {
    const conf = readConf(created + confLinesOf(inputOf()));
    expect(conf).toMatchObject({
      FORGEJO_RUNNER_CONTROLLER: 'main',
      PRIVATE_NETWORK: '0',
      HOST_ADDRESS: '',
      LOCAL_ADDRESS: '',
      COPY_RESOLV_CONF: '0',
      PRIVATE_USERS: '1879244800',
    });
  });

  test('a line that was cut off does not swallow ours', () => {
    expect(controllerOfConf(`PRIVATE_NETWORK=1\nHOST_ADD${confLinesOf(inputOf())}`)).toBe('main');
  });

  test('whose it is, is told by its mark, and before it has one by the address that only we give', () => {
    expect(controllerOfConf(created)).toBeUndefined();
    expect(controllerOfConf(`${created}FORGEJO_RUNNER_CONTROLLER=other\n`)).toBe('other');
    expect(couldBeUnmarked(created, '192.168.103.10')).toBe(true);
    expect(couldBeUnmarked('PRIVATE_NET', '192.168.103.10')).toBe(true);
    expect(couldBeUnmarked(created.replace('103.10', '103.1'), '192.168.103.10')).toBe(false);
  });

  test('asks nspawn for a user namespace of its own, no rights and nothing of the host', () => {
    const flags = flagsOf();
    expect(flags).toEqual(
      expect.arrayContaining([
        '--private-users=1879244800:65536',
        '--no-new-privileges=yes',
        '--settings=no',
        '--link-journal=no',
        '--resolv-conf=off',
        '--inaccessible=/nix/var/nix/daemon-socket',
        '--inaccessible=/nix/var/nix/db',
        '--bind-ro=/var/lib/frc/machines/j0000001abc/shared:/run/forgejo-runner:idmap',
        '--bind-ro=/opt/forgejo-runner:/run/forgejo-runner/runner',
      ]),
    );
    expect(flags.find((flag) => flag.startsWith('--drop-capability='))).toContain('CAP_SYS_ADMIN');
    expect(flags.filter((flag) => flag.includes('/dev/'))).toEqual([]);
    expect(flagsOf({ containers: 'podman' })).toContain('--bind=/dev/net/tun');
    expect(flagsOf({ nixAccess: 'daemon' })).not.toContain('--inaccessible=/nix/var/nix/daemon-socket');
  });

  test('passes binds on as they are, and names those that its shell would split or expand', () => {
    const bind = { source: '/srv/a:b', target: '/io', writable: true };
    expect(flagsOf({ binds: [bind] })).toContain(String.raw`--bind=/srv/a\:b:/io:idmap`);
    expect(unfitOf(profile)).toEqual([]);
    const bad = ['/a b', '/a*', '/a?', '/[a]', '/a"', "/a'", '/a\\', '/$a', '/`a'];
    expect(unfitOf({ ...profile, binds: bad.map((source) => ({ source, target: '/io', writable: false })) })).toEqual(bad);
  });
});

describe('the drop-in of its unit', () => {
  const lines = dropInOf(inputOf({ limits: { cpus: 1.5, memoryBytes: 1_000, tasks: 7 }, name: '50%' })).split('\n');

  test('has every limit and fence that a transient unit has, and nothing begins an ended machine again', () => {
    expect(lines).toEqual(
      expect.arrayContaining([
        'CPUQuota=150%',
        'MemoryMax=1000',
        'MemorySwapMax=0',
        'TasksMax=7',
        'RuntimeMaxSec=7300000ms',
        'Slice=machine-forgejorunners.slice',
        'NetworkNamespacePath=/run/netns/forgejo-runner-main-j0000001abc',
        'Environment=root=/var/lib/frc/machines/j0000001abc/root',
        'CollectMode=inactive-or-failed',
        'Restart=no',
        'RestartForceExitStatus=',
        'SuccessExitStatus=',
      ]),
    );
    expect(lines.filter((line) => line.startsWith('SystemCallFilter='))).toHaveLength(2);
  });

  test('puts each setting where it belongs, and nothing in it is a specifier', () => {
    const service = lines.indexOf('[Service]');
    expect(lines[0]).toBe('[Unit]');
    for (const own of ['Description', 'After', 'CollectMode']) {
      const at = lines.findIndex((line) => line.startsWith(`${own}=`));
      expect([own, at > 0 && at < service]).toEqual([own, true]);
    }
    expect(lines.filter((line) => /(?<!%)%(?!%)/.test(line))).toEqual(['CPUQuota=150%']);
  });

  test('records how the machine ended, of the group that its unit has', () => {
    const recorder = lines.find((line) => line.startsWith('ExecStopPost=')) ?? '';
    expect(recorder).toContain('"/var/lib/frc/exits/j0000001abc"');
    expect(recorder).toContain('/machine.slice/machine-forgejorunners.slice/container@j0000001abc.service"');
  });
});
