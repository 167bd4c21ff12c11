// Promises nix/package.nix and the templates: what they ask for, that they refuse what cannot work, and that their phases, run by a plain bash
// over the very source that Nix copies, give programs that start. Only what nixpkgs itself would bring is missing.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { narHash } from '../../scripts/nar.ts';
import { readLock, readRuntime, runtimePart, selectRuntime } from '../../scripts/npm-hash.ts';
import { openFlake, runPhase, type FlakeScene } from './flake-scene.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const attribute = 'packages.x86_64-linux.forgejo-runner-controller';
let scene: FlakeScene;
beforeAll(async () => {
  scene = await openFlake();
});
afterAll(() => scene.end());

type Phases = { readonly src: string; readonly buildPhase: string; readonly installPhase: string };
const phasesOf = (of: string) =>
  scene.see(of, 'p: { src = "${p.src}"; inherit (p.given) buildPhase installPhase; check = p.given.installCheckPhase or ""; }') as Promise<
    Phases & { check: string }
  >;

/** A folder that Nix has copied, as it lies in the store of the test. */
const copied = (path: string, to: string): string => {
  cpSync(join(scene.home, 'store', path), to, { recursive: true });
  spawnSync('chmod', ['-R', 'u+w', to]);
  return to;
};

const packagesFor = (system: string) =>
  scene.see(
    `packages.${system}.default.runtimeDependencies`,
    'd: { inherit (d) outputHash outputHashMode; inherit (d.given) buildPhase dontFixup; }',
  );
const namesIn = async (of: string) =>
  (await scene.see(of, 'p: map (q: q.pname or q.name) (p.given.paths or p.given.packages)')) as string[];

/** What the last phase of the fixed output makes of an installation; once for all tests, for these are thousands of files. */
let installed: Promise<string> | undefined;
const runtimePackages = () => (installed ??= installPackages());
async function installPackages(): Promise<string> {
  const { src, installPhase } = await phasesOf(`${attribute}.runtimeDependencies`);
  const cwd = copied(src, join(scene.home, 'lock'));
  expect(readdirSync(cwd).toSorted()).toEqual(['package-lock.json', 'package.json']);
  selectRuntime(readLock(), root, cwd);
  mkdirSync(join(cwd, 'node_modules/.bin'));
  writeFileSync(join(cwd, 'node_modules/.bin/any'), '', { mode: 0o755 });
  writeFileSync(join(cwd, 'node_modules/.package-lock.json'), '{}');
  const out = join(scene.home, 'packages');
  // A move does what its copy does, in no time.
  runPhase(installPhase.replace('cp -r node_modules', 'mv node_modules'), cwd, { out });
  return out;
}

describe('the runtime packages', () => {
  test('they are one fixed output with the recorded hash, the same for both processors', async () => {
    const fixed = { outputHash: readRuntime().hash, outputHashMode: 'recursive', dontFixup: true };
    expect(await packagesFor('x86_64-linux')).toMatchObject(fixed);
    expect(await packagesFor('aarch64-linux')).toMatchObject(fixed);
    expect(await packagesFor('x86_64-linux')).toMatchObject({ buildPhase: expect.stringContaining('npm ci --omit=dev --ignore-scripts') });
  });

  test('what its last phase leaves of an installation has that hash, whatever npm puts beside the packages', async () => {
    expect(narHash(await runtimePackages())).toBe(readRuntime().hash);
  }, 60_000);

  test('with another lock they are refused until the hash is made anew; a lock that differs in development alone is taken', async () => {
    const lock = readLock();
    const first = Object.keys(runtimePart(lock))[0] ?? '';
    const withLock = (name: string, entry: object, at: string) => {
      const tree = scene.copyTree(name);
      writeFileSync(join(tree, 'package-lock.json'), JSON.stringify({ ...lock, packages: { ...lock.packages, [at]: entry } }));
      return scene.see(`${attribute}.runtimeDependencies`, 'd: d.outputHash', tree);
    };
    await expect(withLock('other', { version: '9.9.9', integrity: 'sha512-x' }, first)).rejects.toThrow('run scripts/update-npm-hash');
    expect(await withLock('dev', { version: '9.9.9', integrity: 'sha512-x', dev: true }, 'node_modules/new')).toBe(readRuntime().hash);
  });
});

