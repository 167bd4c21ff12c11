// What a job can try against its machine, its runner, the host and the job beside it, as a job of the packaged service: it ends with its own
// result, the job beside it succeeds, the service stays small, and nothing of it is left.

import { readFile, stat } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { JobWish } from '../support/forgejo/control.ts';
import type { QueuedJob } from '../support/forgejo/forgejo.ts';
import { findingsOf, hold, openScene, processesNaming, runnerOf, type Scene } from '../support/service-scene.ts';
import { nothing, type Service } from '../support/service.ts';

const MiB = 1024 * 1024;
/** The number of ptrace(2). */
const trace = process.arch === 'arm64' ? 117 : 101;
const profiles = [
  { name: 'quiet', labels: ['quiet'] },
  { name: 'wild', labels: ['debian'], limits: { memory: '400MiB', tasks: 300, disk: '64MiB' }, timeouts: { job: '20s', stop: '2s' } },
  { name: 'brief', labels: ['brief'], limits: { memory: '400MiB', tasks: 300 }, timeouts: { job: '3s', stop: '2s' } },
];

let scene: Scene;
let service: Service;
let quiet: QueuedJob;
let alone: string;
const closers: (() => Promise<void>)[] = [];

/** One service and one quiet job for all: whatever the others do, it goes on to its end. */
beforeAll(async () => {
  scene = await openScene((close) => closers.push(close));
  service = await scene.start({ maxConcurrent: 4, profiles });
  quiet = await scene.queue(`echo @running; ${hold}; echo @through`, { labels: ['quiet'] });
  await scene.says(service, quiet, '@running');
  await service.until('it is busy', (status) => runnerOf(status, quiet)?.phase === 'busy');
  alone = JSON.stringify(await service.remains());
});

/** After each job nothing is left but what the quiet one has, and that one still runs. */
async function onlyTheQuietOne(): Promise<void> {
  await service.until('only the quiet job is left, and runs', async ({ runners }) => {
    if (runners.length > 1 || JSON.stringify(await service.remains()) !== alone) return false;
    return (await scene.control.job(quiet.jobId)).status === 'running';
  });
}

afterAll(async () => {
  for (const close of closers) await close();
});

/** Runs a job to its end: how it ended in the forge, what it found, and what the service says of it. */
async function attack(script: string, over: Partial<JobWish> = {}) {
  const queued = await scene.queue(`set +e +o pipefail\n${script}`, over);
  const { status } = await scene.done(service, queued, 60_000);
  const { recent } = await service.until('it is over', (now) => now.recent.some(({ job_id: job }) => job === queued.jobId), 60_000);
  const job = await scene.control.job(queued.jobId);
  const { reason = '' } = recent.find(({ job_id: id }) => id === queued.jobId) ?? {};
  return { status, reason, found: findingsOf(job), log: job.log.join('\n') };
}

