// Promises that the unit which is installed by hand and the one of the NixOS module have one source, and that the file is what it says.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { unitFile, unitSource, unitTextOf } from '../../scripts/unit-file.ts';

test('contrib/systemd has the unit that nix/unit.json says; `npm run unit` writes it', () => {
  expect(readFileSync(new URL(`../../${unitFile}`, import.meta.url), 'utf8')).toBe(unitTextOf(unitSource()));
});

test('a comment on what is not there and a place that nobody knows are told, not written', () => {
  const source = unitSource();
  expect(() => unitTextOf({ ...source, Comments: { 'Service.Gone': ['x'] } })).toThrow('Service.Gone');
  expect(() => unitTextOf({ Comments: {}, Unit: {}, Service: { ExecStart: '@nowhere@' }, Install: {} })).toThrow('@nowhere@');
});

test('nothing of the unit runs with more rights than the service, no step comes before it, and the token is a credential', () => {
  const { Service } = unitSource();
  expect(Object.keys(Service).filter((name) => name.startsWith('Exec'))).toEqual(['ExecStart', 'ExecReload']);
  expect(
    Object.values(Service)
      .flat()
      .filter((value) => /^[@:-]*[+!]/.test(value)),
  ).toEqual([]);
  expect(Service['LoadCredential']).toEqual(['forge-token:@token@']);
  expect(unitTextOf(unitSource())).not.toMatch(/^Environment|PassEnvironment|EnvironmentFile/m);
});

test('of programs the shipped unit needs node and the shell alone: a small host has no kill of procps', () => {
  const text = readFileSync(new URL(`../../${unitFile}`, import.meta.url), 'utf8');
  const started = [...text.matchAll(/^Exec\w+=(\S+)/gm)].map((hit) => hit[1]);
  expect(started).toEqual(['/usr/bin/node', '/bin/sh']);
});