describe('the package', () => {
  test("it is built by nixpkgs' esbuild and Node 24, and has the unit's flags of node", async () => {
    const seen = await scene.see(
      attribute,
      'p: { tools = map (t: t.pname or t.name) p.nativeBuildInputs; inherit (p) nodeFlags ESBUILD; }',
    );
    const unit = JSON.parse(readFileSync(join(root, 'nix/unit.json'), 'utf8')) as { Service: { ExecStart: string } };
    const [, flags = ''] = /^@node@ (.*) @program@/.exec(unit.Service.ExecStart) ?? [];
    expect(seen).toEqual({
      tools: ['nodejs', 'makeWrapper'],
      nodeFlags: flags.split(' '),
      ESBUILD: expect.stringMatching(/-esbuild-[\d.]+\/bin\/esbuild$/),
    });
  });

  test('the same tree gives the same derivation wherever it lies; tests and documents are no part of it, sources are', async () => {
    const paths = async (tree: string) => [
      await scene.see(attribute, 'p: p.drvPath', tree),
      await scene.see('packages.aarch64-linux.default', 'p: p.drvPath', tree),
    ];
    const [x86, arm] = await paths(join(scene.home, 'tree'));
    const elsewhere = scene.copyTree('elsewhere');
    for (const path of ['docs/new.md', 'test/new.ts', 'flake-notes']) {
      mkdirSync(dirname(join(elsewhere, path)), { recursive: true });
      writeFileSync(join(elsewhere, path), 'new');
    }
    expect(await paths(elsewhere)).toEqual([x86, arm]);
    expect(x86).not.toBe(arm);
    writeFileSync(join(elsewhere, 'src/new.ts'), 'export {};');
    expect(await paths(elsewhere)).not.toContain(x86);
  });

  test('its phases give both programs, their pages and completions; done twice, to the last bit the same', async () => {
    const { src, buildPhase, installPhase, check } = await phasesOf(attribute);
    const packages = await runtimePackages();
    // Store paths of what nixpkgs would bring, by what is here.
    const here = (script: string) =>
      script
        .replaceAll(/\/nix\/store\/[a-z0-9]+-nodejs-[\d.]+\/bin\/node\b/g, process.execPath)
        .replaceAll(/\/nix\/store\/[a-z0-9]+-forgejo-runner-controller-packages-[0-9a-f]+/g, packages)
        .replace('cp -r /', 'cp -rl /');
    // As in a sandbox: one after the other at the same place.
    const out = join(scene.home, 'out');
    const cwd = join(scene.home, 'build');
    const hashes = ['first', 'second'].map((name) => {
      spawnSync('rm', ['-rf', cwd]);
      copied(src, cwd);
      const env = {
        out,
        ESBUILD: realpathSync(join(root, 'node_modules/.bin/esbuild')),
        PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
      };
      for (const phase of [buildPhase, installPhase, check]) runPhase(here(phase), cwd, env);
      spawnSync('mv', [out, join(scene.home, name)]);
      return narHash(join(scene.home, name));
    });
    expect(hashes[1]).toBe(hashes[0]);
    const made = join(scene.home, 'first');
    const files = readdirSync(made, { recursive: true, encoding: 'utf8' }).filter((path) => !path.includes('chunks/'));
    for (const path of [
      'bin/forgejo-runner-controller',
      'bin/runner-status',
      'share/man/man1/runner-status.1',
      'share/man/man8/forgejo-runner-controller.8',
      'share/bash-completion/completions/runner-status',
      'share/zsh/site-functions/_runner-status',
      'share/fish/vendor_completions.d/runner-status.fish',
      'share/doc/forgejo-runner-controller/LICENSE',
    ])
      expect(files).toContain(path);
    const told = readFileSync(join(root, 'docs/RELEASES.md'), 'utf8');
    const cells = [...told.matchAll(/^\| [^|]+ \| ((?:bin|lib|share)\/[\w./, -]+?) \|/gm)].flatMap(([, cell = '']) => cell.split(', '));
    expect(cells.length).toBeGreaterThan(7);
    expect(cells.filter((cell) => !existsSync(join(made, cell)))).toEqual([]);
    const leaves = files.filter((path) => statSync(join(made, path)).isFile());
    expect(leaves.filter((path) => !cells.some((cell) => path === cell || (cell.endsWith('/') && path.startsWith(cell))))).toEqual([]);
    expect(files.filter((path) => path.endsWith('.map') || path.endsWith('.ts'))).toEqual([]);
    expect(existsSync(join(made, 'lib/forgejo-runner-controller/runner-status.js'))).toBe(true);
  }, 60_000);
});

