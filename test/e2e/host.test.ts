// Promises that the end-to-end tests run where the product will: real systemd, real limits, real loop devices and networks.

import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';

const run = promisify(execFile);

/** Runs a command in a transient unit with these properties; its exit code, and what it wrote. */
async function inUnit(properties: readonly string[], script: string): Promise<{ code: number; output: string }> {
  const options = properties.flatMap((property) => ['-p', property]);
  try {
    const { stdout, stderr } = await run('systemd-run', ['--quiet', '--wait', '--pipe', '--collect', ...options, 'bash', '-c', script]);
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { code: failed.code, output: failed.stdout + failed.stderr };
  }
}

describe('the test host is a real systemd host', () => {
  test('systemd is PID 1 and everything it started runs', async () => {
    expect((await readFile('/proc/1/comm', 'utf8')).trim()).toBe('systemd');
    expect((await run('systemctl', ['is-system-running', '--wait'])).stdout.trim()).toBe('running');
  });

  test('a memory limit kills who takes three times as much', async () => {
    const hog = await inUnit(['MemoryMax=80M', 'MemorySwapMax=0'], 'head -c 240M /dev/zero | tail >/dev/null');
    expect(hog.code).toBe(137);
    const modest = await inUnit(['MemoryMax=80M', 'MemorySwapMax=0'], 'head -c 8M /dev/zero | tail >/dev/null');
    expect(modest.code).toBe(0);
  });

  test('a task limit refuses forks', async () => {
    const forks = await inUnit(['TasksMax=4'], 'for i in {1..8}; do sleep 0.2 & done; wait');
    expect(forks.output).toContain('Resource temporarily unavailable');
  });

  test('a loop device carries a file system of its own size', async () => {
    const script = `set -e; at=$(mktemp -d /var/tmp/loop.XXXXXX); truncate -s 16M $at/disk; mkfs.ext4 -q $at/disk; mkdir $at/on
      mount -o loop $at/disk $at/on; head -c 64M /dev/zero >$at/on/file 2>/dev/null && full=no || full=yes; umount $at/on; rm -r $at; echo $full`;
    expect((await run('bash', ['-c', script])).stdout.trim()).toBe('yes');
  });

  test('a container boots from the Debian tree and machined lists it', async () => {
    const script = `systemd-run -q --collect --unit=host-check -p Delegate=yes systemd-nspawn -q --keep-unit -M host-check \
      -D /var/lib/machines/debian --volatile=overlay sleep 60
      for i in {1..50}; do machinectl list --no-legend | grep -q host-check && echo listed && break; sleep 0.1; done
      systemctl stop host-check`;
    expect((await run('bash', ['-c', script])).stdout.trim()).toBe('listed');
  });

  test('a network namespace can be made, filtered and removed', async () => {
    const script = `set -e; ip netns add check; ip link add ve-check type veth peer name host0 netns check
      nft add table inet check; nft delete table inet check; ip netns del check
      for i in {1..50}; do ip link show ve-check >/dev/null 2>&1 || { echo gone; break; }; sleep 0.1; done`;
    expect((await run('bash', ['-c', script])).stdout.trim()).toBe('gone');
  });

  test('kernel settings of the outer machine cannot be written', async () => {
    const written = await run('bash', ['-c', 'echo 1 2>/dev/null >/proc/sys/kernel/sysrq && echo yes || echo no']);
    expect(written.stdout.trim()).toBe('no');
    expect((await stat('/dev/loop-control')).isCharacterDevice()).toBe(true);
  });
});
