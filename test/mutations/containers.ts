// Promises faults in what the driver nixos-container tells the host and takes for its own.

import type { Target } from './mutation.ts';

export const containerTargets: readonly Target[] = [
  {
    file: 'src/driver/container-unit.ts',
    tests: ['test/unit/driver-container-unit.test.ts'],
    mutations: [
      [
        'every container whose unit has drop-ins is ours',
        "?.[1] ?? '';\n  return isMachineId(id) ? id : undefined;",
        "?.[1] ?? '';\n  return id;",
      ],
      ['drop-ins of every controller are ours', '`50-forgejo-runner-${controllerId}.conf`', "'50-forgejo-runner.conf'"],
      ['a conf without our address is ours as long as nobody marked it', 'address === undefined || address === hostAddress', 'true'],
      ['the network of the CLI stays', "    ['PRIVATE_NETWORK', '0'],\n    ['HOST_ADDRESS', ''],\n", ''],
      ['newer hosts start no container', "    ['COPY_RESOLV_CONF', '0'],\n", ''],
      ['a conf that was cut off swallows our mark', "return ['', ...lines.map", 'return [...lines.map'],
      ['older hosts run jobs with the rights of root', '    `--private-users=${uidBase}:65536`,\n', ''],
      ['every job may speak to the daemon of Nix', "spec.profile.nixAccess === 'daemon' ? []", 'spec.profile.name ? []'],
      ['a path with a blank becomes two words', String.raw`/[\s*?[\]"'\\$`, String.raw`/[*?[\]"'\\$`],
      ['an ended machine is begun again', "    ['Restart', 'no'],\n", ''],
      ['a job that reboots its machine is run again', "    ['RestartForceExitStatus', ''],\n", ''],
      ['the root lies where the CLI removes it', '`root=${pathsOf(input.stateDir, input.spec.id).root}`', "'root='"],
      ['a percent sign in a name is a specifier', "name === 'CPUQuota' ? '%' : '%%'", "'%'"],
      [
        'the end of a machine is recorded of another unit',
        'unitPropertiesOf(input, containerUnitOf(input.spec.id))',
        'unitPropertiesOf(input)',
      ],
    ],
  },
  {
    file: 'src/config/driver.ts',
    tests: ['test/unit/config-driver.test.ts'],
    mutations: [
      ['every profile will do for containers', "if (template.kind === 'nixos') continue;", 'continue;'],
      ['the driver of a host that says nothing is another', "?? 'nspawn',", "?? 'nixos-container',"],
    ],
  },
];
