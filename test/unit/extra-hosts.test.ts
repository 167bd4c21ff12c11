// Promises the names of a profile's own: how they may be written, what each mistake says, when a name leads nowhere, and the file made of them.

import { expect, test } from 'vitest';
import type { HostName } from '../../src/core/addresses.ts';
import { extraHostsOf, hostsFileOf, hostsOfTemplate } from '../../src/driver/hosts-file.ts';
import { namesOf, resolveEndpoints } from '../../src/driver/forge-addresses.ts';
import { aProfile } from '../support/build.ts';
import { basicYaml, load, mistakeAt } from '../support/config-fixture.ts';

const withNames = (text: string, more = ''): string => `${basicYaml}profiles: [{labels: a, extraHosts: ${text}}]\n${more}`;
const git = { name: 'git.lan', address: '10.0.0.5' };

test.each([
  ['{git.lan: 10.0.0.5}', [git]],
  [
    '{GIT.lan: [10.0.0.5, "FD00::5", 10.0.0.5], up: host-gateway}',
    [git, { name: 'git.lan', address: 'fd00::5' }, { name: 'up', address: 'host-gateway' }],
  ],
  [
    '["git.lan:10.0.0.5", "six.lan=[fd00::5]", "seven.lan:fd00::7"]',
    [git, { name: 'six.lan', address: 'fd00::5' }, { name: 'seven.lan', address: 'fd00::7' }],
  ],
  ['{build_1.x-y.lan: 127.0.0.1}', [{ name: 'build_1.x-y.lan', address: '127.0.0.1' }]],
])('%s is understood', async (text, expected) => {
  const { profiles } = await load({ yaml: withNames(text) });
  expect(profiles[0]?.extraHosts).toEqual(expected);
});

test.each(['{}', '[]'])('%s is as nothing', async (text) => {
  const { profiles, warnings } = await load({ yaml: withNames(text) });
  expect(profiles[0]).not.toHaveProperty('extraHosts');
  expect(warnings.filter((one) => one.includes('extraHosts'))).toEqual([]);
});

test.each([
  ['profiles[0].extraHosts', '{10.0.0.5: git.lan}', 'an address in the place of a name: write the name first'],
  ['profiles[0].extraHosts', '{"git.lan\\n10.0.0.6 codeberg.org": 10.0.0.5}', 'write the name of a host such as git.lan'],
  ['profiles[0].extraHosts', '{"git lan": 10.0.0.5}', 'write the name of a host'],
  ['profiles[0].extraHosts', '{"git.lan # x": 10.0.0.5}', 'write the name of a host'],
  ['profiles[0].extraHosts', '{-x: 10.0.0.5}', 'write the name of a host'],
  ['profiles[0].extraHosts', `{${'a'.repeat(64)}: 10.0.0.5}`, 'write the name of a host'],
  ['profiles[0].extraHosts', '{localhost: 10.0.0.5}', 'is every machine itself: leave it out'],
  ['profiles[0].extraHosts.git.lan', '{git.lan: 10.0.0}', 'write an IPv4 or IPv6 address such as 10.0.0.5, or host-gateway'],
  ['profiles[0].extraHosts.git.lan', '{git.lan: "10.0.0.5 codeberg.org"}', 'write an IPv4 or IPv6 address'],
  ['profiles[0].extraHosts.git.lan', '{git.lan: "10.0.0.5\\n"}', 'write an IPv4 or IPv6 address'],
  ['profiles[0].extraHosts.git.lan', '{git.lan: "fe80::1%eth0"}', 'write an IPv4 or IPv6 address'],
  ['profiles[0].extraHosts.git.lan', '{git.lan: []}', 'is an empty list'],
  ['profiles[0].extraHosts.git.lan', '{git.lan: null}', 'is nothing: write an IPv4'],
  ['profiles[0].extraHosts[0]', '[git.lan]', 'write a name and its address: git.lan:10.0.0.5'],
  ['profiles[0].extraHosts[1]', '["git.lan:10.0.0.5", "x.lan:"]', 'is nothing: write an IPv4'],
  ['profiles[0].extraHosts', 'git.lan', 'write a list'],
])('%s as %s is refused: %s', async (path, text, words) => {
  expect(await mistakeAt(path, { yaml: withNames(text) })).toContain(words);
});

const about = async (text: string, more = ''): Promise<readonly string[]> =>
  (await load({ yaml: withNames(text, more) })).warnings.filter((one) => one.includes('extraHosts'));

