// Promises that removal copes with whatever a job, or somebody on the host, left in a machine's root: it goes, nothing outside of it does, and
// other machines go on meanwhile. HOSTILE_FILES says how many files the largest root has, on the disk instead of in memory (a million in long
// runs).

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { clearFolder } from '../../src/driver/clearing.ts';
import { pathsOf } from '../../src/driver/nspawn-unit.ts';
import type { MachinePaths } from '../../src/driver/nspawn-unit.ts';
import { assignmentOf, seen } from '../contract/driver-contract.ts';
import { createNspawnWorld, onHost } from '../contract/nspawn-world.ts';
import type { NspawnWorld, WorldOptions } from '../contract/nspawn-world.ts';

const id = 'j0000001abc';
const other = 'j0000002def';
const files = Number(process.env['HOSTILE_FILES'] ?? 100_000);
/** On the same file system as the roots, so that no border of file systems protects it. */
const precious = '/srv/precious';

let world: NspawnWorld;
let paths: MachinePaths;
let before: string;

async function use(options: WorldOptions = {}): Promise<void> {
  world = await createNspawnWorld({ controllerId: 'hostile', ...options });
  paths = pathsOf(world.stateDir, id);
  await world.driver.check();
}

/** What a removal that leaves the root would change: names, modes, sizes and links of the host's own folders. */
async function outside(): Promise<string> {
  return onHost('bash', '-c', `find ${precious} /etc /home /root -xdev -printf '%p %m %s %n %l\\n' | sort; ls -A / /srv /var/lib`);
}

/** A disk takes a minute to make what memory makes in a second. */
const inMemory = process.env['HOSTILE_FILES'] === undefined;

beforeEach(async () => {
  await mkdir(`${precious}/below`, { recursive: true });
  await writeFile(`${precious}/below/file`, 'precious');
  await writeFile(`${precious}/first`, 'precious');
});
afterEach(async () => {
  await world.close();
  await rm(precious, { recursive: true });
});

/** A machine that has ended by itself, with what `inside` (as its root) and `onTheHost` (in its root's folder) made. */
async function ended(inside: string, onTheHost = 'true'): Promise<string> {
  const { output } = await world.probe(id, 0, inside);
  await onHost('bash', '-c', `set -e; cd '${paths.root}'; ${onTheHost}`);
  before = await outside();
  return output;
}

const clean = { artefacts: [], folder: false, mounts: '0', outside: 'as before' } as const;

/** Removes the machine; what there is of it then, and whether anything else changed. */
async function remove(): Promise<unknown> {
  await world.driver.remove(id);
  const now = await outside();
  return {
    artefacts: await world.driver.artefacts(),
    folder: existsSync(paths.folder),
    mounts: await onHost('bash', '-c', `grep -c '${world.stateDir}' /proc/self/mountinfo || true`),
    outside: now === before ? 'as before' : now,
  };
}

const templates: readonly WorldOptions[] = [
  {},
  { template: { kind: 'directory', path: '/var/lib/machines/debian' } },
  { limits: { diskBytes: 64 * 1024 * 1024 } },
];

