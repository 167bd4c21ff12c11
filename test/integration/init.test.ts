// Promises the command init as a process: from flags, from a person on a real terminal, and from nobody.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-init-'));
  await writeFile(join(folder, 'token'), `${'f'.repeat(40)}\n`, { mode: 0o600 });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

function end(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { env: { PATH: '/usr/bin:/bin' } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const answers = () => ({
  url: 'https://forge.example.org/git/',
  scope: 'organization:builders',
  labels: 'debian, x64',
  'token-file': join(folder, 'token'),
});
const flagsOf = (values: Readonly<Record<string, string>>) => Object.entries(values).map(([name, value]) => `--${name}=${value}`);

test('init with flags writes a file that check-config takes, and names the token, its scope, its page and the lines for systemd and NixOS', async () => {
  const output = join(folder, 'config.yaml');
  const flags = flagsOf({ ...answers(), runner: '/opt/forgejo-runner', output });
  const { code, stdout, stderr } = await end('init', ...flags);
  expect([code, stderr]).toEqual([0, '']);
  for (const part of [
    `${output} is written.`,
    'the scope write:organization and nothing else',
    'an owner of the organization builders',
    'https://forge.example.org/git/user/settings/applications',
    join(folder, 'token'),
    `--config ${output}\n`,
    'systemctl edit forgejo-runner-controller',
    'services.forgejo-runner-controller = {',
    'forges.forge.scope.organization = "builders";',
  ])
    expect(stdout).toContain(part);
  expect((await stat(output)).mode & 0o777 & ~0o640).toBe(0);
  const checked = await end('check-config', '--config', output);
  expect([checked.code, checked.stderr]).toEqual([0, '']);
  for (const line of ['url: https://forge.example.org/git\n', 'organization: builders\n', '- debian\n', '- x64\n', '/opt/forgejo-runner\n'])
    expect(checked.stdout).toContain(line);

  const written = await readFile(output, 'utf8');
  const again = await end('init', ...flags);
  expect([again.code, again.stdout]).toEqual([1, '']);
  expect(again.stderr).toContain(`${output} is there already and stays as it is`);
  const printed = await end('init', ...flags.slice(0, -1), '--output', '-');
  expect([printed.code, printed.stdout]).toEqual([0, written]);
  expect(await readFile(output, 'utf8')).toBe(written);
});

test('the names of the unit as it is shipped need no change of it', async () => {
  const flags = flagsOf({ ...answers(), 'token-file': '$CREDENTIALS_DIRECTORY/forge-token', output: '-' });
  const { stderr } = await end('init', ...flags);
  expect(stderr).toContain('It goes with this file as it is.');
  expect(stderr).not.toContain('systemctl edit');
});

test('init without a terminal names every flag that is missing, with exit code 2, and writes nothing', async () => {
  const output = join(folder, 'config.yaml');
  const { code, stdout, stderr } = await end('init', '--scope', 'user', '--output', output);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('--url, --labels, --token-file are missing');
  expect(await readdir(folder)).toEqual(['token']);
});

test.each([
  [['--config', '/x'], 'takes no --config'],
  [['--yes'], 'takes no --yes'],
  [['--scope', 'owner/name'], '--scope is none of'],
  [['--scope', 'organization'], '--scope is none of'],
  [['--url', 'ftp://x'], 'forges[0].url'],
  [['--labels', 'a,a'], 'profiles[0].labels'],
  [['--token-file', '/a b'], '--token-file has characters'],
  [['--output', 'config.yaml'], '--output is neither an absolute path nor -'],
])('init with %j writes nothing and says what is wrong, with exit code 2', async (odd, told) => {
  const { code, stdout, stderr } = await end('init', '--output', join(folder, 'config.yaml'), ...flagsOf(answers()), ...odd);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain(told);
  expect(await readdir(folder)).toEqual(['token']);
});

/** Answers each question on a terminal when it is asked; Ctrl-D when there is no answer. */
async function onTerminal(
  args: readonly string[],
  spoken: readonly string[],
): Promise<{ readonly code: unknown; readonly screen: string }> {
  const line = [process.execPath, program, ...args].map((word) => `'${word}'`).join(' ');
  const terminal = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = [...spoken];
  let screen = '';
  let seen = 0;
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    const line = stripVTControlCharacters(screen.slice(seen)).split('\n').at(-1) ?? '';
    if (!/^\r*(?:Address|Whose|Labels|File) .*: $/.test(line)) return;
    seen = screen.length;
    const answer = waiting.shift();
    terminal.stdin.write(answer === undefined ? '\u0004' : `${answer}\n`);
  });
  const [code] = (await once(terminal, 'close')) as unknown[];
  return { code, screen };
}

test('init on a terminal asks for what is missing only, and writes what was answered', async () => {
  const output = join(folder, 'config.yaml');
  const { url, scope, labels, 'token-file': tokenFile } = answers();
  const { code, screen } = await onTerminal(['init', '--scope', scope, '--output', output], [url, labels, tokenFile]);
  expect({ code, screen }).toMatchObject({ code: 0 });
  expect(screen).not.toContain('Whose jobs: ');
  const flags = flagsOf({ url, scope, labels, 'token-file': tokenFile, output: '-' });
  expect(await readFile(output, 'utf8')).toBe((await end('init', ...flags)).stdout);
});

test('init on a terminal that is left writes nothing and names what is missing', async () => {
  const { code, screen } = await onTerminal(['init', '--output', join(folder, 'config.yaml')], ['https://forge.example.org']);
  expect({ code, screen }).toMatchObject({ code: 2 });
  expect(screen).toContain('--scope, --labels, --token-file are missing');
  expect(await readdir(folder)).toEqual(['token']);
});
