// The unit of contrib/systemd as it is shipped: systemd takes it without a word, says how exposed it is, and everything works in its sandbox:
// jobs, limits, disks, kill -9, restarts, the death of the shell that acts for it. The other end-to-end tests run in the same sandbox.

import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { install, installUnit, unit } from '../support/installed-service.ts';
import { findingsOf, hold, openScene, timesGiven } from '../support/service-scene.ts';
import { sh } from '../support/service.ts';

const profiles = [
  { name: 'default', labels: ['debian'], timeouts: { stop: '2s' } },
  { name: 'disk', labels: ['disk'], limits: { disk: '32MiB', memory: '200MiB' } },
];
const runtime = '/run/forgejo-runner-controller';
const caches = '/var/cache/forgejo-runner-controller';
/** The shells that systemd has started for the service. */
const hands = async (): Promise<readonly string[]> =>
  (await sh('systemctl', 'list-units', '--plain', '--no-legend', 'forgejo-runner-controller-hands-*'))
    .split('\n')
    .filter((line) => line !== '');
/** Mounts and loop devices below the state directory, in any mount namespace that a process has. */
const held = (): Promise<string> =>
  sh(
    'sh',
    '-c',
    '{ cat /proc/[0-9]*/mountinfo; losetup --noheadings --output BACK-FILE; } 2>/dev/null | grep -c "forgejo-runner-controller/\\(machines\\|installed\\)/\\|netns/forgejo-runner-" || true',
  );

