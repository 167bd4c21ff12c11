// Promises the texts for `ip -batch` and `nft -f`, as data: who may reach what is read off here without a host.

import { describe, expect, test } from 'vitest';
import { wayIn } from '../../src/driver/network-host.ts';
import { hostBatchOf, isIpv4, linkGroupOf, machineBatchOf, nameserversOf, rulesOf, tableOf } from '../../src/driver/network.ts';
import { resolversIn, tellOfResolvers } from '../../src/driver/resolvers.ts';
import { aNetwork, aProfile } from '../support/build.ts';

const network = aNetwork();
const link = { controllerId: 'main', id: 'j0000001abc', slot: 2, network, mtu: 1400 };

describe('a link', () => {
  test('is made in one batch on the host: namespace, marked pair, address', () => {
    expect(hostBatchOf(link).trim().split('\n')).toEqual([
      'netns add forgejo-runner-main-j0000001abc',
      `link add fr-j0000001abc mtu 1400 group ${linkGroupOf('main')} type veth peer name eth0 mtu 1400 netns forgejo-runner-main-j0000001abc`,
      'link set fr-j0000001abc alias forgejo-runner-controller:main addrgenmode none',
      'addr add 192.168.102.10/24 dev fr-j0000001abc',
      'link set fr-j0000001abc up',
    ]);
  });

  test('is finished in one batch inside, without any IPv6 address', () => {
    expect(machineBatchOf(link).trim().split('\n')).toEqual([
      'link set lo up',
      'link set eth0 addrgenmode none',
      'addr add 192.168.102.11/24 dev eth0',
      'link set eth0 up',
      'route add default via 192.168.102.10',
    ]);
  });

  test('smaller subnets take their first two usable addresses', () => {
    expect(machineBatchOf({ slot: 1, network: { ...network, prefix: 30 } })).toContain('addr add 192.168.100.6/30');
  });

  test('groups of two controllers differ, and are never the default group', () => {
    expect(linkGroupOf('main')).not.toBe(linkGroupOf('other'));
    for (const id of ['a', 'b', 'main', 'x-1']) expect(linkGroupOf(id)).toBeGreaterThan(0);
    for (const id of ['a', 'b', 'main', 'x-1']) expect(linkGroupOf(id)).toBeLessThan(2 ** 31);
  });
});

