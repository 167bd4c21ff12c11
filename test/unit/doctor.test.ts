// Promises how the doctor tells what it found: to a person, to a program, by its exit code; and what it makes of numbers that no test can bring
// about on a real host.

import { expect, test } from 'vitest';
import { forgeFindings, nameserversFinding, reachFinding } from '../../src/daemon-doctor.ts';
import { webhookFinding } from '../../src/daemon-doctor-webhook.ts';
import { exitOf, faultAt, findingsOf, jsonOf, skippedAt, tableOf, wellAt } from '../../src/doctor.ts';
import { ControllerError } from '../../src/errors.ts';
import { kernelFinding } from '../../src/driver/examination.ts';
import { nixFinding, systemdFinding } from '../../src/driver/known-versions.ts';
import { aNetwork } from '../support/build.ts';

const place = { area: 'host', name: 'kernel' };
const well = wellAt(place, 'Linux 6.1 has idmapped mounts.');
const warning = faultAt({ area: 'profile big', name: 'template' }, { what: 'There is no git', remedy: 'install git' }, 'warning');
const failed = faultAt({ area: 'forge home', name: 'server' }, { what: 'It said \u001b[2J' });

test('a table has a line for each finding, its remedy below it, and the sum; nothing in it moves the cursor', () => {
  expect(tableOf([well, warning, failed, skippedAt(place, 'Not asked.')])).toEqual([
    'ok       host         kernel    Linux 6.1 has idmapped mounts.',
    'WARNING  profile big  template  There is no git.',
    '                                -> install git',
    'FAILED   forge home   server    It said \\u001b[2J.',
    'skipped  host         kernel    Not asked.',
    '',
    '1 failed, 1 warning, 1 skipped, 1 ok',
  ]);
});

test('only a failure makes the exit code 1, and JSON says the same', () => {
  expect(exitOf([])).toBe(0);
  expect(exitOf([well, warning, skippedAt(place, 'Not asked.')])).toBe(0);
  expect(exitOf([failed, well])).toBe(1);
  expect(JSON.parse(jsonOf([well, warning]))).toEqual({ ok: true, findings: [well, warning] });
  expect(JSON.parse(jsonOf([failed]))).toMatchObject({ ok: false, findings: [{ state: 'failed', remedy: null }] });
});

test('a look that cannot be finished is a failure of its own', async () => {
  expect(await findingsOf(place, () => Promise.resolve([well]))).toEqual([well]);
  expect(await findingsOf(place, () => Promise.reject(new Error('EACCES: /proc/x')))).toMatchObject([
    { ...place, state: 'failed', sentence: expect.stringContaining('EACCES: /proc/x') as string },
  ]);
});

test.each([
  ['5.11.22-generic', 'failed'],
  ['4.19.0', 'failed'],
  ['5.12.0', 'ok'],
  ['6.1.0-18-amd64', 'ok'],
])('Linux %s is %s', (version, state) => {
  expect(kernelFinding(version)).toMatchObject({ state, sentence: expect.stringContaining(version) as string });
});

test.each([
  [undefined, 'skipped', 'did not say'],
  [30_000, 'ok', '30 s apart'],
  [-30_000, 'ok', '30 s apart'],
  [31_000, 'warning', '31 s ahead of'],
  [-90_000, 'warning', '90 s behind'],
])('a clock that is %s ms ahead is %s', (aheadMs, state, words) => {
  const forge = { name: 'home', url: 'https://forge.example.org', tokenFile: '/etc/token' };
  const seen = { version: '16.0.1', reading: 'ok', writing: 'ok', ...(aheadMs === undefined ? {} : { aheadMs }) } as const;
  const clock = forgeFindings(forge, seen).find(({ name }) => name === 'clock');
  expect(clock).toMatchObject({ state, sentence: expect.stringContaining(words) as string });
});

test.each([
  ['/etc/forgejo-runner-controller/token', 'put it into /etc/forgejo-runner-controller/token'],
  [
    '/run/credentials/forgejo-runner-controller.service/forge-token',
    'put it into the file that LoadCredential=forge-token: of its unit names',
  ],
])('a new token for %s goes where a person can write it', (tokenFile, words) => {
  const refused = new ControllerError('FORGE_UNAUTHORIZED', 'No.', { details: { scope: 'read:organization' } });
  const seen = { version: '16.0.1', reading: refused, writing: undefined } as const;
  const found = forgeFindings({ name: 'home', url: 'https://forge.example.org', tokenFile }, seen);
  expect(found.find(({ name }) => name === 'right to read')?.remedy).toContain(words);
});

test.each([
  ['systemd 252 (252.39-1~deb12u1)', 'warning', '252.39-1~deb12u1 may have CVE-2026-40226'],
  ['systemd 257 (257.11)', 'warning', 'CVE'],
  ['systemd 257 (257.12-1)', 'ok', '257.12-1'],
  ['systemd 258 (258.5)', 'warning', 'CVE'],
  ['systemd 258 (258.10)', 'ok', '258.10'],
  ['systemd 259 (259.4)', 'ok', '259.4'],
  ['systemd 260', 'ok', '260'],
  ['systemd 261 (261~rc1)', 'ok', '261'],
  ['what is this', 'warning', 'does not say its version'],
])('%s is %s', (said, state, words) => {
  const found = systemdFinding(said);
  expect(found).toMatchObject({ state, sentence: expect.stringContaining(words) as string });
  expect(found.remedy?.includes('260, 259.4, 258.6 or 257.12') ?? true).toBe(true);
});

