// Promises that the manual pages hold every command, option and exit code of both programs, that the tools for such pages find nothing wrong
// with them, and that the completions that are shipped are those that the command prints.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { manualOf, plain, writeManual } from '../../scripts/manual.ts';
import { commands as asked } from '../../src/cli/cli.ts';
import { exitCodes as clientCodes, globalFlags } from '../../src/cli/usage.ts';
import { commands, exitCodes, options } from '../../src/commands.ts';
import { runs } from '../support/cli-run.ts';

const pages = manualOf();
const textOf = (name: string): string => pages.get(name) ?? '';
/** As it is printed, more or less. */
const read = (name: string): string =>
  textOf(name)
    .replaceAll(/\\f[BIR]/g, '')
    .replaceAll(String.raw`\-`, '-');

test('runner-status(1) has every command, flag and exit code', () => {
  const text = read('man/man1/runner-status.1');
  for (const { name, flags = {} } of asked) {
    expect(text).toMatch(new RegExp(`^\\.TP\\n${name}\\b`, 'm'));
    for (const flag of Object.keys(flags)) expect(text).toContain(`--${flag}`);
  }
  for (const flag of Object.keys(globalFlags)) expect(text).toContain(`--${flag}`);
  for (const [code, says] of clientCodes) expect(text.toLowerCase()).toContain(`.tp\n${code}\n${says}`);
});

test('forgejo-runner-controller(8) has every command, option, signal and exit code', () => {
  const text = read('man/man8/forgejo-runner-controller.8');
  for (const name of Object.keys(commands)) expect(text).toContain(`.TP\n${name}\n`);
  for (const name of Object.keys(options)) expect(text).toContain(`--${name}`);
  for (const signal of ['HUP', 'USR1', 'USR2', 'TERM']) expect(text).toContain(`${signal} `);
  for (const [code] of exitCodes) expect(text).toContain(`.TP\n${code}\n`);
});

test('forgejo-runner-controller(5) has the whole example of the configuration', () => {
  for (const key of ['controllerId:', 'maxConcurrent:', 'perRepository', 'binds:', 'openPorts:', 'FORGEJO_TOKEN_FILE'])
    expect(read('man/man5/forgejo-runner-controller.5')).toContain(key);
});

test('text stands in a page as it is: what begins a request or an escape does neither', () => {
  expect(['.so x', "'so x", String.raw`a\nb`, '--x', '`~^'].map(plain)).toEqual([
    String.raw`\&.so x`,
    String.raw`\(aqso x`,
    String.raw`a\enb`,
    String.raw`\-\-x`,
    String.raw`\(ga\(ti\(ha`,
  ]);
});

/** What a tool finds wrong; nothing where there is none. */
function judged(tool: string, args: readonly string[]): string {
  const { stdout, stderr, error } = spawnSync(tool, [...args], { encoding: 'utf8' });
  return error === undefined ? `${stdout}${stderr}` : '';
}

test('man, groff and mandoc, where they are there, find nothing wrong with any page', () => {
  const folder = mkdtempSync(join(tmpdir(), 'frc-manual-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const written = writeManual(pathToFileURL(`${folder}/`)).filter((path) => path.startsWith('man/'));
  expect(written).toHaveLength(3);
  for (const path of written.map((each) => join(folder, each))) {
    expect(judged('groff', ['-man', '-Tutf8', '-ww', '-z', path])).toBe('');
    // Whatever it is printed as, only complaints go to stderr.
    expect(judged('sh', ['-c', 'command -v man >/dev/null || exit 0; LC_ALL=C.UTF-8 man --warnings -l "$1" >/dev/null', '-', path])).toBe(
      '',
    );
    const found = judged('mandoc', ['-Tlint', '-W', 'warning', path]).split('\n');
    expect(found.filter((line) => line !== '' && !line.includes('missing date'))).toEqual([]);
  }
});

test.each([
  ['bash', 'completions/bash/runner-status'],
  ['zsh', 'completions/zsh/_runner-status'],
  ['fish', 'completions/fish/runner-status.fish'],
])('the completions for %s are those that the command prints', async (shell, path) => {
  expect(textOf(path)).toBe((await runs(['completion', shell])).out);
});