describe('the rules', () => {
  const rules = rulesOf({
    controllerId: 'main',
    network: { ...network, allow: ['10.1.0.0/16'], deny: ['203.0.114.0/24'], openPorts: [5000] },
    endpoints: [
      { address: '10.9.0.1', port: 3000 },
      { address: '10.9.0.1', port: 3000 },
    ],
    nameservers: ['10.2.0.1', 'fe80::1'],
  });

  test('replace our one table in one transaction', () => {
    expect(rules.split('\n').slice(0, 3)).toEqual([
      'table inet forgejo-runner-main',
      'delete table inet forgejo-runner-main',
      'table inet forgejo-runner-main {',
    ]);
  });

  test('hold each set once, IPv4 only, and leave out empty ones', () => {
    expect(rules).toContain('set forges { type ipv4_addr . inet_service; elements = { 10.9.0.1 . 3000 }; }');
    expect(rules).toContain('set resolvers { type ipv4_addr; elements = { 10.2.0.1 }; }');
    expect(rules).toContain('elements = { 10.1.0.0/16 }');
    expect(rulesOf({ controllerId: 'main', network, endpoints: [], nameservers: [] })).not.toMatch(/elements = \{ {2}\}/);
  });

  test('every base chain lets go of what is not ours before it drops anything (I6)', () => {
    const group = linkGroupOf('main');
    for (const name of ['to-host', 'through-host']) {
      const chain = rules.slice(rules.indexOf(`chain ${name}`), rules.indexOf('}\n', rules.indexOf(`chain ${name}`)));
      const lines = chain.split('\n').map((line) => line.trim());
      const release = lines.indexOf(`iifgroup != ${group} accept`);
      expect(release).toBeGreaterThan(0);
      for (const line of lines.slice(2, release)) expect(line).toContain(`ifgroup ${group}`);
    }
  });

  const chainOf = (name: string): string => rules.slice(rules.indexOf(`chain ${name} {`)).split('\n  }')[0] ?? '';

  test('a forged sender is dropped before anything else is decided', () => {
    expect(chainOf('genuine')).toContain('ip saddr != @pool drop');
    expect(chainOf('genuine')).toContain('fib saddr . iif oif missing drop');
    for (const name of ['to-host', 'through-host']) {
      const chain = chainOf(name);
      expect(chain.indexOf('jump genuine')).toBeGreaterThan(0);
      expect(chain.indexOf('jump genuine')).toBeLessThan(chain.indexOf('established,related accept'));
      expect(chain.indexOf('jump genuine')).toBeLessThan(chain.indexOf('jump reachable'));
    }
  });

  test('names are asked of the resolvers and of what is allowed, and of nobody else', () => {
    const lines = chainOf('through-host')
      .split('\n')
      .map((line) => line.trim());
    const at = (line: string): number => lines.indexOf(line);
    expect(chainOf('reachable')).toContain('ip daddr @resolvers meta l4proto { tcp, udp } th dport 53 accept');
    expect(at('jump reachable')).toBeGreaterThan(0);
    expect(at('ip daddr @allowed accept')).toBeGreaterThan(at('jump reachable'));
    const refusal = 'meta l4proto { tcp, udp } th dport { 53, 853 } reject with icmpx admin-prohibited';
    expect(at(refusal)).toBe(at('ip daddr @allowed accept') + 1);
  });

  test('metadata, private, carrier and multicast ranges are refused', () => {
    for (const range of ['169.254.0.0/16', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '224.0.0.0/4']) {
      expect(rules).toContain(range);
    }
  });

  test('what is denied is refused before anything that is allowed, and after the forge and the resolvers', () => {
    expect(rules).toContain('elements = { 203.0.114.0/24 }');
    const lines = chainOf('through-host')
      .split('\n')
      .map((line) => line.trim());
    const denied = lines.indexOf('ip daddr @denied reject with icmpx admin-prohibited');
    expect(denied).toBeGreaterThan(lines.indexOf('jump reachable'));
    expect(denied).toBeLessThan(lines.indexOf('ip daddr @allowed accept'));
  });

  test('with interfaces named, what leaves by another one is refused before all that is established, and only what leaves by them is masked', () => {
    const [named, plain] = [{ ...network, externalInterface: ['eth0', 'wg0'] }, network].map((each) =>
      rulesOf({ controllerId: 'main', network: each, endpoints: [], nameservers: [] }),
    );
    const refusal = `iifgroup ${linkGroupOf('main')} oifname != @uplinks reject with icmpx admin-prohibited`;
    expect(named).toContain('set uplinks { type ifname; elements = { "eth0", "wg0" }; }');
    expect(named).toContain(`oifgroup != ${linkGroupOf('main')} oifname @uplinks masquerade`);
    const through = named?.slice(named.indexOf('chain through-host')) ?? '';
    expect(through.indexOf(refusal)).toBeGreaterThan(through.indexOf('drop'));
    expect(through.indexOf(refusal)).toBeLessThan(through.indexOf('established'));
    expect(plain).not.toContain('@uplinks');
  });

  test('a forge of this host is reached by its port at the address that the host has for the machine, and nowhere else', () => {
    const here = [{ address: 'host-gateway', port: 3300 }];
    const text = rulesOf({ controllerId: 'main', network, endpoints: here, nameservers: [] });
    expect(text).toContain('set forges-here { type inet_service; elements = { 3300 }; }');
    expect(text).toContain('set forges { type ipv4_addr . inet_service; }');
    expect(chainOf('to-host')).toContain('ip daddr @pool tcp dport @forges-here accept');
    expect(chainOf('through-host')).not.toContain('forges-here');
  });

  test('what connects is told the size of packets that its way takes, and nobody else is (I6)', () => {
    const lines = chainOf('fit')
      .split('\n')
      .slice(2)
      .map((line) => line.trim());
    expect(chainOf('fit')).toContain('type filter hook forward priority mangle; policy accept;');
    expect(lines).toEqual([`iifgroup ${linkGroupOf('main')} tcp flags syn tcp option maxseg size set rt mtu`]);
  });

  test('without masquerade nothing is masked, and all the rest of the rules is the same', () => {
    const open = rulesOf({ controllerId: 'main', network: { ...network, masquerade: false }, endpoints: [], nameservers: [] });
    const masked = rulesOf({ controllerId: 'main', network, endpoints: [], nameservers: [] });
    expect(open).not.toMatch(/masquerade|postrouting/);
    expect(masked.startsWith(open.replace(/\}\n$/, ''))).toBe(true);
  });

  test('a machine with resolvers of its own asks them alone, whatever the network has, allows or opens', () => {
    const input = { controllerId: 'main', network: { ...network, allow: ['10.1.0.0/16'] }, endpoints: [], nameservers: ['9.9.9.9'] };
    const own = rulesOf(input, new Map([['j0000001abc', ['10.2.0.1', '::1']], ['j0000002def', []]])); // prettier-ignore
    expect(own).toContain('set narrowed { type ifname; elements = { "fr-j0000001abc", "fr-j0000002def" }; }');
    expect(own).toContain('set own-resolvers { type ifname . ipv4_addr; elements = { "fr-j0000001abc" . 10.2.0.1 }; }');
    const refusal =
      'iifname @narrowed meta l4proto { tcp, udp } th dport { 53, 853 } iifname . ip daddr != @own-resolvers reject with icmpx admin-prohibited';
    // With the checks of the sender, so before everything that lets through, an open flow of the slot's last machine included.
    expect(chainOf('genuine')).toContain(refusal);
    expect(chainOf('reachable')).toContain('iifname . ip daddr @own-resolvers meta l4proto { tcp, udp } th dport 53 accept');
  });

  test('a table name is what nft takes', () => {
    expect(tableOf('a b.c')).toBe('forgejo-runner-a_b_c');
  });
});