/** Of the controller, in MiB. */
async function memory(): Promise<number> {
  return Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${await service.pid()}/status`, 'utf8'))?.[1]) / 1024;
}

describe('a job that will not go', () => {
  afterEach(onlyTheQuietOne);

  test('leaves processes in sessions and process groups of their own, and they are gone with its machine', async () => {
    const { status, reason } = await attack(
      `setsid nohup sleep 6000111 >/dev/null 2>&1 & nohup sh -c 'trap "" TERM INT HUP; sleep 6000222' >/dev/null 2>&1 &
       perl -e 'use POSIX; fork && exit; setsid; fork && exit; close $_ for *STDIN, *STDOUT, *STDERR; exec "sleep", "6000333"'
       until [ "$(grep -lasE 'sleep.6000(111|222|333)' /proc/[0-9]*/cmdline | wc -l)" -ge 3 ]; do sleep 0.05; done; echo @up`,
    );
    expect([status, reason]).toEqual(['success', 'finished']);
    await service.until('its machine is gone', ({ runners }) => runners.length === 1);
    for (const name of ['6000111', '6000222', '6000333']) expect(await processesNaming(name)).toEqual([]);
  });

  test('ignores signals and forks upon each, stops its own runner, and is ended all the same when its time is over', async () => {
    const { status, reason } = await attack(
      `perl -e 'for my $s (qw(TERM INT HUP QUIT USR1)) { $SIG{$s} = sub { for (1 .. 5) { fork || exec "setsid", "sleep", "6000444" } } } sleep 1 while 1' &
       trap '' TERM INT HUP; kill -STOP $(pgrep -f [f]orgejo-runner/runner); kill -TERM 1; sleep 600; sleep 600`,
      { labels: ['brief'] },
    );
    expect([status, reason]).toEqual(['failure', 'job-timeout']);
    expect(await processesNaming('6000444')).toEqual([]);
  });

  test('freezes its own control groups, and makes many more', async () => {
    const { status } = await attack(
      `find /sys/fs/cgroup -type d | while read -r at; do for n in $(seq 20); do mkdir -p "$at/x$n/y/z" 2>/dev/null || break; done; done
       (sleep 1; for at in $(find /sys/fs/cgroup -name cgroup.freeze -o -name freezer.state); do echo 1 >$at; echo FROZEN >$at; done) 2>/dev/null & sleep 600`,
      { labels: ['brief'] },
    );
    expect(status).toBe('failure');
  });
});

describe('a job that takes what it can', () => {
  afterEach(onlyTheQuietOne);

  test('fails inside when it fills its disk, and takes nothing from the host', async () => {
    const queued = await scene.queue(
      `head -c 300M /dev/zero | tr '\\0' x >/root/big || true; stat -c '@size %s' /root/big; rm /root/big; echo "@full yes"; until [ -e /gate/full ]; do sleep 0.05; done; exit 1`,
    );
    await scene.says(service, queued, '@full');
    const machine = runnerOf(await service.status(), queued)?.machine ?? '';
    const { blocks, size } = await stat(`${service.stateDir}/machines/${machine}/volume.ext4`);
    expect(Math.max(size, blocks * 512)).toBeLessThanOrEqual(64 * MiB + MiB);
    await scene.write('full');
    const job = await scene.done(service, queued);
    expect(job.status).toBe('failure');
    expect(Number(findingsOf(job)['size'])).toBeLessThan(64 * MiB);
    expect(job.log.join('\n')).toMatch(/No space left on device/);
  });

  test('opens 10,000 sockets, and as many files and processes as it is given', async () => {
    const { status, found } = await attack(
      `perl -MSocket -e 'my @s; for (1 .. 10_000) { socket($s[$_], AF_INET, SOCK_STREAM, 0) or die "@sockets $!"; listen($s[$_], 1) } print "\\@sockets 10000\\n"'
       perl -e 'my @f; my $n = 0; $n++ while $n < 30_000 && open($f[$n], "<", "/dev/null"); print "\\@files $n\\n"; exit 0'
       perl -e 'my @p; while (defined(my $p = fork)) { if (!$p) { sleep 60; exit } push @p, $p; last if @p > 1000 } print "\\@tasks ", (@p < 300 ? "bounded" : scalar @p), "\\n"; kill KILL => @p; 1 while wait != -1'`,
    );
    expect(status).toBe('success');
    expect(found).toMatchObject({ sockets: '10000', tasks: 'bounded' });
  });

  test('floods its log, and the controller does not grow with it', async () => {
    const before = await memory();
    const { status, log } = await attack(`yes "$(head -c 30000 /dev/zero | tr '\\0' y)" | head -c 20M; echo; echo @through`);
    expect(status).toBe('success');
    expect(log).toContain('@through');
    expect((await memory()) - before).toBeLessThan(40);
  });
});

describe('a job that lies and pries', () => {
  afterEach(onlyTheQuietOne);

  test('can change nothing that it was started by, see no exit record and no state, and write no record of its own', async () => {
    const { status, found } = await attack(
      `try() { name=$1; shift; "$@" >/dev/null 2>&1 && echo "@$name done" || echo "@$name refused"; }
       r=/run/forgejo-runner; try touch touch $r/x; try config sh -c "echo >$r/config.yml"; try init rm -f $r/init; try fifo mkfifo $r/assign/job; try move mv $r/config.yml $r/y
       try over mount -t tmpfs none $r; try under mount --bind /tmp $r; try writable mount -o remount,rw,bind $r; try unmount umount $r; try lazy umount -l $r
       try runner sh -c "echo >$r/runner"; try chmod chmod 777 $r/assign; try chown chown 1:1 $r/config.yml; try xattr setfattr -n user.x -v y $r/config.yml
       try record sh -c "mkdir -p ${service.stateDir}/exits && echo success exited 0 >${service.stateDir}/exits/$(hostname)"
       echo "@seen $(for p in /proc/[0-9]*; do ls -d $p/root${service.stateDir}/[mr]* $p/cwd/../../machine.json $p/fd/*/machines 2>/dev/null; done | wc -l)"
       echo "@outside $(ls -dl /proc/[0-9]*/fd/* 2>/dev/null | grep -c '${service.stateDir}')"; try sysrq sh -c 'echo b >/proc/sysrq-trigger'
       try core sh -c 'echo "|/bin/sh" >/proc/sys/kernel/core_pattern'; try kmsg test -c /dev/kmsg; try oom sh -c 'echo -1000 >/proc/1/oom_score_adj'
       try limit sh -c 'f=$(find /sys/fs/cgroup -maxdepth 2 -name memory.max -o -maxdepth 2 -name memory.limit_in_bytes | head -1); [ -n "$f" ] && echo max >"$f"'`,
    );
    expect(status).toBe('success');
    const { record, seen, outside, ...tries } = found;
    // It may have such a folder in its own root: no more than a folder.
    expect([record, seen, outside]).toEqual(['done', '0', '0']);
    expect(Object.entries(tries).filter(([, answer]) => answer !== 'refused')).toEqual([]);
    expect(Object.keys(tries)).toHaveLength(19);
  });

  test.each([
    ['kills its runner', 'pkill -KILL -f [f]orgejo-runner/runner; sleep 600'],
    ['ends its init', 'kill -TERM 1; sleep 600'],
    ['kills all it can', 'kill -KILL -1; sleep 600'],
    [
      'takes hold of its runner',
      `perl -e 'my $p = 0 + shift; syscall(${trace}, 16, $p, 0, 0) == 0 or exit 3; waitpid($p, 0); syscall(${trace}, 8, $p, 0, 0); kill KILL => $p' $(pgrep -f [f]orgejo-runner/runner); sleep 600`,
    ],
  ])('ends nothing but itself, as a failure, when it %s', async (_, script) => {
    const { status, reason } = await attack(script);
    expect(status).toBe('failure');
    expect(['machine-failed', 'finished']).toContain(reason);
  });

  test('tells the supervisor lies, and its unit is neither ready twice nor immortal', async () => {
    const lies = [
      'READY=1',
      'STOPPING=1',
      'RELOADING=1',
      'MAINPID=1',
      'WATCHDOG=1',
      'WATCHDOG_USEC=1',
      'EXTEND_TIMEOUT_USEC=900000000',
      'ERRNO=0',
      'FDSTORE=1',
    ];
    const { status, reason } = await attack(
      `trap '' TERM INT HUP; for s in "$NOTIFY_SOCKET" $(find /run /tmp /dev -type s 2>/dev/null); do
         perl -MSocket -e 'my ($to, @say) = @ARGV; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); for (@say) { send($s, "$_\\n", 0, sockaddr_un($to)) }' "$s" ${lies.join(' ')} || true; done
       systemd-notify --ready --status=mine --pid=1 2>/dev/null || true; echo @told; while :; do sleep 1; done`,
      { labels: ['brief'] },
    );
    expect([status, reason]).toEqual(['failure', 'job-timeout']);
  });

  test('makes namespaces of every kind and mounts over its own folders: its result still arrives', async () => {
    const { status, found } = await attack(
      `for kind in mount pid net ipc uts cgroup time; do unshare --user --map-root-user --$kind --fork sh -c 'mount -t tmpfs none /run; mount -t tmpfs none /tmp; mount --bind /proc /sys; true' 2>/dev/null && echo "@$kind made" || echo "@$kind refused"; done
       unshare --mount true 2>/dev/null && echo "@bare made"; mount -t tmpfs none /run 2>/dev/null && echo "@over made"; nsenter -t 1 -a true 2>/dev/null && echo "@into $(hostname)"
       unshare -Ur unshare -Ur unshare -Ur true; echo "@through yes"`,
    );
    expect(status).toBe('success');
    expect(found).toMatchObject({ through: 'yes' });
    for (const kind of ['bare', 'over']) expect(found).not.toHaveProperty(kind);
  });
});

test('the job beside them all succeeds, and nothing is left', async () => {
  await scene.open();
  expect(await scene.done(service, quiet)).toMatchObject({ status: 'success' });
  await scene.clean(service);
  expect(await service.remains()).toEqual(nothing);
});
