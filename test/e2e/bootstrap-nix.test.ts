// Promises that scripts/bootstrap-nix makes what Nix needs on a real machine, once, and says beforehand what it would do.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/bootstrap-nix', import.meta.url));
const nobody = 65_534;

function bootstrap(args: readonly string[], uid = 0): { readonly code: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(script, args, {
    encoding: 'utf8',
    uid,
    gid: uid,
    env: { PATH: process.env['PATH'], HOME: '/tmp' },
  });
  return { code: status, said: stdout + stderr };
}

const accounts = () =>
  readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('nixbld'));

/** Other tests make some as well. */
function removeAccounts(): void {
  const names = accounts().map((line) => line.split(':')[0] ?? '');
  spawnSync('bash', ['-c', 'for name in "$@"; do userdel "$name"; done; groupdel nixbld', '-', ...names]);
}
beforeAll(removeAccounts);
afterAll(removeAccounts);

describe('the bootstrap of Nix', () => {
  test('a dry run says every command and changes nothing', () => {
    const before = readFileSync('/etc/passwd', 'utf8');
    const { code, said } = bootstrap(['--dry-run', '--accounts', '2']);
    expect(code).toBe(0);
    for (const part of ['groupadd --system nixbld', 'nixbld1', 'nixbld2', 'experimental-features = nix-command flakes'])
      expect(said).toContain(part);
    // Where Nix is not there yet, Debian's package with its daemon, for systemd runs.
    expect(said).toMatch(/Nix is there|apt-get install .* nix-bin nix-setup-systemd/);
    expect(readFileSync('/etc/passwd', 'utf8')).toBe(before);
    expect(existsSync('/etc/nix/nix.conf') && readFileSync('/etc/nix/nix.conf', 'utf8').includes('flakes')).toBe(false);
  });

  test('as root it makes the accounts that builds run as, in their group and without a login; a second time it makes nothing', () => {
    expect(bootstrap(['accounts', '--accounts', '3']).code).toBe(0);
    const made = accounts();
    expect(made.map((line) => line.split(':')[0])).toEqual(['nixbld1', 'nixbld2', 'nixbld3']);
    for (const line of made) expect(line).toMatch(/:\/var\/empty:\/usr\/sbin\/nologin$/);
    const group = readFileSync('/etc/group', 'utf8')
      .split('\n')
      .find((line) => line.startsWith('nixbld:'));
    expect(group?.split(':')[3]).toBe('nixbld1,nixbld2,nixbld3');
    expect(bootstrap(['accounts', '--accounts', '3'])).toEqual({ code: 0, said: '' });
    expect(accounts()).toEqual(made);
    expect(bootstrap(['accounts', '--accounts', '4']).code).toBe(0);
    expect(accounts()).toHaveLength(4);
  });

  test('it refuses what it cannot do: accounts by others than root, an installer without a checksum, words it does not know', () => {
    expect(bootstrap(['accounts'], nobody)).toEqual({ code: 1, said: 'bootstrap-nix: only root can make accounts\n' });
    expect(bootstrap(['--installer', '2.28.3', 'abc']).code).toBe(2);
    expect(bootstrap(['--accounts', '0']).code).toBe(2);
    expect(bootstrap(['now']).code).toBe(2);
  });
});
