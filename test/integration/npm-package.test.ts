// Promises what `npm pack` makes: both programs whole, with their pages and completions and nothing else, and nothing to be fetched when it is
// installed on a plain machine.

import { execFile, spawnSync, type ExecFileException } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyTree } from '../support/tree-copy.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'frc-npm-package-'));
const tree = join(scratch, 'tree');
const prefix = join(scratch, 'prefix');
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function run(program: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  return new Promise((resolve, reject) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string): void =>
      error === null ? resolve(stdout) : reject(new Error(`${program} ${args.join(' ')}: ${stderr}${stdout}`));
    execFile(program, args, { cwd, env }, done);
  });
}

type Packed = {
  readonly filename: string;
  readonly version: string;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
};
let packed: Packed;
const node = { PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
const manifest = readFileSync(join(root, 'package.json'), 'utf8');
const manifestNow = () => readFileSync(join(tree, 'package.json'), 'utf8');
const order = (word: string) => run(process.execPath, ['scripts/packed-manifest.ts', word], tree);

beforeAll(async () => {
  copyTree(tree);
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  [packed] = JSON.parse(await run('npm', ['pack', '--json', '--silent'], tree)) as [Packed];
  // A home of its own, with an empty cache: whatever it asked for it could not get.
  await run('npm', ['install', '--offline', '--global', '--prefix', prefix, join(tree, packed.filename)], scratch, {
    ...process.env,
    HOME: scratch,
    npm_config_cache: join(scratch, 'cache'),
  });
});

describe('the package of npm pack', () => {
  test('it has both programs, their pages and completions, the unit, the example and the licence, and nothing else', () => {
    const kinds = packed.files.map(({ path }) => path.replace(/^dist\/chunks\/.*\.js$/, 'dist/chunks/*.js'));
    expect([...new Set(kinds)].filter((path) => !/^dist\/(?:man|completions)\//.test(path)).toSorted()).toEqual([
      'LICENSE',
      'README.md',
      'config.example.yaml',
      'contrib/systemd/forgejo-runner-controller.service',
      'dist/chunks/*.js',
      'dist/forgejo-runner-controller.js',
      'dist/runner-status.js',
      'package.json',
    ]);
    for (const page of ['man1/runner-status.1', 'man8/forgejo-runner-controller.8']) expect(kinds).toContain(`dist/man/${page}`);
    expect(kinds.filter((path) => path.startsWith('dist/completions/'))).toHaveLength(3);
  });

  test('installed on a machine without network it brings no other package, and both programs start', async () => {
    expect(readdirSync(join(prefix, 'lib/node_modules'))).toEqual(['forgejo-runner-controller']);
    expect(readdirSync(join(prefix, 'lib/node_modules/forgejo-runner-controller'))).not.toContain('node_modules');
    for (const program of ['forgejo-runner-controller', 'runner-status'])
      expect(await run(join(prefix, 'bin', program), ['--version'], scratch, node)).toBe(`${program} ${packed.version}\n`);
  });

  test('with a Node that is too old both say so in one line, with the one that is needed, and systemd does not try again', async () => {
    const older = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"18.19.1"}})';
    for (const program of ['forgejo-runner-controller', 'runner-status']) {
      const path = join(prefix, 'lib/node_modules/forgejo-runner-controller/dist', `${program}.js`);
      const { status, stderr } = spawnSync(process.execPath, ['--import', older, path, '--version'], { encoding: 'utf8' });
      expect([status, stderr.trim().split('\n')]).toEqual([3, [expect.stringMatching(/this is Node 18\.19\.1 .* needs 24 or newer/)]]);
    }
  });

  test('docs/RELEASES.md tells all that is in it', () => {
    const rows = [...readFileSync(join(root, 'docs/RELEASES.md'), 'utf8').matchAll(/^\| ([\w./, -]+?) \|.*\|$/gm)];
    const told = rows.flatMap(([, cell = '']) => cell.split(', '));
    const within = (path: string) => told.some((one) => path === one || (one.endsWith('/') && path.startsWith(one)));
    expect(packed.files.map(({ path }) => path).filter((path) => !within(path))).toEqual([]);
    expect(told.filter((one) => /[./]/.test(one) && !packed.files.some(({ path }) => path === one || path.startsWith(one)))).toEqual([]);
  });

  test('its pages lie where man looks', () => {
    expect(readlinkSync(join(prefix, 'share/man/man1/runner-status.1'))).toContain('dist/man/man1/runner-status.1');
  });

  test('its manifest asks for nothing, and that of the tree is as before, also after a packing that was cut off', async () => {
    const own = JSON.parse(readFileSync(join(prefix, 'lib/node_modules/forgejo-runner-controller/package.json'), 'utf8')) as object;
    for (const key of ['dependencies', 'devDependencies', 'scripts', 'private']) expect(own).not.toHaveProperty(key);
    expect(own).toMatchObject({ license: 'MIT', engines: { node: '>=24' } });
    expect(manifestNow()).toBe(manifest);
    await order('slim');
    await order('slim');
    expect(manifestNow()).not.toBe(manifest);
    await order('restore');
    await order('restore');
    expect(manifestNow()).toBe(manifest);
  });
});