describe.each(templates)('what a job can leave in a root of %j', (options) => {
  beforeEach(async () => use(options));

  test('links to everywhere, sockets, FIFOs, closed folders, odd and long names, trees deeper than a path and a terabyte of nothing', async () => {
    const output = await ended(
      `mkdir -p /root/x; cd /root/x; umask 0
       i=0; for to in / /etc ../../../../../../../../srv/precious ${precious} /proc/self/root /proc/1/root /proc/self/cwd . .. x; do ln -s "$to" "link$((i += 1))"; done
       mkdir real; echo text >real/file; for n in $(seq 200); do ln real/file "hard$n"; done; ln -s real/file soft; ln soft harder
       mkfifo pipe; perl -e 'use IO::Socket::UNIX; IO::Socket::UNIX->new(Local => "socket", Listen => 1) or die'
       perl -e 'for my $n ("-rf", "--", "-", "new\\nline", "\\xff\\xfe", "tab\\there", "*", "\\$(reboot)", "\\x27 \\x22", " ", "x" x 255, "\\xc3" x 255) {
         mkdir "./$n" or die "$n: $!"; open my $f, ">", "./$n/$n" or die }'
       truncate -s 1T sparse || truncate -s 60G sparse; mkdir -p closed/inner; echo >closed/inner/file; chmod 0 closed/inner closed
       perl -e 'for (1 .. 400) { mkdir "d" x 250 or die; chdir "d" x 250 or die } open F, ">file"; symlink "/etc", "link"'
       setfattr -n user.mine -v yes sparse 2>/dev/null; chmod 7777 real; chown -R 1234:1234 real; echo made $(ls -A | wc -l)
       for flag in i a; do chattr +$flag real/file 2>/dev/null && echo flag $flag; done
       mknod null c 1 3 2>/dev/null && echo device; mount -t tmpfs none real 2>/dev/null && echo mount; exit 0`,
    );
    // Neither immutable files nor devices nor mounts that the host would see are in a job's power.
    expect(output).toBe('made 231');
    expect(await remove()).toEqual(clean);
  });

  test('mounts of its own in namespaces of its own, and a process that holds them', async () => {
    await ended(
      `cd /root; mkdir a up work merged
       unshare --user --map-root-user --mount --propagation private sh -c 'mount -t tmpfs none a; mount --bind / a; mount --rbind / merged
         mount -t overlay -o lowerdir=/etc,upperdir=up,workdir=work none merged; rm -f merged/passwd; grep -c /root/ /proc/self/mounts >/io/held; exec sleep 600' 2>/dev/null &
       until [ -s /io/held ]; do sleep 0.01; done`,
    );
    expect(Number(await readFile(`${world.io}/held`, 'utf8'))).toBeGreaterThan(0);
    expect(await remove()).toEqual(clean);
  });
});

describe('what somebody on the host can leave there', () => {
  test('immutable and append-only files, and devices', async () => {
    await use();
    await ended(
      'mkdir -p /root/kept/below/deep; echo >/root/kept/file; echo >/root/kept/below/log; exit 0',
      `cd root; mknod disk b 7 0; mknod null c 1 3; chattr +i kept/file kept/below/deep; chattr +a kept/below/log kept/below; chattr +i kept`,
    );
    expect(await remove()).toEqual(clean);
  });

  test.each([{}, { limits: { diskBytes: 64 * 1024 * 1024 } }] satisfies WorldOptions[])(
    'mounts of every kind, one upon another, in a root of %j: what they show stays',
    async (options) => {
      await use(options);
      await ended(
        `mkdir -p /mnt/a /mnt/b /mnt/c "/mnt/a name
with \\\\ all" /root/d; touch /mnt/file; exit 0`,
        `mount --bind ${precious} mnt/a; mount --bind ${precious}/below mnt/a/below; mount -t tmpfs none mnt/b; mkdir mnt/b/c; mount -t tmpfs none mnt/b/c
         mount --bind ${precious} mnt/b/c; mount --rbind mnt mnt/c; mount --bind ${precious}/first mnt/file; mount --bind ${precious} 'mnt/a name
with \\ all'; mount --bind ${precious} root; mount --bind ${precious} '${paths.folder}/shared'`,
      );
      expect(await remove()).toEqual(clean);
    },
  );

  test('a mount below a running machine, and a process at work in its folder', async () => {
    await use({ limits: { diskBytes: 64 * 1024 * 1024 } });
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await world.driver.assign(id, assignmentOf('wait'), AbortSignal.timeout(10_000));
    await seen(world.driver, id, 'running');
    await onHost('mount', '--bind', precious, `${paths.root}/mnt`);
    await onHost('systemd-run', '-q', '--unit=busy-in-root', '-p', `WorkingDirectory=${paths.root}/var`, 'sleep', '60');
    before = await outside();
    try {
      expect(await remove()).toEqual(clean);
    } finally {
      await onHost('systemctl', 'stop', 'busy-in-root');
    }
    await expect.poll(async () => onHost('bash', '-c', 'losetup -n -l | grep -c volume.ext4 || true')).toBe('0');
  });

  test('what newer versions of nspawn leave mounted when they are killed', async () => {
    await use();
    const place = `/run/systemd/nspawn/unix-export/${id}`;
    await ended('exit 0', `mkdir -p ${place}; mount -t tmpfs none ${place}; touch ${place}/ssh`);
    expect(await remove()).toEqual(clean);
    expect(existsSync(place)).toBe(false);
  });
});

