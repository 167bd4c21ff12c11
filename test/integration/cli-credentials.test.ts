// Promises where the service's own program gets its credentials when runner-status starts it: what this shell has, what systemd made for the
// service that runs, or a unit of one command's length with what the files of the unit name; never a token in words or environment.

import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withCredentials } from '../../src/cli/credentials.ts';

let folder = '';
let env: NodeJS.ProcessEnv = {};
beforeEach(async () => {
  heard = [];
  folder = await mkdtemp(join(tmpdir(), 'frc-credentials-'));
  env = { PATH: `${folder}:/usr/bin:/bin` };
  await writeFile(join(folder, 'token'), 'secret');
  await unitSays(`LoadCredential=old:${folder}/token`, 'LoadCredential=', `LoadCredential=forge-token:${folder}/token`);
});
afterEach(() => rm(folder, { recursive: true }));

/** A systemctl that knows these lines of the unit. */
async function unitSays(...lines: readonly string[]): Promise<void> {
  const path = join(folder, 'systemctl');
  await writeFile(path, `#!/bin/sh\n[ "$1" = cat ] && cat <<'END'\n# unit\n[Service]\n${lines.join('\n')}\nEND\n`);
  await chmod(path, 0o755);
}

let heard: string[] = [];
const note = (line: string): void => void heard.push(line);
const start = () => ({ command: '/node', words: ['/program', 'doctor'], env });

test('what this shell has already is taken', async () => {
  env = { ...env, CREDENTIALS_DIRECTORY: '/given' };
  expect(await withCredentials(start(), note, folder)).toEqual(start());
});

test('beside a service that runs it is what systemd made for that one', async () => {
  const made = join(folder, 'forgejo-runner-controller.service');
  await mkdir(made);
  expect(await withCredentials(start(), note, folder)).toEqual({ ...start(), env: { ...env, CREDENTIALS_DIRECTORY: made } });
});

test('beside a stopped one systemd is asked for the same, as the files of its unit say, and the exit code comes back', async () => {
  const { command, words } = await withCredentials(start(), note, '/nowhere');
  expect(command).toBe('systemd-run');
  expect(words.filter((word) => word.includes('LoadCredential'))).toEqual([`--property=LoadCredential=forge-token:${folder}/token`]);
  expect(words).toEqual(expect.arrayContaining(['--pipe', '--wait', `--setenv=PATH=${env['PATH']}`]));
  expect(words.slice(-3)).toEqual(['/node', '/program', 'doctor']);
  expect(words.join(' ')).not.toContain('secret');
});

test('without a unit, without credentials in it, and where the file is gone, the program starts as it is and says what it misses', async () => {
  await unitSays('ExecStart=/bin/true');
  expect(await withCredentials(start(), note, '/nowhere')).toEqual(start());
  expect(heard).toEqual([]);
  await unitSays(`LoadCredential=forge-token:${folder}/gone`, 'LoadCredential=other');
  expect(await withCredentials(start(), note, '/nowhere')).toEqual(start());
  expect(heard.join('\n')).toMatch(/^forgejo-runner-controller\.service has .*\/gone is not there: put the token into it/);
  await rm(join(folder, 'systemctl'));
  env = { PATH: folder };
  expect(await withCredentials(start(), note, '/nowhere')).toEqual(start());
});
