// Promises the host's Nix daemon to jobs of a profile that asks for it, shown by a real daemon: what one job builds the next one finds, and
// the daemon trusts neither, because it sees the uid that the job's root has on the host.

import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { uidBaseOf } from '../../src/core/subnets.ts';
import { createNspawnWorld, onHost, type NspawnWorld } from '../contract/nspawn-world.ts';

const settings = '/etc/nix/nix.conf';
/** Bound into the host by scripts/test. */
const programs = '/opt/nix';
const builds = '/srv/nix-builds';
const plain = 'build-users-group = nixbld\nsandbox = false\nsubstituters =\nexperimental-features = nix-command\n';
const pool = { first: '192.168.100.0', last: '192.168.199.255', prefix: 24 };

/** One that says on the host how often it was built, which a sandbox would forbid. */
const derivation = (name: string): string =>
  `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo ${name} >>${builds}/done; echo made >$out" ]; }`;

let world: NspawnWorld;
async function use(profile: Partial<Profile> = { nixAccess: 'daemon' }): Promise<NspawnWorld> {
  world = await createNspawnWorld({ controllerId: 'nix', profile, binds: [{ source: programs, target: programs, writable: false }] });
  return world;
}

/** Killed when it is stopped: one that was asked to end waits for whoever it still talks to. */
async function startDaemon(conf: string): Promise<void> {
  await onHost('bash', '-c', 'systemctl stop nix-under-test 2>/dev/null; rm -f /nix/var/nix/daemon-socket/socket');
  await writeFile(settings, conf);
  await onHost(
    'systemd-run',
    '--quiet',
    '--collect',
    '--property=KillSignal=SIGKILL',
    '--unit=nix-under-test',
    `--setenv=NIX_LIBEXEC_DIR=${programs}/libexec`,
    `${programs}/bin/nix-daemon`,
    '--daemon',
  );
  await vi.waitUntil(() => existsSync('/nix/var/nix/daemon-socket/socket'), { timeout: 20_000 });
}

/** How often that was built. */
async function timesBuilt(name: string): Promise<number> {
  return (await readFile(`${builds}/done`, 'utf8')).split('\n').filter((line) => line === name).length;
}

/** What the daemon says of whoever asked it. */
async function connections(): Promise<readonly string[]> {
  const lines = (await onHost('journalctl', '-o', 'cat', '--no-pager', '-u', 'nix-under-test')).split('\n');
  return lines.filter((line) => line.startsWith('accepted connection'));
}

function refusal(sentence: string): object {
  return { code: 'DRIVER_UNAVAILABLE', message: expect.stringContaining(sentence) };
}

