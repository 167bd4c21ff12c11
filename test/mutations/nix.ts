// Promises faults of the NixOS module, and of what the service learnt for it.

import type { Target } from './mutation.ts';

const module = ['test/nix/module.test.ts'];
const mistakes = ['test/nix/mistakes.test.ts'];

export const nixTargets: readonly Target[] = [
  {
    file: 'nix/module/unit.nix',
    tests: [...module, ...mistakes],
    mutations: [
      [
        'a secret is copied into the store on its way to the unit',
        '"${name}:${toString path}"',
        '"${name}:${if builtins.isPath path then "${path}" else toString path}"',
      ],
      ['the rendered configuration is for everybody', 'mode = "0640";', 'mode = "0644";'],
      ['every change of the configuration restarts', 'reloadTriggers = mkIf (!raw) [ file ];', ''],
      ['a token that may come later is waited for', '(_: forge: !forge.allowPending)', '(_: _: true)'],
      ['the service is not there when Forgejo is', 'wantedBy = words source.Install.WantedBy;', ''],
      ['a program of the driver is missing', '        pkgs.nftables\n', ''],
      ['what the build checks is not what is used', 'check-config --pending --config ${rendered}', '--version'],
    ],
  },
  {
    file: 'nix/module/settings.nix',
    tests: module,
    mutations: [
      ['the options win over settings', 'profiles = mkDefault byPriority;', 'profiles = lib.mkForce byPriority;'],
      ['profiles come by name alone', 'cfg.profiles.${a}.priority < cfg.profiles.${b}.priority', 'a < b'],
      ['binds are writable', 'writable = !bind.isReadOnly;', 'writable = bind.isReadOnly;'],
      ['with the daemon there is no nix', 'lib.optional (container.nix.access != "none") config.nix.package', '[ ]'],
      [
        'with a store of its own there is no nix',
        'lib.optional (container.nix.access != "none") config.nix.package',
        'lib.optional (container.nix.access == "daemon") config.nix.package',
      ],
      ['what is closed takes jobs', 'lib.mkForce 0', 'lib.mkForce 1'],
    ],
  },
  {
    file: 'nix/module/host.nix',
    tests: module,
    mutations: [
      ['the host lets machines reach any port of a forge elsewhere', 'lib.filter isHere (', 'lib.filter (_: true) ('],
      ['the wildcard is that of the other firewall', 'if nftables then "fr-*" else "fr-+"', 'if nftables then "fr-+" else "fr-*"'],
      ['forwarding is left to others', '"net.ipv4.conf.all.forwarding" = mkOverride 96 true;', ''],
    ],
  },
  {
    file: 'nix/module/assertions.nix',
    tests: mistakes,
    mutations: [
      ['a path literal is no fault', 'if builtins.isPath path then\n      fault true', 'if builtins.isPath path then\n      fault false'],
      ['loopback is reached from machines', 'fault (forge.url != null && isLoopback (reached forge))', 'fault false'],
    ],
  },
  {
    file: 'src/driver/network.ts',
    tests: ['test/unit/driver-network.test.ts'],
    mutations: [
      ['what is denied is reached', '    ip daddr @denied reject with icmpx admin-prohibited\n', ''],
      ['a machine with resolvers of its own asks those of the network, too', 'iifname @narrowed meta', 'iifname "none" meta'],
      [
        'only what is new has to leave by a named interface',
        '${group} oifname != @uplinks reject',
        '${group} ct state new oifname != @uplinks reject',
      ],
      ['a VPN that came up loses what is large', 'iifgroup ${group} tcp flags syn', 'oifgroup ${group} tcp flags syn'],
      [
        'what leaves is masked whatever was said',
        "network.masquerade ? hideChainOf(group, uplinks.length > 0) : ''",
        'hideChainOf(group, uplinks.length > 0)',
      ],
    ],
  },
  {
    file: 'src/driver/firewall.ts',
    tests: ['test/unit/driver-firewall.test.ts'],
    mutations: [
      ['a machine starts before its resolvers are in the rules', 'kept.upTo >= wanted', 'kept.upTo >= 0'],
      ['machines of the service before this one are forgotten', 'for (const [id, nameservers] of known) own.set(id, nameservers);', ''],
    ],
  },
  {
    file: 'src/core/admission.ts',
    tests: ['test/unit/plan.test.ts'],
    mutations: [['a closed service says that it is full', 'policy.maxConcurrent === 0;', 'policy.maxConcurrent < 0;']],
  },
  {
    file: 'src/driver/forge-addresses.ts',
    tests: ['test/unit/extra-hosts.test.ts'],
    mutations: [
      [
        'the way is open to loopback, where no machine goes',
        "!address.startsWith('127.'));\n  const looped",
        "address !== '');\n  const looped",
      ],
      ['a forge that machines are told of is taken for lost', '[...outside, ...known, ...asked]', '[...outside, ...asked]'],
    ],
  },
];