describe('the unit that is shipped', () => {
  test('systemd-analyze verifies it without a word, and gives it 3.0 or better, as docs/SECURITY.md says', async ({ onTestFinished }) => {
    const folder = await mkdtemp('/run/frc-unit-');
    onTestFinished(() => rm(folder, { recursive: true }));
    await installUnit(`${folder}/${unit}`);
    expect(await sh('sh', '-c', `systemd-analyze verify ${folder}/${unit} 2>&1`)).toBe('');
    const told = await sh('systemd-analyze', 'security', '--no-pager', '--offline=yes', '--threshold=30', `${folder}/${unit}`);
    const exposure = /Overall exposure level for \S+: (\d\.\d)/.exec(told)?.[1];
    const text = await readFile(new URL('../../docs/SECURITY.md', import.meta.url), 'utf8');
    expect(text).toContain(`exposure of ${exposure} (systemd ${/^systemd (\d+)/.exec(await sh('systemd-analyze', '--version'))?.[1]})`);
  });

  test('works on a fresh /run with a read-only configuration: jobs end as they should, and the service can change nothing but its own folders', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const { service } = await install(scene, { profiles }, onTestFinished);
    await rm(runtime, { recursive: true, force: true });
    await service.start();
    const [good, eater, filler] = [
      await scene.queue('echo "@root $(id -u)"'),
      await scene.queue('echo 1000 >/proc/$PPID/oom_score_adj; head -c 400M /dev/zero | tail', { labels: ['disk'] }),
      await scene.queue('head -c 100M /dev/zero >/root/much || echo @full', { labels: ['disk'] }),
    ];
    expect(findingsOf(await scene.done(service, good))).toEqual({ root: '0' });
    expect(await scene.done(service, eater)).toMatchObject({ status: 'failure' });
    expect(findingsOf(await scene.done(service, filler))).toEqual({ full: '' });
    await scene.clean(service);
    const { recent } = await service.status();
    expect(recent.find(({ job_id: id }) => id === eater.jobId)?.cause).toBe('killed: memory limit 200 MiB');
    const pid = await service.pid();
    const inside = ['--mount', `--target=${pid}`];
    // CAP_DAC_OVERRIDE and CAP_NET_BIND_SERVICE.
    expect(await readFile(`/proc/${pid}/status`, 'utf8')).toMatch(/^CapEff:\t0000000000000402\nCapBnd:\t0000000000000402$/m);
    const places = [
      '/etc/forgejo-runner-controller',
      '/etc',
      '/usr/bin',
      '/opt',
      '/run',
      '/root',
      '/tmp',
      '/var/lib',
      '/var/log',
      '/sys/fs/cgroup',
    ];
    const tries = `for place; do touch "$place/mine" 2>/dev/null && echo "$place"; done; echo 1 2>/dev/null >/proc/sys/vm/swappiness && echo kernel; true`;
    expect(await sh('nsenter', ...inside, 'sh', '-c', tries, 'sh', ...places)).toBe('');
    expect(await sh('nsenter', ...inside, 'ls', '/dev')).not.toContain('loop-control');
    for (const [path, mode] of [
      [service.stateDir, 0o711],
      [runtime, 0o700],
    ] as const)
      expect((await stat(path)).mode & 0o7777).toBe(mode);
    await service.stop();
    expect(await readdir(service.stateDir)).not.toContain('token');
    expect([await hands(), await held()]).toEqual([[], '0']);
  });

  test('I9 I8 neither kill -9, nor a restart, nor the death of its shell on the host costs a running job anything, and nothing stays mounted', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const { service, dropIn, show } = await install(scene, { profiles }, onTestFinished);
    await dropIn('RestartSec=100ms');
    await service.start();
    const jobs = [await scene.queue(`echo @running; ${hold}`), await scene.queue(`echo @running; ${hold}`, { labels: ['disk'] })];
    for (const job of jobs) await scene.says(service, job, '@running');
    const adopted = () => service.until('both jobs are known', ({ runners }) => runners.length === 2);

    const [first] = await hands();
    expect(first).toContain('running');
    await sh('systemctl', 'kill', '--signal=KILL', 'forgejo-runner-controller-hands-*');
    const later = await scene.queue('true');
    expect(await scene.done(service, later)).toMatchObject({ status: 'success' });

    process.kill(await service.pid(), 'SIGKILL');
    await expect.poll(() => show('NRestarts'), { timeout: 30_000 }).toBe('1');
    await adopted();
    await sh('systemctl', 'restart', unit);
    await adopted();
    expect((await hands()).filter((line) => line.includes(' active '))).toHaveLength(1);

    await scene.open();
    for (const job of jobs) expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
    expect(await timesGiven(scene, [...jobs, later])).toEqual([1, 1, 1]);
    await scene.clean(service);
    expect(await held()).toBe('0');
  });

  test('I8 what jobs keep is found by the next one of their repository alone, outlives kill -9, and nothing of it stays mounted', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    await scene.control.addRepository({ repository: 'root1/other' });
    const { service, dropIn } = await install(
      scene,
      { profiles: [{ name: 'default', labels: ['debian'], cache: { maxSize: '64MiB' } }] },
      onTestFinished,
    );
    onTestFinished(() => rm(caches, { recursive: true, force: true }));
    await dropIn('RestartSec=100ms');
    await service.start();
    const first = await scene.queue(`echo one >"$RUNNER_CACHE_DIR/mark"; echo @running; ${hold}; echo two >>"$RUNNER_CACHE_DIR/mark"`);
    await scene.says(service, first, '@running');
    process.kill(await service.pid(), 'SIGKILL');
    await service.until('its job is known', ({ runners }) => runners.length === 1);
    await scene.open();
    expect(await scene.done(service, first)).toMatchObject({ status: 'success' });
    const found: unknown[] = [];
    for (const over of [{ repository: 'root1/demo' }, { repository: 'root1/other' }, { fork: true }]) {
      const script = `echo "@in $RUNNER_CACHE_DIR"; echo "@found $(cat "$RUNNER_CACHE_DIR/mark" | tr -d '\\n')"; touch "$RUNNER_CACHE_DIR/mine"`;
      found.push(findingsOf(await scene.done(service, await scene.queue(script, over))));
    }
    expect(found).toEqual(['onetwo', '', ''].map((mark) => ({ in: '/cache', found: mark })));
    await scene.clean(service);
    await expect.poll(held, { timeout: 10_000 }).toBe('0');
    expect((await stat(caches)).mode & 0o7777).toBe(0o700);
  });

  test.each([
    ['a network of its own', ['PrivateNetwork=yes'], 'This process has a network namespace of its own: take PrivateNetwork='],
    ['no way to ask systemd', ['InaccessiblePaths=/run/dbus'], 'let its unit reach the system bus'],
    ['mounts that do not follow those of the host', ['MountFlags=private'], 'take MountFlags= out of its unit'],
  ])('with %s it does not start: exit code 3, why, and the remedy', async (_, lines, sentence) => {
    const closers: (() => Promise<void>)[] = [];
    try {
      const scene = await openScene((close) => closers.unshift(close));
      const { dropIn, fail } = await install(scene, {}, (close) => closers.unshift(close));
      await dropIn(...lines);
      expect(await fail()).toEqual({ code: 3, said: expect.stringContaining(sentence) as string });
    } finally {
      for (const close of closers) await close();
    }
  });
});