describe('the templates', () => {
  const promised = [
    'forgejo-runner',
    'git',
    'bash',
    'coreutils',
    'curl',
    'jq',
    'nodejs',
    'cacert',
    'gnutar',
    'gzip',
    'xz',
    'gnumake',
    'gcc',
  ];

  test.each(['container-template', 'container-template-nixos'])(
    '%s has the runner and the tools that every job may count on',
    async (template) => {
      const inside = await namesIn(`packages.x86_64-linux.${template}`);
      expect(promised.filter((name) => !inside.includes(name))).toEqual([]);
    },
  );

  test.each([
    ['env.nix', '11.3.1', '12.8.2 or newer'],
    ['system.nix', '12.8.1', '12.8.2 or newer'],
    ['env.nix', '12.8.2', ''],
  ])('%s with a forgejo-runner %s: %j', async (file, version, refusal) => {
    const { code, stderr } = await scene.evaluate(
      `let pkgs = import nixpkgs { system = "x86_64-linux"; }; in (import (tree + "/nix/templates/${file}") { inherit pkgs; runner = pkgs.forgejo-runner // { version = "${version}"; }; }).drvPath`,
    );
    expect([code === 0, stderr.includes(refusal)]).toEqual([refusal === '', true]);
  });

  test("packages that a profile adds come before the common ones; a system takes a profile's modules", async () => {
    const { stdout, stderr } = await scene.evaluate(`let pkgs = import nixpkgs { system = "aarch64-linux"; }; in {
      first = (builtins.head (import (tree + "/nix/templates/env.nix") { inherit pkgs; extraPackages = [ pkgs.zip ]; }).given.paths).pname;
      system = (import (tree + "/nix/templates/system.nix") { inherit pkgs; modules = [ { services.postgresql.enable = true; } ]; }).given.own;
      foreign = (import (tree + "/nix/templates/system.nix") { inherit pkgs; }).config.programs.nix-ld.enable;
      container = (import (tree + "/nix/templates/system.nix") { inherit pkgs; }).config.boot;
    }`);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      first: 'zip',
      system: true,
      foreign: true,
      container: { isContainer: true, isNspawnContainer: true },
    });
  });

  test('a system builds with flakes and without a sandbox, in whatever store its machine has', async () => {
    const { stdout, stderr } = await scene.evaluate(`let
      pkgs = import nixpkgs { system = "x86_64-linux"; };
      inherit (import (tree + "/nix/templates/system.nix") { inherit pkgs; }) config;
    in { inherit (config.nix) settings; units = builtins.attrNames config.systemd.services or { }; }`);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({ settings: { 'experimental-features': ['nix-command', 'flakes'], sandbox: false }, units: [] });
  });
});
