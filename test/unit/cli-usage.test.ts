// Promises what words the command line takes, what it says of others, and that help and completions come from the same table and hold all
// of it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { runs } from '../support/cli-run.ts';

const asking = [
  'status',
  'watch',
  'jobs',
  'explain',
  'plan',
  'logs',
  'drain',
  'resume',
  'stop',
  'poll',
  'dispatch',
  'cleanup-forgejo-runners',
];
const names = [...asking, 'cleanup-all-containers', 'doctor', 'check-config', 'init', 'completion'];

describe('usage', () => {
  test.each([
    [['frobnicate'], 'there is no command `frobnicate`'],
    [['--frob'], "Unknown option '--frob'"],
    [['status', 'now'], '`status` takes no argument, got `now`'],
    [['completion'], '`completion` needs SHELL'],
    [['completion', ''], 'SHELL is empty'],
    [['completion', 'bash', 'zsh'], '`completion` takes one SHELL, got `bash zsh`'],
    [['stop'], '`stop` needs ID'],
    [['dispatch', 'debian'], '`dispatch` takes no argument'],
    [['status', '--wait'], '`status` takes no --wait'],
    [['jobs', '--labels', 'a'], '`jobs` takes no --labels'],
    [['completion', 'tcsh'], 'SHELL is one of bash, zsh, fish'],
    [['--url', 'http://a', '--socket', '/b'], 'give --url or --socket, not both'],
    [['--url'], "Option '--url <value>' argument missing"],
    [['--url', 'ftp://a'], '--url is no http or https URL: ftp://a'],
    [['--url', 'http://u:p@a'], '--url is a scheme, a host, a port and a path only'],
    [['--token-file', '/nowhere/token'], '--token-file /nowhere/token cannot be read'],
    [['explain'], '`explain` needs --labels A,B or --job ID'],
    [['explain', '--labels', 'a', '--job', '1'], '`explain` needs --labels A,B or --job ID'],
    [['\u001b[2J'], String.raw`there is no command \`\u001b[2J\``.replaceAll(String.raw`\``, '`')],
  ])('%j is none: exit code 2 and why on stderr', async (argv, why) => {
    const { code, out, err } = await runs(argv);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(`runner-status: ${why}`);
  });

  test('a token file with more than a token is refused without showing it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'frc-cli-'));
    try {
      writeFileSync(join(folder, 'token'), 'one secret\ntwo');
      const { code, err } = await runs(['--token-file', join(folder, 'token')]);
      expect(code).toBe(2);
      expect(err).not.toContain('secret');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('--version and --help answer on stdout, and the help has every command and the exit codes', async () => {
    expect(await runs(['--version'])).toEqual({ code: 0, out: 'runner-status 9.9.9\n', err: '' });
    const { code, out } = await runs(['-h']);
    expect(code).toBe(0);
    for (const name of names) expect(out).toMatch(new RegExp(String.raw`^  ${name}\b`, 'm'));
    for (const exit of ['0', '1', '2', '3', '4', '130']) expect(out).toMatch(new RegExp(String.raw`Exit codes:[\s\S]*\b${exit} `));
    expect(Math.max(...out.split('\n').map((one) => one.length))).toBeLessThanOrEqual(140);
  });

  test('docs/OPERATIONS.md has every command, flag and exit code', async () => {
    const text =
      readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8')
        .split('## runner-status')[1]
        ?.split('\n## ')[0] ?? '';
    for (const name of names) expect(text).toMatch(new RegExp(`^\\| \`${name}\\b`, 'm'));
    for (const flag of ['url', 'socket', 'token-file', 'json', 'no-color', 'labels', 'job', 'wait', 'follow', 'yes', 'config'])
      expect(text).toContain(`--${flag}`);
    for (const exit of [0, 1, 2, 3, 4, 130]) expect(text).toContain(`\n| ${exit} | `);
  });

  test('the help of one command has its own flags', async () => {
    const { out } = await runs(['explain', '--help']);
    expect(out).toContain('Usage: runner-status explain [--labels A,B] [--job ID] [OPTIONS]');
    expect(out).toMatch(/^ +--job ID +the number of a job$/m);
  });
});

function found(program: string): boolean {
  const path = process.env['PATH'] ?? '';
  return path.split(delimiter).some((folder) => {
    try {
      return readdirSync(folder).includes(program);
    } catch {
      return false;
    }
  });
}

/** What completing the words gives, the last one being begun. */
function completed(script: string, words: readonly string[]): readonly string[] {
  const ask = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _runner_status; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync('bash', ['-c', ask], { encoding: 'utf8' }).trim().split('\n');
}

describe('completions', () => {
  test.each(['bash', 'zsh', 'fish'])('%s takes them, where it is there, and they have every command and flag', async (shell) => {
    const { code, out } = await runs(['completion', shell]);
    expect(code).toBe(0);
    for (const word of [...names, 'json', 'token-file', 'wait', 'labels']) expect(out).toContain(word);
    if (found(shell)) execFileSync(shell, ['-n'], { input: out });
  });

  test('bash completes commands, their flags, and the words of an argument', async () => {
    const { out } = await runs(['completion', 'bash']);
    expect(completed(out, ['runner-status', 'st'])).toEqual(['status', 'stop']);
    expect(completed(out, ['runner-status', '--json', 'drain', '--w'])).toEqual(['--wait']);
    expect(completed(out, ['runner-status', 'completion', 'z'])).toEqual(['zsh']);
    expect(completed(out, ['runner-status', 'status', '--la'])).toEqual(['']);
    expect(completed(out, ['runner-status', '--url', 'st'])).toEqual(['']);
  });
});
