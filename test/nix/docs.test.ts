// Promises that every Nix example of the documents is true: it parses, it evaluates without a failed assertion, and what it renders loads in the
// service. Examples that are a part are tried beside the least that a service needs.

import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nextStepsOf } from '../../src/config/starter.ts';
import { evaluateAll, loadRendered, writeModules, type Evaluated } from '../support/nix-module.ts';
import { openNix } from '../support/nix.ts';

const root = new URL('../..', import.meta.url);
const blocksOf = (path: string) =>
  [...readFileSync(new URL(path, root), 'utf8').matchAll(/```nix\n([^`]+)```/g)].map((hit) => ({ path, text: hit[1] ?? '' }));
const blocks = ['docs/NIXOS.md', 'README.md'].flatMap(blocksOf);
const isFlake = (text: string) => /^ {2}outputs =/m.test(text);
const modules = blocks.filter(({ text }) => !isFlake(text));

/** Options of the two secrets managers, as far as the examples use them. */
const managers = `{ options = {
  age.secrets = lib.mkOption { default = { }; type = lib.types.attrsOf (lib.types.submodule ({ name, ... }: { options = {
    file = lib.mkOption { type = lib.types.path; }; path = lib.mkOption { type = lib.types.str; default = "/run/agenix/\${name}"; }; }; })); };
  sops.secrets = lib.mkOption { default = { }; type = lib.types.attrsOf (lib.types.submodule ({ name, ... }: { options = {
    restartUnits = lib.mkOption { type = lib.types.listOf lib.types.str; }; path = lib.mkOption { type = lib.types.str; default = "/run/secrets/\${name}"; };
  }; })); };
}; }`;
const least = `{ services.forgejo-runner-controller = {
  enable = lib.mkDefault true; tokenFile = lib.mkDefault "/run/t"; forges.least = { url = "https://forge.example.org"; scope.user = true; }; }; }`;
const isWhole = (text: string) =>
  /enable = true;/.test(text.replaceAll(/(?:services\.(?:forgejo|postgresql)|networking\.nat)\.enable = true;/g, ''));

let opened: Awaited<ReturnType<typeof openNix>>;
let all: ReadonlyMap<string, Evaluated>;
beforeAll(async () => {
  opened = await openNix();
  // Nix copies it: it is encrypted.
  await mkdir(join(opened.home, 'secrets'));
  await writeFile(join(opened.home, 'secrets/forge-token.age'), 'age-encryption.org/v1');
  const texts = modules.map(({ text }) => `{ imports = [ ${managers} ${isWhole(text) ? '' : least} (${text}) ]; }`);
  all = await evaluateAll(opened.nix, await writeModules(opened.home, 'examples.nix', texts));
});
afterAll(() => opened.end());

test('there are examples in both documents, and the flake parses', async () => {
  expect(blocks.map(({ path }) => path)).toEqual(expect.arrayContaining(['docs/NIXOS.md', 'README.md']));
  const flakes = blocks.filter(({ text }) => isFlake(text));
  expect(flakes.length).toBeGreaterThan(0);
  for (const [index, { text }] of flakes.entries()) {
    const file = join(opened.home, `flake-${index}.nix`);
    await writeFile(file, text);
    expect(await opened.nix('nix-instantiate', ['--parse', file])).toMatchObject({ code: 0 });
  }
});

describe.each(modules.map(({ path, text }, index) => [path, text.split('\n').slice(0, 6).join(' '), index] as const))(
  '%s: %s',
  (_, __, index) => {
    test('evaluates, and what it renders loads in the service', async () => {
      const found = all.get(String(index));
      expect(found?.failed).toEqual([]);
      const { unit, settings } = found ?? {};
      const config = settings === undefined || settings === null ? undefined : await loadRendered({ unit, settings });
      // A ready configuration is in a file that is not here.
      expect(config === undefined).toBe(/configFile = /.test(modules[index]?.text ?? ''));
      expect(config?.profiles.length).not.toBe(0);
    });
  },
);

test('the lines that init prints for NixOS mean what was said, whatever it is', async () => {
  const labels = ['a"b', '${builtins.abort "x"}', 'back\\slash', '$${x}', "''q''"];
  const scopes = [
    { kind: 'repository', owner: 'builders', name: 'website' },
    { kind: 'organization', name: 'builders' },
    { kind: 'user' },
    { kind: 'instance' },
  ] as const;
  const texts = scopes.map((scope) => {
    const steps = nextStepsOf({ url: 'https://forge.example.org/git', scope, labels, tokenFile: '/etc/token', file: '/x' });
    return /\n(\{\n {2}services[^]*\n\})\n/.exec(steps)?.[1] ?? '{ }';
  });
  const found = await evaluateAll(opened.nix, await writeModules(opened.home, 'init.nix', texts));
  const configs = await Promise.all([...found.values()].map(({ unit, settings }) => loadRendered({ unit, settings })));
  expect(configs.map(({ forges }) => forges[0]?.scope)).toEqual(scopes);
  for (const { forges, profiles } of configs)
    expect([forges[0]?.url, profiles[0]?.labels]).toEqual(['https://forge.example.org/git', labels]);
  expect([...found.values()].map(({ unit }) => unit?.serviceConfig['LoadCredential'])).toEqual(
    scopes.map(() => ['forge-forge:/etc/token']),
  );
});

test('the examples show every way to make a machine', async () => {
  const kinds = await Promise.all(
    [...all.values()].flatMap(({ unit, settings }) =>
      settings === undefined || settings === null ? [] : [loadRendered({ unit, settings })],
    ),
  );
  const shown = new Set(kinds.flatMap(({ profiles }) => profiles.map(({ template }) => template.kind)));
  expect(shown).toEqual(new Set(['nix-env', 'nixos', 'directory']));
});
