// Promises mutations of what machines are made of: systems of their own, the Nix daemon, the pin of a runner, and whom names are asked of.

import type { Target } from './mutation.ts';

export const templateTargets: readonly Target[] = [
  {
    file: 'src/driver/guest.ts',
    tests: ['test/unit/driver-guest.test.ts'],
    mutations: [
      ['a system is not ready before its job has ended', 'Type=exec\n', 'Type=oneshot\n'],
      ['a system outlives a job that failed', 'FailureAction=exit-force\n', ''],
      ['a job begins before the services that it needs', 'After=multi-user.target\n', ''],
      ['a step that ignores SIGTERM outlives its unit', 'KillMode=mixed', 'KillMode=process'],
      [
        "a template's variables win over the profile's",
        '...engineEnvironmentOf(profile), ...own }',
        '...own, ...engineEnvironmentOf(profile) }',
      ],
      ['a job begins before the socket of its containers', 'After=${engineSocketUnit}', ''],
      ['a percent sign in a variable is expanded', ".replaceAll('%', '%%')", ''],
      ['a quote in a variable ends it', ".replaceAll('\"', '\\\\\"')", ''],
    ],
  },
  {
    file: 'src/driver/nspawn-unit.ts',
    tests: ['test/unit/driver-guest.test.ts'],
    mutations: [
      ['a system is killed where it should be asked to halt', "'--kill-signal=SIGRTMIN+3', ", ''],
      ['a system counts as up when its first process is', "'--notify-ready=yes', ", ''],
      ['every machine may call reboot', '...(boots ? bootCalls : [])', '...bootCalls'],
      ['no system can end', '...(boots ? bootCalls : [])', ''],
    ],
  },
  {
    file: 'src/driver/engine.ts',
    tests: ['test/unit/driver-guest.test.ts', 'test/unit/driver-container-unit.test.ts'],
    mutations: [
      ['every machine has the device of tunnels', 'return containers === undefined ? [] : containerDevices', 'return containerDevices'],
      ['images lie in an overlay', "containers !== undefined && overlaid.includes('var')", 'false'],
      ["everybody in the machine is the engine's root", 'SocketMode=0600', 'SocketMode=0666'],
      ['nobody asks containers how they are', "stages: ['poststart']", "stages: ['poststop']"],
    ],
  },
  {
    file: 'src/driver/engine-check.ts',
    tests: ['test/unit/engine-check.test.ts'],
    mutations: [
      ['a host is looked at for what no profile asks', 'if (asking.length === 0) return [];', ''],
      ['a device that is missing is not told', '.filter((_, index) => found[index] !== true)', '.filter(() => false)'],
    ],
  },
  {
    file: 'src/config/profiles.ts',
    tests: ['test/unit/config.test.ts'],
    mutations: [
      ['strangers run containers', "(containers === undefined ? 'accept' : 'refuse')", "'accept'"],
      [
        'containers are asked of machines that cannot',
        "template.kind === 'system' || template.kind === 'nixos') return engine",
        'true) return engine',
      ],
    ],
  },
  {
    file: 'src/driver/nix-daemon.ts',
    tests: ['test/unit/driver-guest.test.ts'],
    mutations: [
      ['a comment is a setting', '([a-z-]+)\\s*=([^#]*)/', '([a-z-]+)\\s*=(.*)/'],
      ['users that are added replace those before', "extra === '' ? named : [...users, ...named]", 'named'],
    ],
  },
  {
    file: 'src/driver/nix-daemon.ts',
    tests: ['test/integration/nix-settings.test.ts'],
    mutations: [
      ['what is included is not read', 'included === undefined ? line', "included === undefined ? line : within.length === 0 ? ''"],
      ['a file that is included is looked for in the root', 'resolvePath(dirname(path), included)', "resolvePath('/', included)"],
    ],
  },
  {
    file: 'src/daemon-ownership.ts',
    tests: ['test/integration/daemon-ownership.test.ts'],
    mutations: [
      ['who may write the configuration itself does not matter', 'looked(path, whole.includes(path))', 'looked(path, false)'],
      ['the way to a token does not matter', '[...whole, ...others]', 'whole'],
      ['each thing in a loose place is told by itself', 'faults.set(loose.path, fault)', 'faults.set(path, fault)'],
      [
        'a place that cannot be looked at ends the start',
        "if (!(error instanceof Error) || !('code' in error)) throw error;",
        'throw error;',
      ],
    ],
  },
  {
    file: 'src/ownership.ts',
    tests: ['test/integration/ownership.test.ts'],
    mutations: [
      ['a folder of everybody is as good as one of root', '?? modeFault(at, found);', ';'],
      ['a runner that others may write is well', 'if (last && !self) return', 'if (last) return'],
      ['where a link leads does not matter', '?? looseOf(join(resolve(folder, readlinkSync(at)), ...rest), self, links + 1)', ''],
    ],
  },
  {
    file: 'src/config/guarded.ts',
    tests: ['test/unit/config-secrecy.test.ts'],
    mutations: [
      ['a job may replace what another one is given', 'plain(source) !== root && within(plain(source), root)', 'false'],
      ['nothing may be bound twice', 'plain(source) !== root && within', 'within'],
      ['a job may replace the runner that the host asks', '(root) => within(plain(runnerPath), root)', '() => false'],
      ['a job may write into a template', '(root) => within(plain(template.path), root)', '() => false'],
      ['what jobs only read they could replace', '.filter((bind) => bind.writable)', ''],
    ],
  },
  {
    file: 'src/driver/nix-own.ts',
    tests: ['test/integration/nix-own.test.ts'],
    mutations: [
      ['builds want a sandbox that no machine has', "    'sandbox = false',\n", ''],
      ['root builds as users that are not there', "    'build-users-group =',\n", ''],
      ['what a template says is lost', 'included.map((path) => `!include ${path}`)', '[]'],
      [
        "the profile of Nix' installer counts for nothing",
        "'usr/local/bin/nix-store', usualProfile.slice(1)]",
        "'usr/local/bin/nix-store']",
      ],
      ['every template that there was keeps its database', '!wanted.has(name) && !drafts', 'wanted.size === 0 && !drafts'],
    ],
  },
  {
    file: 'src/driver/runner-pin.ts',
    tests: ['test/integration/runner-pin.test.ts'],
    mutations: [
      ['a runner is hashed once for all time', 'if (last?.identity === identity)', 'if (last !== undefined)'],
      ['a file of the same size and time is the same file', '[dev, ino, size, mtimeNs, ctimeNs]', '[dev, size, mtimeNs]'],
      [
        'every runner is the pinned one',
        'if (found === runnerSha256) return undefined;',
        'if (found.length === runnerSha256.length) return undefined;',
      ],
    ],
  },
  {
    file: 'src/driver/network.ts',
    tests: ['test/unit/driver-network.test.ts'],
    mutations: [
      ['any name server may be asked', '    meta l4proto { tcp, udp } th dport { 53, 853 } reject with icmpx admin-prohibited\n', ''],
      [
        'any name server may be asked over TCP',
        '    meta l4proto { tcp, udp } th dport { 53, 853 }',
        '    meta l4proto udp th dport { 53, 853 }',
      ],
    ],
  },
  {
    file: 'src/config/extra-hosts.ts',
    tests: ['test/unit/extra-hosts.test.ts'],
    mutations: [
      ['a name may bring another line along', 'name.length > 253 || !wholeName.test(name)', 'name.length > 253'],
      ['nobody is told that a name leads to a denied address', 'if (isIn(network.deny)) return', 'if (isIn([])) return'],
      ['a forge by its own name is taken for closed', 'known.has(name)', 'known.has(address)'],
    ],
  },
  {
    file: 'src/driver/hosts-file.ts',
    tests: ['test/unit/extra-hosts.test.ts'],
    mutations: [
      ['names of the template win over those of the profile', '${extra}${own}', '${own}${extra}'],
      ['localhost is told by the template', "filter((name) => name !== 'localhost')", 'filter(() => true)'],
    ],
  },
];