test.each([
  ['a private address', '{git.lan: 10.0.0.5}', '', 'name it in network.allow'],
  ['a metadata service', '{git.lan: 169.254.169.254}', '', 'name it in network.allow'],
  ['a denied address', '{git.lan: 203.0.114.5}', 'network: {deny: [203.0.114.0/24]}', 'network.deny'],
  [
    'one that is denied and allowed',
    '{git.lan: 10.0.0.5}',
    'network: {deny: [10.0.0.0/30, 10.0.0.5], allow: [10.0.0.0/8]}',
    'network.deny',
  ],
  ['an IPv6 address', '{git.lan: "2001:db8::5"}', '', 'machines have IPv4 only'],
  ['the host, of which nothing is open', '{git.lan: host-gateway}', '', 'network.openPorts'],
])('%s is warned of, for a name opens nothing', async (_, text, more, words) => {
  const found = await about(text, more);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(/^profiles\[0\]\.extraHosts\.git\.lan: /);
  expect(found[0]).toContain(words);
});

test.each([
  ['of the internet', '{git.lan: 9.9.9.9}', ''],
  ['that is allowed', '{git.lan: 10.0.0.5}', 'network: {allow: [10.0.0.0/24]}'],
  ['of the forge, which is open anyway', '{forge.example.org: 10.0.0.5}', ''],
  ['of the forge on this host', '{forge.example.org: host-gateway}', ''],
  ['of a resolver', '{dns.lan: 10.0.0.53}', 'network: {nameservers: [10.0.0.53]}'],
  ['that may be of this host, with a port of it open', '{git.lan: 10.0.0.5, up.lan: host-gateway}', 'network: {openPorts: [3000]}'],
  ['that is meant to lead nowhere', '{a.org: 0.0.0.0, b.org: 127.0.0.1, c.org: "::", d.org: "::1"}', ''],
])('one %s is not', async (_, text, more) => {
  expect(await about(text, more)).toEqual([]);
});

const pool = { first: '192.168.100.0', last: '192.168.199.255', prefix: 24 };

test('a machine knows itself first, then the names of its profile, then those of its template', () => {
  const names = [git, { name: 'up.lan', address: 'host-gateway' }];
  expect(hostsFileOf('j0000001abc', extraHostsOf(names, pool, 3), '10.1.1.1 own.lan\n')).toBe(
    '127.0.0.1 localhost j0000001abc\n::1 localhost\n10.0.0.5 git.lan\n192.168.103.10 up.lan\n10.1.1.1 own.lan\n',
  );
  expect(hostsFileOf('j0000001abc', extraHostsOf(undefined, pool, 3))).toBe('127.0.0.1 localhost j0000001abc\n::1 localhost\n');
});

test("of a template's own file comments and localhost are left out, and all else stays", () => {
  const text = '# made\n127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # loop\n\n  10.1.1.1   a.lan b.lan\n127.0.1.1';
  expect(hostsOfTemplate(text)).toBe('::1 ip6-localhost\n10.1.1.1 a.lan b.lan\n');
  expect(hostsOfTemplate('')).toBe('');
});

/** Where machines find these URLs, and what is told of the rest. */
async function endpoints(urls: readonly string[], extraHosts: readonly HostName[] = []) {
  const said: string[] = [];
  const log = {
    warn: (_event: unknown, facts?: Record<string, unknown>, message = '') => void said.push(`${String(facts?.['url'])} ${message}`),
  };
  const names = namesOf([aProfile({ extraHosts }), aProfile()]);
  return { found: await resolveEndpoints(urls, { names, resolvers: [], log }), said };
}

// Names that nobody is asked for, since they are none.
test('the way to a forge is opened to the address that machines are told, whatever this host knows of its name', async () => {
  const told = ['10.0.0.5', 'fd00::5', 'host-gateway'].map((address) => ({ name: 'git..lan', address }));
  const { found, said } = await endpoints(['http://git..lan:3000/x', 'https://192.0.2.1', 'http://no..lan'], told);
  expect(found).toEqual([
    { address: '10.0.0.5', port: 3000 },
    { address: 'host-gateway', port: 3000 },
    { address: '192.0.2.1', port: 443 },
  ]);
  expect(said).toEqual([expect.stringMatching(/^http:\/\/no\.\.lan a forge name has no IPv4 address here/)]);
});

test('a forge name that is loopback here is no way for machines, unless they are told another address', async () => {
  const { found, said } = await endpoints(['http://localhost:3000']);
  expect([found, said]).toEqual([[], [expect.stringMatching(/loopback on this host.*extraHosts/)]]);
  expect(await endpoints(['http://localhost:3000'], [{ name: 'localhost', address: '10.0.0.5' }])).toEqual({
    found: [{ address: '10.0.0.5', port: 3000 }],
    said: [],
  });
});