/** False when a try of a removal ended before its work did, as it says. */
async function finished(attempt: Promise<void>): Promise<boolean> {
  try {
    await attempt;
    return true;
  } catch (error) {
    if (String(error).includes('the next try goes on')) return false;
    throw error;
  }
}

/** Registers a machine of that name with machined, as another tool of the host would. */
async function makeForeign(name: string): Promise<void> {
  const manager = 'org.freedesktop.machine1 /org/freedesktop/machine1 org.freedesktop.machine1.Manager';
  await onHost('systemd-run', '-q', '--unit=foreign-machine', '--slice=machine.slice', '-p', 'Delegate=yes', 'sleep', '600');
  const leader = await onHost('systemctl', 'show', '-P', 'MainPID', 'foreign-machine');
  await onHost('bash', '-c', `busctl call ${manager} RegisterMachine sayssus ${name} 0 other container ${leader} ''`);
  await mkdir(`/run/systemd/nspawn/propagate/${name}`, { recursive: true });
}

async function foreignOnes(name: string): Promise<string> {
  const kept = `ls -d /run/systemd/nspawn/propagate/${name}`;
  return onHost('bash', '-c', `systemctl is-active foreign-machine; machinectl show -p Name -p Service ${name}; ${kept}`);
}

test("a foreign machine that bears a machine's name stays, no machine is started beside it, and only what is ours goes (I6)", async () => {
  await use();
  await makeForeign(id);
  const foreign = await foreignOnes(id);
  try {
    const start = world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await expect(start).rejects.toThrow(/Another machine of this host is named j0000001abc/);
    // What an earlier try, or another controller's, may have left of our own.
    await mkdir(`${paths.folder}/root`, { recursive: true });
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
    expect(await foreignOnes(id)).toBe(foreign);
  } finally {
    await onHost('systemctl', 'stop', 'foreign-machine');
    await rm(`/run/systemd/nspawn/propagate/${id}`, { recursive: true, force: true });
  }
});

const manyFiles = (count: number): string =>
  `perl -e 'for my $d (0 .. ${Math.ceil(count / 1_000) - 1}) { mkdir "srv/$d"; for (1 .. 1000) { open my $f, ">", "srv/$d/$_" or die } }'`;

