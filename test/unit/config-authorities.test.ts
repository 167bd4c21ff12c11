// The authorities that a forge's certificate must be signed by: looked at when the configuration is read.

import { expect, test } from 'vitest';
import { loadConfig, renderConfig } from '../../src/config/config.ts';
import { createAuthority } from '../support/certificates.ts';
import { basicYaml, goodToken, hostWith, load, mistakeAt } from '../support/config-fixture.ts';

const withCa = (url = 'https://forge.example.org'): string =>
  basicYaml.replace('https://forge.example.org', url).replace('tokenFile', 'caFile: /etc/ca.pem, tokenFile');
const [one, two] = [createAuthority('one').certificate, createAuthority('two').certificate];

test('all certificates of caFile are taken, nothing else that stands there, and what check-config prints loads to the same', async () => {
  const files = { '/etc/ca.pem': { text: `# of this house\n${one}\nof that house:\n${two}`, mode: 0o644 } };
  const config = await load({ yaml: withCa(), files });
  expect(config.forges[0]?.ca).toEqual({ file: '/etc/ca.pem', pem: `${one.trim()}\n${two.trim()}` });
  expect(config.warnings.join()).not.toContain('caFile');
  expect((await load({ yaml: renderConfig(config), files })).forges).toEqual(config.forges);
  expect((await load({ yaml: basicYaml })).forges[0]).not.toHaveProperty('ca');
});

test.each([
  ['is not there', undefined, 'cannot be read (ENOENT): create the file'],
  ['is empty', '', 'holds no certificate: put the certificate of whoever signed'],
  ['is no PEM', Buffer.from(one, 'base64').toString('latin1'), 'holds no certificate'],
  ['was cut', one.split('\n').toSpliced(2, 1).join('\n'), 'as number 1 of 1'],
  ['holds rubbish behind a certificate', `${one}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----`, 'as number 2 of 2'],
  ['holds a key', createAuthority('a').issue(['b']).key + one, 'holds a private key (not shown)'],
  ['has no end', one.repeat(3_000), 'is larger than 1048576 bytes'],
])('a caFile that %s is a mistake with its remedy', async (_what, text, sentence) => {
  const mistake = await mistakeAt('forges[0].caFile', { yaml: withCa(), files: text === undefined ? {} : { '/etc/ca.pem': text } });
  expect(mistake).toContain(sentence);
});

test('a caFile of a forge without TLS is a mistake: it would protect nothing', async () => {
  const mistake = await mistakeAt('forges[0].caFile', { yaml: withCa('http://forge.example.org'), files: { '/etc/ca.pem': one } });
  expect(mistake).toContain('http://forge.example.org speaks no TLS');
});

test('where a system is built, a file of its host is not asked for', async () => {
  const host = hostWith({ '/run/token': goodToken, '/etc/frc.yaml': { text: withCa(), mode: 0o640 } });
  const { forges } = await loadConfig({ env: {}, file: '/etc/frc.yaml', host, guarded: [], pending: true });
  expect(forges[0]).not.toHaveProperty('ca');
});
