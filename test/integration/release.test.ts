// Promises scripts/release on a real repository: it refuses what is not ready, tags what is, moves tags forward only, and pushes all or nothing.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/release', import.meta.url));
let folder: string;
let repository: string;

type Ended = { readonly code: number | null; readonly said: string };
function run(program: string, args: readonly string[], cwd = repository): Ended {
  const who = Object.fromEntries(
    ['AUTHOR', 'COMMITTER'].flatMap((role) => [
      [`GIT_${role}_NAME`, 'a'],
      [`GIT_${role}_EMAIL`, 'a@example.org'],
    ]),
  );
  const own = { ...who, HOME: folder, GIT_CONFIG_NOSYSTEM: '1' };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8', env: { ...process.env, ...own } });
  return { code: status, said: stdout + stderr };
}
const git = (...args: readonly string[]) => run('git', args).said.trim();
const release = (...args: readonly string[]) => run(script, args);

function write(version: string, changelog = `## [Unreleased]\n\n## [${version}] - 2026-11-21\n\n- What is new in ${version}.\n`): void {
  const manifest = { name: 'x', version };
  writeFileSync(join(repository, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(repository, 'package-lock.json'), JSON.stringify({ version, packages: { '': manifest } }));
  writeFileSync(join(repository, 'CHANGELOG.md'), `# Changelog\n\n${changelog}`);
}
function commit(version: string, changelog?: string): string {
  write(version, changelog);
  git('add', '-A');
  git('commit', '-q', '-m', version);
  return git('rev-parse', 'HEAD');
}
/** The commit that each tag stands at. */
const tags = (from = repository) =>
  Object.fromEntries(
    run('git', ['for-each-ref', '--format=%(refname:short) %(objectname) %(*objectname)', 'refs/tags'], from)
      .said.trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const [name = '', own = '', peeled = ''] = line.split(' ');
        return [name, peeled === '' ? own : peeled];
      }),
  );

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'frc-release-'));
  repository = join(folder, 'tree');
  run('git', ['init', '-q', '-b', 'main', repository], folder);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
});

describe('a release', () => {
  test('what is not ready is refused with what is missing, and nothing is tagged', () => {
    commit('0.1.0', '## [Unreleased]\n\n- All of it.\n');
    expect(release('0.1')).toMatchObject({ code: 1, said: expect.stringContaining('"0.1" is no version') });
    expect(release('0.1.0')).toMatchObject({ code: 1, said: expect.stringContaining('no section [0.1.0]') });
    expect(release('0.2.0')).toMatchObject({ code: 1, said: expect.stringContaining('package.json says version 0.1.0, not 0.2.0') });
    commit('0.1.0', '## [Unreleased]\n\n## [0.1.0]\n\n- All of it.\n');
    expect(release('0.1.0')).toMatchObject({ code: 1, said: expect.stringContaining('has no day') });
    commit('0.1.0', '## [Unreleased]\n\n## [0.1.0] - 2026-11-21\n');
    expect(release('0.1.0')).toMatchObject({ code: 1, said: expect.stringContaining('says nothing of 0.1.0') });
    commit('0.1.0');
    writeFileSync(join(repository, 'stray'), '');
    expect(release('0.1.0')).toMatchObject({ code: 1, said: expect.stringContaining('not clean:\n?? stray') });
    rmSync(join(repository, 'stray'));
    expect(release('0.1.0', '--now')).toMatchObject({ code: 1, said: expect.stringContaining('--dry-run') });
    expect(release('0.1.0', '--dry-run')).toMatchObject({ code: 0, said: expect.stringContaining('v0.1.0 latest v0 v0.1 -> ') });
    expect(tags()).toEqual({});
  });

  test('the tags that follow versions move forward only: an older line gets its own, a version before its release none', () => {
    const first = commit('0.1.0');
    expect(release('0.1.0').code).toBe(0);
    expect(tags()).toEqual({ 'v0.1.0': first, latest: first, v0: first, 'v0.1': first });
    expect(git('tag', '--list', '--format=%(contents:body)', 'v0.1.0')).toBe('- What is new in 0.1.0.');
    const second = commit('0.2.0');
    expect(release('0.2.0').code).toBe(0);
    git('checkout', '-q', '-b', 'old', 'v0.1.0');
    const repair = commit('0.1.1');
    expect(release('0.1.1').code).toBe(0);
    expect(tags()).toEqual({
      'v0.1.0': first,
      'v0.1.1': repair,
      'v0.1': repair,
      'v0.2.0': second,
      latest: second,
      v0: second,
      'v0.2': second,
    });
    git('checkout', '-q', 'main');
    commit('1.0.0-rc.1');
    const before = tags();
    expect(release('1.0.0-rc.1').code).toBe(0);
    expect(Object.keys(tags()).filter((name) => !(name in before))).toEqual(['v1.0.0-rc.1']);
    expect(tags()).toMatchObject(before);
  });

  test('a version is tagged once, never below a newer one of its line, and never beside it', () => {
    commit('0.1.0');
    release('0.1.0');
    expect(release('0.1.0')).toMatchObject({ code: 1, said: expect.stringContaining('released already') });
    git('checkout', '-q', '-b', 'aside');
    commit('0.1.2');
    release('0.1.2');
    git('checkout', '-q', 'main');
    commit('0.1.1');
    expect(release('0.1.1')).toMatchObject({ code: 1, said: expect.stringContaining('v0.1.2 is newer') });
    commit('0.1.3');
    expect(release('0.1.3')).toMatchObject({ code: 1, said: expect.stringContaining('v0.1.2 is not part of this commit') });
    expect(Object.keys(tags())).toEqual(['latest', 'v0', 'v0.1', 'v0.1.0', 'v0.1.2']);
  });

  test('it is pushed whole; when somebody moved a tag meanwhile, nothing of it is', () => {
    const remote = join(folder, 'remote.git');
    run('git', ['init', '-q', '--bare', remote], folder);
    git('remote', 'add', 'origin', remote);
    const first = commit('0.1.0');
    expect(release('0.1.0', '--push', 'origin')).toMatchObject({ code: 0 });
    expect(tags(remote)).toEqual({ 'v0.1.0': first, latest: first, v0: first, 'v0.1': first });
    const second = commit('0.2.0');
    expect(release('0.2.0', '--push', 'origin')).toMatchObject({ code: 0 });
    const then = { ...tags(remote), latest: first };
    expect(then).toMatchObject({ 'v0.2.0': second, v0: second });
    // By another person, who may have had a reason.
    run('git', ['update-ref', 'refs/tags/latest', first], remote);
    commit('0.3.0');
    expect(release('0.3.0', '--push', 'origin')).toMatchObject({ code: 1, said: expect.stringContaining('latest') });
    expect(tags(remote)).toEqual(then);
  });
});
