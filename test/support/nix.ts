// Promises the real Nix, brought by scripts/lib when this machine has none of its own, that evaluates without network: each use has a store,
// a home and settings of its own, which are gone when the test is over.

import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export type NixEnded = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs one of nix's programs (`nix`, `nix-instantiate`, `nix-store`, ...) in the root of the tree, or where it is told. */
export type Nix = (program: string, args: readonly string[], options?: { readonly cwd?: string }) => Promise<NixEnded>;

function run(program: string, args: readonly string[], options: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv }) {
  return new Promise<NixEnded>((resolve) => {
    execFile(program, args, { ...options, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** The folder with the programs; the first time in a tree it is fetched. */
async function nixFolder(): Promise<string> {
  const { code, stdout, stderr } = await run('bash', ['-c', '. scripts/lib && bring_nix'], { cwd: root });
  if (code === 0) return stdout.trim();
  throw new Error(`Nix cannot be had: ${stderr}`);
}

/** For `beforeAll`: remove the home afterwards with `end`. */
export async function openNix(): Promise<{ readonly nix: Nix; readonly home: string; readonly end: () => Promise<void> }> {
  const folder = await nixFolder();
  const home = await mkdtemp(join(tmpdir(), 'frc-nix-'));
  const { PATH = '', LANG = 'C.UTF-8' } = process.env;
  const env = {
    PATH,
    LANG,
    HOME: home,
    XDG_CACHE_HOME: join(home, 'cache'),
    NIX_CONF_DIR: join(home, 'none'),
    NIX_CONFIG: 'experimental-features = nix-command flakes\nsubstituters =\nwarn-dirty = false\nbuild-users-group =\n',
    NIX_REMOTE: `local?root=${home}/store`,
    // A tree that belongs to another user is read all the same.
    GIT_CONFIG_COUNT: '1',
    GIT_CONFIG_KEY_0: 'safe.directory',
    GIT_CONFIG_VALUE_0: '*',
  };
  const nix: Nix = (program, args, options = {}) => run(join(folder, program), args, { cwd: options.cwd ?? root, env });
  return { nix, home, end: () => removeStore(home) };
}

// What lies in a store has no right to be written to, its folders neither.
async function removeStore(home: string): Promise<void> {
  await run('chmod', ['-R', 'u+w', home], { cwd: root });
  await rm(home, { recursive: true, force: true });
}
