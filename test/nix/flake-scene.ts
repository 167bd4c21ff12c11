// Promises the flake of this tree, evaluated by the real Nix against a stand-in of nixpkgs (nixpkgs/): nothing is fetched and nothing is built.
// The tree is a copy of the files that git would hand to Nix, so a test may change it.

import { spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openNix, type NixEnded } from '../support/nix.ts';
import { copyTree } from '../support/tree-copy.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const systems = ['x86_64-linux', 'aarch64-linux'] as const;

export type FlakeScene = {
  readonly home: string;
  /** The copy of the tree; another one, to be changed, has a name. */
  readonly copyTree: (name: string) => string;
  readonly flake: (tree: string, verb: readonly string[], attribute?: string, more?: readonly string[]) => Promise<NixEnded>;
  /** What an expression over an attribute of the flake gives, as data. */
  readonly see: (attribute: string, apply: string, tree?: string) => Promise<unknown>;
  /** What an expression gives in which `nixpkgs` and `tree` are paths. */
  readonly evaluate: (expression: string, tree?: string) => Promise<NixEnded>;
  readonly end: () => Promise<void>;
};

function copyNixpkgs(to: string): void {
  const here = join(root, 'test/nix');
  cpSync(join(here, 'nixpkgs'), to, { recursive: true });
  cpSync(join(here, 'stub'), join(to, 'stub'), { recursive: true });
  cpSync(join(here, 'host.nix'), join(to, 'host.nix'));
}

export async function openFlake(): Promise<FlakeScene> {
  const { nix, home, end } = await openNix();
  const nixpkgs = join(home, 'nixpkgs');
  const tree = copyTree(join(home, 'tree'));
  copyNixpkgs(nixpkgs);
  const offline = ['--no-write-lock-file', '--override-input', 'nixpkgs', `path:${nixpkgs}`];
  const flake: FlakeScene['flake'] = (of, verb, attribute = '', more = []) =>
    nix('nix', [...verb, ...offline, `path:${of}${attribute}`, ...more]);
  return {
    home,
    copyTree: (name) => copyTree(join(home, name)),
    flake,
    async see(attribute, apply, of = tree) {
      const { code, stdout, stderr } = await flake(of, ['eval', '--json'], `#${attribute}`, ['--apply', apply]);
      if (code !== 0) throw new Error(`${attribute}: ${stderr}`);
      return JSON.parse(stdout) as unknown;
    },
    evaluate: (expression, of = tree) =>
      nix('nix-instantiate', [
        '--eval',
        '--strict',
        '--json',
        '--expr',
        `{ nixpkgs, tree }: ${expression}`,
        '--arg',
        'nixpkgs',
        nixpkgs,
        '--arg',
        'tree',
        of,
      ]),
    end,
  };
}

/** Runs a phase of a package by a plain bash, with what nixpkgs' own set-up would bring: hooks that do nothing, and `makeWrapper`. */
export function runPhase(script: string, cwd: string, env: Readonly<Record<string, string>>): string {
  const before = `set -euo pipefail
    runHook() { :; }
    makeWrapper() { mkdir -p "$(dirname "$2")"; printf '#!/usr/bin/env bash\\nexec %s %s "$@"\\n' "$1" "$4" >"$2"; chmod 755 "$2"; }
  `;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', before + script], { cwd, env: { ...process.env, ...env }, encoding: 'utf8' });
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}`);
  return stdout;
}