test.each([
  ['nameserver 127.0.0.53\nnameserver 192.0.2.1\n', ['192.0.2.1']],
  ['# nameserver 1.2.3.4\n  nameserver 9.9.9.9 \nnameserver ::1\n', ['9.9.9.9']],
  ['search example.org\n', []],
])('resolvers that a machine can use: %j', (text, expected) => {
  expect(nameserversOf(text)).toEqual(expected);
});

test.each([
  ['9.9.9.9 via 192.0.2.1 dev eth0 src 192.0.2.2 uid 0 \n    cache \n', { name: 'eth0' }],
  ['9.9.9.9 dev wg0 table 51820 src 10.2.0.2 uid 0 \n    cache mtu 1380 \n', { name: 'wg0', mtu: 1380 }],
  ['9.9.9.9 via 10.0.0.1 dev tun0 src 10.0.0.2 uid 0 \n    cache mtu lock 1370 \n', { name: 'tun0', mtu: 1370 }],
  ['local 9.9.9.9 dev lo src 9.9.9.9 uid 0 \n    cache <local> \n', undefined],
  ['', undefined],
])('the way to the internet is read off %j', (said, expected) => {
  expect(wayIn(said)).toEqual(expected);
});

test('machines ask their host where there is no resolver that they can reach, and that is told unless every profile has its own', () => {
  expect(resolversIn(2, [], network)).toEqual(['192.168.102.10']);
  expect(resolversIn(2, ['9.9.9.9'], network)).toEqual(['9.9.9.9']);
  const said: string[] = [];
  const log = { warn: (_event: unknown, _facts?: unknown, message = '') => void said.push(message) };
  const own = aProfile({ nameservers: ['10.1.2.53'] });
  tellOfResolvers(['9.9.9.9'], [aProfile()], log);
  tellOfResolvers([], [own], log);
  expect(said).toEqual([]);
  tellOfResolvers([], [own, aProfile()], log);
  expect(said).toEqual([
    expect.stringMatching(/name no IPv4 resolver but loopback's.*: let its resolver listen .* or set network\.nameservers\.$/),
  ]);
});

test.each([
  ['1.2.3.4', true],
  ['256.1.1.1', false],
  ['1.2.3', false],
  ['::1', false],
])('%s is IPv4: %s', (text, expected) => {
  expect(isIpv4(text)).toBe(expected);
});
