// Promises that docs/OPTIONS.md is what the module says, that the example of every option works, and that every Nix file of the tree is one.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { optionsFile, optionsQuery, optionsTextOf } from '../../scripts/nix-options.ts';
import { evaluateAll, writeModules } from '../support/nix-module.ts';
import { openNix } from '../support/nix.ts';

const root = new URL('../..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const option = z.object({
  name: z.string(),
  description: z.string(),
  type: z.string(),
  default: z.string().nullable(),
  example: z.string().nullable(),
});

let opened: Awaited<ReturnType<typeof openNix>>;
let options: readonly z.infer<typeof option>[];
beforeAll(async () => {
  opened = await openNix();
  const { code, stdout, stderr } = await opened.nix('nix-instantiate', optionsQuery);
  if (code !== 0) throw new Error(`the options do not evaluate:\n${stderr}`);
  options = z.array(option).parse(JSON.parse(stdout));
});
afterAll(() => opened.end());

test('docs/OPTIONS.md has every option of the module as it is: `npm run options` writes it', () => {
  expect(options.length).toBeGreaterThan(60);
  expect(read(optionsFile)).toBe(optionsTextOf(options));
});

test('every option says what it is for, in whole sentences, and all that a person must set has an example', () => {
  expect(options.filter(({ description }) => !/^[A-Z][^]{15,}[.:]\s*$|^Whether [^]*\.$|^Its port\.$/.test(description))).toEqual([]);
  for (const name of ['tokenFile', 'forges', 'forges.<name>.url', 'forges.<name>.scope', 'profiles', 'configFile', 'settings'])
    expect(options.find((one) => one.name === name)?.example).toBeTruthy();
});

test('every example is a value that its option takes', async () => {
  const given = options.filter(({ example }) => example !== null);
  expect(given.length).toBeGreaterThan(20);
  const modules = given.map(({ name, example }) => {
    const path = name.replaceAll('<name>', '"x"').replaceAll(/bindMounts\."x"/g, 'bindMounts."/x"');
    return `{ services.forgejo-runner-controller.${path} = ${example ?? ''}; }`;
  });
  const found = await evaluateAll(opened.nix, await writeModules(opened.home, 'examples.nix', modules));
  expect(found.size).toBe(given.length);
});

test('every Nix file of the tree parses', async () => {
  const listed = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.nix'], {
    cwd: root,
    encoding: 'utf8',
  });
  const files = listed.split('\0').filter((path) => path !== '');
  expect(files).toContain('module.nix');
  const { code, stderr } = await opened.nix('nix-instantiate', ['--parse', ...files]);
  expect([code, stderr]).toEqual([0, '']);
});