test.each([
  ['nix-daemon (Nix) 2.8.0', 'warning', '2.8.0 may have CVE-2026-39860'],
  ['nix-daemon (Nix) 2.31.3', 'warning', 'jobs of big may ask it'],
  ['nix-daemon (Nix) 2.31.4', 'ok', '2.31.4'],
  ['nix-daemon (Nix) 2.27.9', 'warning', 'CVE'],
  ['nix-daemon (Nix) 2.34.5', 'ok', '2.34.5'],
  ['nix-daemon (Nix) 3.0', 'ok', '3.0'],
  ['nix-daemon (Lix, like Nix) 2.93.0', 'ok', 'Nothing is known'],
])('%s is %s', (said, state, words) => {
  expect(nixFinding(said, ['big'])).toMatchObject({ area: 'host', state, sentence: expect.stringContaining(words) as string });
  expect(nixFinding(said, []).sentence.includes('no profile lets jobs ask it')).toBe(state === 'warning');
});

test.each([
  [{ status: 200 }, 'ok', 'A machine reaches it'],
  [{ status: 404 }, 'ok', 'A machine reaches it'],
  [{ status: 502 }, 'failed', 'is answered 502'],
  [{ code: 'ENOTFOUND', resolvers: ['192.0.2.1'] }, 'failed', 'machines ask 192.0.2.1; set network.nameservers'],
  [{ code: 'ENORESOLVER', resolvers: [] }, 'failed', 'there is no resolver'],
  [{ code: 'ECONNREFUSED', resolvers: [] }, 'failed', 'firewalls'],
  [{ code: 'ECONNREFUSED', resolvers: [] }, 'failed', 'listens on loopback alone'],
  [{ code: 'ETIMEDOUT', resolvers: [] }, 'failed', 'firewalls'],
  [{ code: 'ENETUNREACH', resolvers: [] }, 'failed', 'machines have IPv4 only'],
  [{ code: 'DEPTH_ZERO_SELF_SIGNED_CERT', resolvers: [] }, 'warning', 'trust the authority that signed'],
  [undefined, 'skipped', 'not asked'],
] as const)('%j from a machine is %s', (reached, state, words) => {
  const { sentence, remedy, ...rest } = reachFinding({ area: 'forge home', name: 'from a machine' }, 'https://forge.example.org', reached);
  expect(rest).toEqual({ area: 'forge home', name: 'from a machine', state });
  expect(`${sentence} ${remedy ?? ''}`).toContain(words);
});

const remedyWith = (network: Parameters<typeof aNetwork>[0]) =>
  reachFinding(place, 'https://forge.example.org', { code: 'EHOSTUNREACH', resolvers: [] }, aNetwork(network)).remedy;

test('a forge that no machine reaches may be beyond another uplink, or know no way back to the pool', () => {
  expect(remedyWith({ externalInterface: ['wg0'], masquerade: true })).toMatch(/one of network\.externalInterface$/);
  expect(remedyWith({ externalInterface: [], masquerade: false })).toMatch(/way back to network\.pool$/);
  expect(remedyWith({ externalInterface: [], masquerade: true })).toMatch(/may differ$/);
});

/** A resolver that knows no name of a local network. */
const look = async (name: string, nameservers: readonly string[]) => {
  expect(nameservers).toEqual(['10.1.2.53']);
  if (name.endsWith('.lan')) throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
};

const foundFor = (forges: readonly string[], nameservers?: readonly string[]) =>
  nameserversFinding({ name: 'big', ...(nameservers === undefined ? {} : { nameservers }) }, forges, look);

test("resolvers of a profile's own are asked for every forge; one that they do not know is a warning with its reason", async () => {
  const names = ['forge.lan', 'forge.example.org'];
  expect(await foundFor(names)).toEqual([]);
  expect(await foundFor(names.slice(1), ['10.1.2.53'])).toMatchObject([{ area: 'profile big', name: 'nameservers', state: 'ok' }]);
  expect(await foundFor(names, ['10.1.2.53'])).toMatchObject([
    {
      state: 'warning',
      sentence: 'Asked from this host, 10.1.2.53 tell no address of forge.lan (ENOTFOUND).',
      remedy: expect.stringContaining('leave them out') as string,
    },
  ]);
});

test('names that a profile knows by its extraHosts are not asked for', async () => {
  const extraHosts = [{ name: 'forge.lan', address: '10.0.0.5' }];
  const found = await nameserversFinding({ name: 'big', nameservers: ['10.1.2.53'], extraHosts }, ['forge.lan', 'forge.example.org'], look);
  expect(found).toMatchObject([{ state: 'ok' }]);
});

test.each([
  [{ status: 405, code: 'METHOD_NOT_ALLOWED' }, 'ok', 'leads to this service'],
  [{ status: 401, code: 'TOKEN_MISSING' }, 'ok', 'leads to this service'],
  [{ status: 421, code: 'HOST_REFUSED' }, 'failed', '`Host: localhost`'],
  [{ status: 502, code: undefined }, 'warning', 'answers 502, and it is not this service'],
  [{ status: 200, code: undefined }, 'warning', 'let the proxy pass this path'],
  [{ code: 'ECONNREFUSED' }, 'warning', 'is not reached from here (ECONNREFUSED)'],
])('a webhook whose address answers %j is %s', (answer, state, words) => {
  const found = webhookFinding({ area: 'forge home', name: 'webhook' }, 'https://ci.example.org/webhook/home', answer);
  expect(found).toMatchObject({ area: 'forge home', name: 'webhook', state });
  expect(`${found.sentence} ${found.remedy ?? ''}`).toContain(words);
});
