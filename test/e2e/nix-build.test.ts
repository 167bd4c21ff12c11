// Promises that the real Nix builds our package to its end, as default.nix gives it: with Debian's programs and a plain bash in place of
// nixpkgs (test/nix/nixpkgs), and everything else as it is. Built twice it is the same to the last bit.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readlink, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashOf, lockDigest, readLock, readRuntime, selectRuntime } from '../../scripts/npm-hash.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
/** Bound into the host by scripts/test. */
const programs = '/opt/nix';
let folder = '';

async function nix(program: string, ...args: readonly string[]): Promise<string> {
  const config = 'build-users-group =\nsandbox = false\nsubstituters =\nexperimental-features = nix-command\n';
  const env = {
    PATH: `${programs}/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: folder,
    NIX_CONF_DIR: folder,
    NIX_CONFIG: config,
    NIX_LIBEXEC_DIR: `${programs}/libexec`,
  };
  return (await run(join(programs, 'bin', program), args, { env, cwd: folder, maxBuffer: 64 * 1024 * 1024 })).stdout.trim();
}
const built = (attribute: string, ...more: readonly string[]) => {
  const here = `{ node = "${process.execPath}"; esbuild = "${realpathSync(join(root, 'node_modules/.bin/esbuild'))}"; }`;
  const pkgs = `import ${folder}/nixpkgs { system = builtins.currentSystem; programs = ${here}; }`;
  return nix('nix-build', root, '--no-out-link', '--arg', 'pkgs', pkgs, '-A', attribute, ...more);
};

describe.runIf(existsSync(programs))('the package, built by Nix', () => {
  beforeAll(async () => {
    if (existsSync('/nix')) throw new Error('/nix is there already; these tests want a host without Nix');
    folder = await mkdtemp(join(tmpdir(), 'frc-nix-build-'));
    await cp(join(root, 'test/nix/nixpkgs'), join(folder, 'nixpkgs'), { recursive: true });
    await cp(join(root, 'test/nix/stub'), join(folder, 'nixpkgs/stub'), { recursive: true });
    await cp(join(root, 'test/nix/host.nix'), join(folder, 'nixpkgs/host.nix'));
  });
  afterAll(async () => {
    await run('bash', ['-c', 'chattr -R -f -i /nix/store; rm -rf /nix']).catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  });

  test('the packages that npm brings have the very path that the fixed output asks for', async () => {
    selectRuntime(readLock(), root, folder);
    const name = `forgejo-runner-controller-packages-${lockDigest(readLock()).slice(0, 12)}`;
    await mkdir(join(folder, 'fixed'));
    await rename(join(folder, 'node_modules'), join(folder, 'fixed', name));
    expect(hashOf(join(folder, 'fixed', name))).toBe(readRuntime().hash);
    const added = await nix('nix-store', '--add-fixed', '--recursive', 'sha256', join(folder, 'fixed', name));
    // Nothing is built, and this host has no network to install from: it is there already.
    expect(await built('forgejo-runner-controller.runtimeDependencies')).toBe(added);
  });

  test('both programs start from its store path, which needs nothing at run time but node', async () => {
    const out = await built('forgejo-runner-controller');
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    for (const program of ['forgejo-runner-controller', 'runner-status'])
      expect((await run(join(out, 'bin', program), ['--version'], { env: {} })).stdout).toBe(`${program} ${version}\n`);
    const needed = (await nix('nix-store', '--query', '--references', out))
      .split('\n')
      .map((path) => path.replace(/^\/nix\/store\/[0-9a-z]{32}-/, ''));
    expect(needed.toSorted()).toEqual([`forgejo-runner-controller-${version}`, expect.stringMatching(/^nodejs-/)]);
  });

  test('built once more it is the same to the last bit', async () => {
    await expect(built('forgejo-runner-controller', '--check')).resolves.toMatch(/^\/nix\/store\//);
  });

  test('runner-status alone is a part of it, with its page and completions', async () => {
    const out = await built('runner-status');
    const of = await built('forgejo-runner-controller');
    for (const path of ['bin/runner-status', 'share/man/man1/runner-status.1', 'share/bash-completion/completions/runner-status'])
      expect(await readlink(join(out, path))).toBe(join(of, path));
    expect((await run(join(out, 'bin/runner-status'), ['--version'], { env: {} })).stdout).toContain('runner-status ');
  });

  test('the environment of a machine has what the driver and every program look for in /etc and /lib64', async () => {
    const out = await built('container-template');
    const read = (path: string) => readFileSync(join(out, path), 'utf8');
    expect(read('etc/passwd')).toBe('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/var/empty:/bin/false\n');
    expect(read('etc/group')).toBe('root:x:0:\nnogroup:x:65534:\n');
    expect(read('etc/nsswitch.conf')).toBe('hosts: files dns\n');
    expect(read('etc/os-release')).toMatch(/^ID=nixos\nNAME=NixOS\nPRETTY_NAME="[^"]+"\nVERSION_ID="[\d.]+"\n$/);
    expect(await readdir(join(out, 'lib64'))).toEqual([expect.stringMatching(/^ld-linux/)]);
    expect(await readdir(join(out, 'bin'))).toContain('node');
  });
});