/** To the process that removes what lies in a folder; false when there is none. */
function signalRemover(folder: string, signal: NodeJS.Signals): boolean {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => {
    const [program, ...words] = textOf(`/proc/${pid}/cmdline`).split('\0');
    return program === 'rm' && words.some((word) => word.startsWith(folder));
  });
  try {
    return found !== undefined && process.kill(Number(found), signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

/** Nothing of one that ended meanwhile. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return '';
  }
}

describe('very much', () => {
  beforeAll(async () => {
    if (inMemory) await onHost('mount', '-t', 'tmpfs', '-o', 'mode=755', 'none', '/srv');
  });
  afterAll(async () => {
    if (inMemory) await onHost('umount', '/srv');
  });
  beforeEach(async () => use());

  test(`${files} files go, and other machines live and die meanwhile`, async () => {
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 600_000 });
    await seen(world.driver, id, 'idle');
    await onHost('bash', '-c', `cd ${paths.root}; ${manyFiles(files)}`);
    const [from, rss] = [performance.now(), process.memoryUsage.rss()];
    // Held while the others live: how long it takes of itself is the machine's affair.
    let held = false;
    const holding = setInterval(() => {
      if (signalRemover(paths.folder, 'SIGSTOP')) held = true;
    }, 5);
    let gone = false;
    const removal = (async () => {
      while (!(await finished(world.driver.remove(id))));
      gone = true;
    })();
    try {
      await expect.poll(() => held, { interval: 5, timeout: 60_000 }).toBe(true);
      await world.driver.start({ id: other, slot: 1, profile: world.profile, runtimeMaxMs: 60_000 });
      await world.driver.assign(other, assignmentOf('wait'), AbortSignal.timeout(10_000));
      await seen(world.driver, other, 'running');
      await world.driver.remove(other);
      expect(gone).toBe(false);
    } finally {
      clearInterval(holding);
      signalRemover(paths.folder, 'SIGCONT');
      await removal;
    }
    const [seconds, mib] = [(performance.now() - from) / 1_000, (process.memoryUsage.rss() - rss) / 2 ** 20];
    process.stdout.write(`${files} files removed in ${seconds.toFixed(1)} s; this process grew by ${mib.toFixed(1)} MiB\n`);
    expect(await world.driver.artefacts()).toEqual([]);
  }, 600_000);

  test.each([
    ['files', manyFiles(120_000)],
    ['folders in each other', `perl -e 'chdir "srv"; for (1 .. 30_000) { mkdir "deeper" or die; chdir "deeper" or die }'`],
    [
      'long-named folders in each other, twice, with links out of them',
      `perl -e 'for my $t ("a", "b") { chdir "$ENV{PWD}/srv" or die; for (1 .. 8_000) { mkdir $t x 250 or die; chdir $t x 250 or die; symlink "/etc", "link"; symlink "${precious}", "l"; link "l", "h" } }'`,
    ],
  ])('a removal that is cut off again and again gets further each time: %s', async (_, make) => {
    await ended('exit 0', make);
    let tries = 0;
    for (let done = false; !done; tries += 1) {
      expect(tries).toBeLessThan(200);
      done = await finished(clearFolder(paths, 100));
    }
    expect(tries).toBeGreaterThan(1);
    expect(await readdir(paths.folder)).toEqual(['machine.json']);
    expect(await remove()).toEqual(clean);
  });

  test('a root that was being removed is not taken for a machine that can be started', async () => {
    await ended('exit 0', manyFiles(60_000));
    await expect(clearFolder(paths, 20)).rejects.toThrow(/the next try goes on/);
    expect(await readFile(paths.marker, 'utf8')).toContain(id);
    expect((await world.driver.list()).map(({ state }) => state)).toEqual(['exited']);
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    expect((await world.driver.list()).map(({ state }) => state)).toEqual(['exited']);
    expect(await remove()).toEqual(clean);
  });
});

/** Of all units, in MiB. */
async function journal(): Promise<number> {
  return Number(await onHost('sh', '-c', 'journalctl --sync; du -sm /var/log/journal | cut -f1'));
}

test('a console that is flooded fills no journal, and its last lines can still be asked for', async () => {
  await use();
  const before = await journal();
  await writeFile(
    world.profile.runnerPath,
    '#!/bin/sh\n[ "$1" != --version ] || { echo forgejo-runner version v12.8.2; exit 0; }\nbase64 -w 40000 /dev/urandom | head -c 100000000; exit 3\n',
  );
  await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
  await world.driver.assign(id, assignmentOf('flood'), AbortSignal.timeout(10_000));
  expect((await seen(world.driver, id, 'exited')).exit?.status).toBe('3');
  // At most a thousand lines, where there is very much room, of at most 48 KiB.
  expect((await journal()) - before).toBeLessThan(64);
  for (const line of await world.driver.output(id)) expect(line.length).toBeLessThan(1_000);
  await world.driver.remove(id);
  expect(await world.driver.artefacts()).toEqual([]);
});