describe.runIf(existsSync(programs))("the host's Nix daemon", () => {
  beforeAll(async () => {
    if (existsSync('/nix')) throw new Error('/nix is there already; these tests want a host without Nix');
    await onHost(
      'bash',
      '-c',
      `set -e; groupadd -f -r nixbld; for n in 1 2; do id nixbld$n >/dev/null 2>&1 || useradd -r -g nixbld -G nixbld -d /var/empty -s /usr/sbin/nologin nixbld$n; done
       mkdir -p /nix/store /nix/var/nix/daemon-socket /etc/nix ${builds}; chgrp nixbld /nix/store; chmod 1775 /nix/store; chmod 777 ${builds}; : >${builds}/done; chmod 666 ${builds}/done`,
    );
    await startDaemon(plain);
  });
  afterAll(async () => {
    await onHost(
      'bash',
      '-c',
      `systemctl stop nix-under-test; chattr -R -f -i /nix/store; rm -rf /nix /etc/nix ${builds}; for n in 1 2; do userdel nixbld$n; done; groupdel nixbld`,
    );
  });
  afterEach(async () => world.close());

  test('builds for a job, and the next job finds what was built', async () => {
    await use();
    await world.driver.check();
    const script = `echo '${derivation('shared')}' >/tmp/d.nix; out=$(${programs}/bin/nix-build --no-out-link /tmp/d.nix 2>/tmp/log) || cat /tmp/log; echo "$out"; cat "$out"; stat -c %U "$out"`;
    const first = await world.probe('j0000001abc', 0, script);
    const [path = ''] = first.output.split('\n');
    expect(first).toEqual({ code: 0, output: `${path}\nmade\nroot` });
    expect(path).toMatch(/^\/nix\/store\/[0-9a-z]{32}-shared$/);
    const second = await world.probe('j0000002def', 1, script);
    expect(second).toEqual(first);
    expect(await timesBuilt('shared')).toBe(1);
  });

  test("sees the uid of the job's root on the host, each job's another, and trusts none", async () => {
    await use();
    await world.driver.check();
    for (const [slot, id] of ['j0000003abc', 'j0000004abc'].entries()) {
      const before = (await connections()).length;
      await world.probe(id, slot, `NIX_CONFIG='experimental-features = nix-command' ${programs}/bin/nix store ping`);
      await expect.poll(async () => (await connections()).length).toBeGreaterThan(before);
      expect((await connections()).at(-1)).toMatch(new RegExp(`, user ${uidBaseOf(pool, slot)}$`));
    }
    await onHost(`${programs}/bin/nix`, '--store', 'daemon', 'store', 'ping');
    await expect.poll(async () => (await connections()).at(-1)).toMatch(/, user root \(trusted\)$/);
  });

  test('refuses a job what only trusted users may ask for: a program of its own that would run as root of the host', async () => {
    await use();
    await world.driver.check();
    const hook = '/srv/nix-builds/hook';
    await writeFile(hook, `#!/bin/sh\nid -u >>${builds}/hooked\n`);
    await chmod(hook, 0o755);
    const build = (name: string): string =>
      `${programs}/bin/nix-build --no-out-link --option post-build-hook ${hook} --expr '${derivation(name)}' 2>&1`;
    // Newer ones say that they ignore it; this one builds and says nothing.
    expect((await world.probe('j0000005abc', 0, build('of-a-job'))).code).toBe(0);
    expect(await timesBuilt('of-a-job')).toBe(1);
    expect(existsSync(`${builds}/hooked`)).toBe(false);
    // The same words of one whom it trusts.
    await onHost('bash', '-c', `NIX_REMOTE=daemon ${build('of-root')}`);
    expect(await readFile(`${builds}/hooked`, 'utf8')).toBe('0\n');
  });

  test('lets a job change neither the store nor the database, and a profile that does not ask has no daemon', async () => {
    await use();
    await world.driver.check();
    const look = `touch /nix/store/mine 2>&1 | grep -o 'Read-only file system'; ls /nix/var/nix; rm -f /nix/var/nix/daemon-socket/socket 2>&1 | grep -o 'Read-only'`;
    expect((await world.probe('j0000006abc', 0, look)).output).toBe('Read-only file system\ndaemon-socket\nRead-only');
    await world.close();
    await use({});
    await world.driver.check();
    const { output } = await world.probe('j0000007abc', 0, 'echo "remote $NIX_REMOTE"; ls /nix 2>/dev/null; true');
    expect(output).toBe('remote');
  });

  test('is refused to profiles while it trusts everybody, or does not answer, with what to do', async () => {
    await use();
    await startDaemon(`${plain}trusted-users = root *\n`);
    await expect(world.driver.check()).rejects.toMatchObject(refusal('trusts everybody (trusted-users has *)'));
    await startDaemon(`${plain}allowed-users = @builders\n`);
    await expect(world.driver.check()).rejects.toMatchObject(refusal('leaves jobs out (allowed-users has no *)'));
    await onHost('systemctl', 'stop', 'nix-under-test');
    await expect(world.driver.check()).rejects.toMatchObject(refusal('start nix-daemon.socket'));
    await startDaemon(plain);
    await world.driver.check();
  });
});
