// Promises how the doctor tells what it found: to a person, to a program, by its exit code; and what it makes of numbers that no test can bring
// about on a real host.

import { expect, test } from 'vitest';
import { forgeFindings } from '../../src/daemon-doctor.ts';
import { exitOf, faultAt, findingsOf, jsonOf, skippedAt, tableOf, wellAt } from '../../src/doctor.ts';
import { kernelFinding } from '../../src/driver/examination.ts';

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
