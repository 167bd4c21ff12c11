// Promises the flake's outputs, its lock, and what non-flake users import, as far as an evaluation without nixpkgs shows them.

import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFlake, systems, type FlakeScene } from './flake-scene.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
let scene: FlakeScene;
let tree: string;
beforeAll(async () => {
  scene = await openFlake();
  tree = join(scene.home, 'tree');
});
afterAll(() => scene.end());

const perSystem = <T>(value: T) => Object.fromEntries(systems.map((system) => [system, value]));
const keysOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !('type' in value)
    ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, keysOf(inner)]))
    : true;

const says = (path: string, words: string) => readFileSync(join(root, path), 'utf8').includes(words);

describe('the flake', () => {
  test('every output is there for both systems, and no other', async () => {
    const { code, stdout, stderr } = await scene.flake(tree, ['flake', 'show', '--json']);
    expect([code, stderr.includes('error')]).toEqual([0, false]);
    const packages = { default: true, 'forgejo-runner-controller': true, 'runner-status': true, 'container-template': true };
    expect(keysOf(JSON.parse(stdout))).toEqual({
      packages: perSystem({ ...packages, 'container-template-nixos': true }),
      checks: perSystem({ package: true, 'module-eval': true, vm: true }),
      apps: perSystem({ default: true, demo: true }),
      devShells: perSystem({ default: true }),
      formatter: perSystem(true),
      nixosModules: { default: true, 'forgejo-runner-controller': true },
      overlays: { default: true },
    });
  });

  test('nix flake check finds nothing wrong in any of them', async () => {
    const { code, stderr } = await scene.flake(tree, ['flake', 'check', '--no-build']);
    expect([code, /error.*/s.exec(stderr)?.[0]]).toEqual([0, undefined]);
  });

  test('the packages are named, have their main programs, and are for Linux on both processors', async () => {
    const seen = await scene.see(
      'packages.aarch64-linux',
      'own: builtins.mapAttrs (_: p: [ p.system (p.version or "") (p.meta.mainProgram or "") (p.meta.platforms or [ ]) ]) { inherit (own) default forgejo-runner-controller runner-status; }',
    );
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(seen).toEqual({
      default: ['aarch64-linux', version, 'forgejo-runner-controller', systems],
      'forgejo-runner-controller': ['aarch64-linux', version, 'forgejo-runner-controller', systems],
      'runner-status': ['aarch64-linux', '', 'runner-status', systems],
    });
    const programs = await scene.see('apps.x86_64-linux', 'apps: builtins.mapAttrs (_: app: app.program) apps');
    expect(programs).toMatchObject({
      default: expect.stringMatching(/\/bin\/forgejo-runner-controller$/),
      demo: expect.stringMatching(/\/bin\/nixos-test-driver$/),
    });
  });

  test('the module makes a unit in a whole host, by either name and by both at once', async () => {
    const unit = await scene.see('checks.x86_64-linux.module-eval', 'check: check.given.text');
    expect(JSON.parse(String(unit))).toMatchObject({
      ExecStart: expect.stringMatching(/-forgejo-runner-controller-[\d.]+\/bin\/forgejo-runner-controller --config \/etc\//),
      LoadCredential: ['forge-forge:/run/secrets/forge-token'],
    });
    const names = await scene.see('nixosModules', 'modules: builtins.mapAttrs (_: m: map (p: baseNameOf p) m.imports) modules');
    expect(names).toEqual({ default: ['module.nix'], 'forgejo-runner-controller': ['module.nix'] });
  });

  test('the overlay adds the same packages to any nixpkgs', async () => {
    const seen = await scene.see('overlays.default', 'overlay: builtins.attrNames (overlay { callPackage = _: _: { }; } { })');
    expect(seen).toEqual(['container-template', 'container-template-nixos', 'forgejo-runner-controller', 'runner-status']);
  });

  test('the development shell has every tool that the scripts ask for', async () => {
    const tools = await scene.see('devShells.x86_64-linux.default', 'shell: map (p: p.name) shell.given.packages');
    const asked = ['lib', 'test', 'test-host'].flatMap((name) => [
      ...readFileSync(join(root, 'scripts', name), 'utf8').matchAll(/command -v ([a-z-]+)/g),
    ]);
    const brings: Readonly<Record<string, string>> = {
      node: 'nodejs',
      npm: 'nodejs',
      promtool: 'prometheus-tools',
      losetup: 'util-linux',
      'google-chrome': 'chromium',
    };
    // A system has its own apt-get or none.
    const wanted = new Set(asked.map(([, name = '']) => brings[name] ?? name).filter((name) => name !== 'apt-get'));
    expect(wanted.size).toBeGreaterThan(4);
    const names = JSON.stringify(tools);
    expect([...wanted, 'git', 'nixfmt'].filter((name) => !names.includes(`"${name}`))).toEqual([]);
  });
});

describe('the lock', () => {
  test('nix reads it without network: one input, by its hash, of the release that flake.nix names', async () => {
    const { nix, end } = await (await import('../support/nix.ts')).openNix();
    const { code, stdout, stderr } = await nix('nix', ['flake', 'metadata', '--json', '--no-update-lock-file', `path:${tree}`]);
    await end();
    expect([code, stderr]).toEqual([0, '']);
    const { locks } = JSON.parse(stdout) as { locks: unknown };
    expect(locks).toEqual(JSON.parse(readFileSync(join(root, 'flake.lock'), 'utf8')));
    expect(locks).toMatchObject({
      nodes: {
        nixpkgs: {
          locked: { narHash: expect.stringMatching(/^sha256-[\w+/]{43}=$/), rev: expect.stringMatching(/^[0-9a-f]{40}$/) },
          original: { ref: 'nixos-26.05' },
        },
        root: { inputs: { nixpkgs: 'nixpkgs' } },
      },
    });
    expect(readFileSync(join(root, 'flake.nix'), 'utf8')).toContain('"github:NixOS/nixpkgs/nixos-26.05"');
  });

  test('who uses no flakes gets the very same nixpkgs', async () => {
    const { stdout, stderr } = await scene.evaluate('builtins.scopedImport { fetchTarball = what: what; } (tree + "/nix/pinned.nix")');
    expect(stderr).toBe('');
    const { rev, narHash } = (
      JSON.parse(readFileSync(join(root, 'flake.lock'), 'utf8')) as { nodes: { nixpkgs: { locked: { rev: string; narHash: string } } } }
    ).nodes.nixpkgs.locked;
    expect(JSON.parse(stdout)).toEqual({ url: `https://github.com/NixOS/nixpkgs/archive/${rev}.tar.gz`, sha256: narHash });
  });
});

describe('default.nix and shell.nix', () => {
  test("they give packages, module and shell of a nixpkgs of one's own", async () => {
    const expression = `let own = import tree { pkgs = import nixpkgs { system = "x86_64-linux"; }; }; in
      { names = builtins.attrNames own; module = baseNameOf own.module; shell = own.shell.name; package = own.forgejo-runner-controller.drvPath;
        same = (import (tree + "/shell.nix") { pkgs = import nixpkgs { system = "x86_64-linux"; }; }).drvPath == own.shell.drvPath; }`;
    const { stdout, stderr } = await scene.evaluate(expression);
    expect(stderr).toBe('');
    const names = ['container-template', 'container-template-nixos', 'forgejo-runner-controller', 'module', 'runner-status', 'shell'];
    const drvPath = await scene.see('packages.x86_64-linux.default', 'p: p.drvPath');
    expect(JSON.parse(stdout)).toEqual({ names, module: 'module.nix', shell: 'shell', package: drvPath, same: true });
  });
});

describe('the test of a whole virtual machine', () => {
  test('its host evaluates, and its script has every case that is promised', async () => {
    const seen = await scene.see(
      'checks.x86_64-linux.vm',
      'vm: { inherit (vm) name; script = vm.given.testScript; inherit (vm.given) nodes; }',
    );
    const { name, script, nodes } = seen as { name: string; script: string; nodes: string };
    expect([name, Object.keys(JSON.parse(nodes) as object)]).toEqual([
      'vm-test-run-forgejo-runner-controller',
      ['forgejo-runner-controller'],
    ]);
    const cases = [...script.matchAll(/^with subtest\("([^"]+)"\):$/gm)].map(([, title = '']) => title).join('\n');
    for (const promised of [
      'succeeds',
      'fails',
      'cancelled',
      'over its time',
      'restart of the service',
      'power cut',
      'never more machines',
      'nothing of it stays',
    ])
      expect(cases).toContain(promised);
    const spoilt = join(scene.copyTree('spoilt'), 'nix/tests/vm.nix');
    appendFileSync(spoilt, '}');
    await expect(scene.see('checks.x86_64-linux.vm', 'vm: vm.name', join(scene.home, 'spoilt'))).rejects.toThrow('syntax error');
  });

  test('it says of itself that it has never run, and so does docs/ACCEPTANCE.md', () => {
    expect([says('nix/tests/vm.nix', 'IT HAS NEVER RUN'), says('docs/ACCEPTANCE.md', 'nix/tests/vm.nix has never run')]).toEqual([
      true,
      true,
    ]);
  });
});
