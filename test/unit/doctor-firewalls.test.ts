// Promises what the doctor makes of other people's firewalls, as nft lists them.

import { expect, test } from 'vitest';
import { firewallFindings } from '../../src/driver/examination-network.ts';

type Rule = readonly Readonly<Record<string, unknown>>[];
type Chain = { readonly name?: string; readonly hook?: string; readonly policy?: string; readonly rules?: readonly Rule[] };

const from = (name: string) => ({ match: { op: '==', left: { meta: { key: 'iifname' } }, right: name } });

/** As `nft -j list ruleset` has it. */
function listed(family: string, table: string, chains: readonly Chain[]): unknown {
  const entries = chains.flatMap(({ name = 'FORWARD', hook, policy = 'accept', rules = [] }) => [
    { chain: { family, table, name, handle: 1, ...(hook === undefined ? {} : { type: 'filter', hook, prio: 0, policy }) } },
    ...rules.map((expr) => ({ rule: { family, table, chain: name, handle: 2, expr } })),
  ]);
  return { nftables: [{ metainfo: { version: '1.0.6' } }, { table: { family, name: table } }, ...entries] };
}

const forward = (more: Partial<Chain> = {}): Chain => ({ hook: 'forward', ...more });
const accept = { accept: null };
const docker = [forward({ policy: 'drop', rules: [[from('docker0'), accept]] }), { name: 'DOCKER-USER' }];

test.each([
  ['Docker', listed('ip', 'filter', docker), 'chain FORWARD of ip filter', 'iptables -I DOCKER-USER -i fr-+'],
  [
    'one that knows machines elsewhere',
    listed('ip', 'filter', [forward({ policy: 'drop' }), { name: 'INPUT', hook: 'input', rules: [[from('fr-*'), accept]] }]),
    'chain FORWARD of ip filter',
    'what comes from fr-*',
  ],
  ['a policy', listed('inet', 'mine', [forward({ name: 'pass', policy: 'drop' })]), 'chain pass of inet mine', 'what comes from fr-*'],
  [
    'firewalld',
    listed('inet', 'firewalld', [
      forward({
        name: 'filter_FORWARD',
        rules: [
          [from('eth0'), accept],
          [{ counter: {} }, { reject: { type: 'icmpx' } }],
        ],
      }),
    ]),
    'chain filter_FORWARD of inet firewalld',
    'what comes from fr-*',
  ],
])('%s that drops what it forwards is told with what to do', (_, ruleset, what, remedy) => {
  const found = firewallFindings(ruleset);
  expect(found).toMatchObject([{ area: 'host', name: 'firewalls', state: 'warning' }]);
  expect(found[0]?.sentence).toContain(what);
  expect(found[0]?.remedy).toContain(remedy);
});

test.each([
  ['no rules at all', { nftables: [{ metainfo: {} }] }],
  [
    'one that lets machines pass',
    listed('ip', 'filter', [
      forward({ policy: 'drop', rules: [[{ jump: { target: 'DOCKER-USER' } }]] }),
      { name: 'DOCKER-USER', rules: [[{ jump: { target: 'FORWARD' } }], [from('fr-*'), accept]] },
    ]),
  ],
  ['one for IPv6', listed('ip6', 'filter', [forward({ policy: 'drop' })])],
  ['one for what comes to the host', listed('ip', 'filter', [{ name: 'INPUT', hook: 'input', policy: 'drop' }])],
  ['one that drops some', listed('inet', 'mine', [forward({ rules: [[from('eth1'), { drop: null }]] })])],
  ['our own', listed('inet', 'forgejo-runner-ci-1', [forward({ name: 'through-host', policy: 'drop' })])],
])('%s is well', (_, ruleset) => {
  expect(firewallFindings(ruleset)).toMatchObject([{ state: 'ok' }]);
});

test.each([undefined, null, 'x', {}, { nftables: 'x' }])('%j is no list, and nothing is known', (ruleset) => {
  expect(firewallFindings(ruleset)).toMatchObject([{ state: 'skipped' }]);
});
