// Promises that the nspawn driver keeps the contract on a real host, knows how every machine ended, and removes every trace of it.

import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Machine } from '../../src/core/model.ts';
import { createNspawnDriver } from '../../src/driver/nspawn.ts';
import { assignmentOf, driverContract, seen } from '../contract/driver-contract.ts';
import { createNspawnWorld, onHost } from '../contract/nspawn-world.ts';
import type { NspawnWorld } from '../contract/nspawn-world.ts';

const id = 'j0000001abc';
const unit = `forgejo-runner-contract-${id}.service`;

driverContract('the nspawn driver', async () => createNspawnWorld());
driverContract('the nspawn driver with a disk limit and a root directory', async () =>
  createNspawnWorld({ template: { kind: 'directory', path: '/var/lib/machines/debian' }, limits: { diskBytes: 64 * 1024 * 1024 } }),
);

let world: NspawnWorld;
beforeEach(async () => {
  world = await createNspawnWorld();
  await world.driver.check();
});
afterEach(async () => world.close());

/** Starts the machine and hands it that job; a job that goes on is waited for until it has begun. */
async function running(handle: string, runtimeMaxMs = 60_000): Promise<void> {
  await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs });
  await world.driver.assign(id, assignmentOf(handle), AbortSignal.timeout(10_000));
  if (handle.startsWith('exit-')) return;
  await expect.poll(() => existsSync(`${world.io}/up`), { timeout: 10_000 }).toBe(true);
  await seen(world.driver, id, 'running');
}

async function ended(): Promise<Machine['exit']> {
  return (await seen(world.driver, id, 'exited')).exit;
}

describe('how a machine ends is on record', () => {
  test('the exit code of the runner', async () => {
    await running('exit-3');
    expect(await ended()).toMatchObject({ result: 'exit-code', code: 'exited', status: '3' });
  });

  test('the processor time of a machine that has no limit of it', async () => {
    expect(world.profile.limits.cpus).toBeUndefined();
    await running('exit-3');
    expect((await ended())?.cpuMs).toBeGreaterThan(0);
  });

  test('a SIGKILL to the whole unit', async () => {
    await running('wait');
    await onHost('systemctl', 'kill', '--signal=KILL', unit);
    expect(await ended()).toMatchObject({ result: 'signal', code: 'killed', status: 'KILL' });
  });

  test('a SIGKILL to nspawn alone, and nothing of the machine lives on', async () => {
    await running('wait');
    await onHost('bash', '-c', `kill -KILL "$(systemctl show -P MainPID ${unit})"`);
    expect(await ended()).toMatchObject({ result: 'signal', code: 'killed', status: 'KILL' });
    await expect.poll(async () => onHost('bash', '-c', 'pgrep -f [f]orgejo-runner/runner || true')).toBe('');
  });

  test('a machine that outlives its runtime limit is ended by the host (the second fence)', async () => {
    await running('wait', 700);
    expect((await ended())?.result).toBe('timeout');
  });

  test('a runner that does not obey is killed after the grace', async () => {
    await running('stubborn');
    const from = performance.now();
    await world.driver.stop(id, 2_000);
    expect(await ended()).toMatchObject({ result: 'timeout', code: 'killed', status: 'KILL' });
    expect(performance.now() - from).toBeGreaterThan(1_800);
  });

  test('a runner that obeys ends at once with its own code', async () => {
    await running('wait');
    await world.driver.stop(id, 2_000);
    expect(await ended()).toMatchObject({ result: 'success', code: 'exited', status: '0' });
  });

  test('a machine whose unit is gone without a record is lost, and is not started again', async () => {
    await running('wait');
    await onHost('systemctl', 'kill', '--signal=KILL', unit);
    await ended();
    await rm(`${world.stateDir}/exits/${id}`);
    expect(await ended()).toEqual({ result: 'lost', code: '', status: '' });
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    expect((await ended())?.result).toBe('lost');
  });
});

describe('a restarted controller', () => {
  test('sees the machines of the one before, assigned and waiting', async () => {
    await running('wait');
    await world.driver.start({ id: 'w0000000001', slot: 1, profile: world.profile, runtimeMaxMs: 60_000 });
    await seen(world.driver, 'w0000000001', 'idle');
    const next = createNspawnDriver(world.input);
    expect((await next.list()).map((machine) => [machine.id, machine.slot, machine.state])).toEqual([
      [id, 0, 'running'],
      ['w0000000001', 1, 'idle'],
    ]);
    await next.assign('w0000000001', assignmentOf('exit-4'), AbortSignal.timeout(5_000));
    expect((await seen(next, 'w0000000001', 'exited')).exit?.status).toBe('4');
  });

  test('finishes a start that was cut short, and removes one that is not wanted any more (I8)', async () => {
    await mkdir(`${world.stateDir}/machines/${id}/root/etc`, { recursive: true });
    await onHost('ip', 'netns', 'add', `forgejo-runner-contract-${id}`);
    expect((await world.driver.list()).map(({ state }) => state)).toEqual(['exited']);
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await seen(world.driver, id, 'idle');
    await rm(`${world.stateDir}/machines/${id}/machine.json`);
    expect((await world.driver.list()).map((machine) => [machine.id, machine.slot])).toEqual([[id, 0]]);
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
  });
});

async function hostPicture(): Promise<string> {
  return onHost(
    'bash',
    '-c',
    `ls -A /run/netns /run/systemd/transient /run/systemd/machines /run/systemd/nspawn/* /var/log/journal 2>/dev/null
    ip -br link | cut -d' ' -f1 | sed 's/@.*//'; machinectl list --no-legend; cut -d' ' -f5 /proc/self/mountinfo | grep /srv/driver; losetup -n -l 2>/dev/null | grep volume; true`,
  );
}

describe('removal', () => {
  test('leaves nothing on the host and nothing in the state directory, even after nspawn was killed', async () => {
    const before = await hostPicture();
    await running('wait');
    expect(await hostPicture()).not.toBe(before);
    expect(await onHost('machinectl', 'list', '--no-legend')).toContain(id);
    await onHost('bash', '-c', `kill -KILL "$(systemctl show -P MainPID ${unit})"`);
    await ended();
    await world.driver.remove(id);
    expect(await hostPicture()).toBe(before);
    expect(await readdir(`${world.stateDir}/machines`)).toEqual([]);
    expect(await readdir(`${world.stateDir}/exits`)).toEqual([]);
  });

  test('of a machine that still starts leaves nothing', async () => {
    const before = await hostPicture();
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
    expect(await hostPicture()).toBe(before);
  });

  test('takes hostile contents and never follows a link out of the root', async () => {
    await writeFile('/srv/precious', 'precious');
    await world.probe(
      id,
      0,
      `cd /root; ln -s /srv/precious a; ln -s / b; ln -s /io c; mkfifo d; ln -s ../../../../../../srv/precious e; mkdir -p -m 0 f/g; touch $'new\\nline' -- -rf; chmod 0 f
       perl -e 'use IO::Socket::UNIX; IO::Socket::UNIX->new(Local => "/root/s", Listen => 1)'
       perl -e 'chdir "/root"; for (1 .. 600) { mkdir "long-name-" x 10; chdir "long-name-" x 10 or die }'`,
    );
    await writeFile(`${world.io}/kept`, 'kept');
    await onHost('bash', '-c', `chattr +i '${world.stateDir}/machines/${id}/root/etc/hosts' || true`);
    await world.driver.remove(id);
    expect(existsSync(`${world.stateDir}/machines/${id}`)).toBe(false);
    expect([await readFile('/srv/precious', 'utf8'), await readFile(`${world.io}/kept`, 'utf8')]).toEqual(['precious', 'kept']);
    await rm('/srv/precious');
  });

  test('takes a mount that somebody made below the root', async () => {
    await running('exit-0');
    await ended();
    await onHost('mount', '-t', 'tmpfs', 'tmpfs', `${world.stateDir}/machines/${id}/root/mnt`);
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
  });
});

describe('what is not ours', () => {
  test('foreign units, namespaces, interfaces, folders and tables are neither listed nor touched (I6)', async () => {
    const strangers = ['forgejo-runner-other-j0000001abc', 'forgejo-runner-contract-x-j0000001abc', 'forgejo-runner-contract-j1'];
    for (const name of strangers) {
      await onHost('ip', 'netns', 'add', name);
      await onHost('systemd-run', '--quiet', `--unit=${name}.service`, 'sleep', '60');
    }
    await onHost('ip', 'link', 'add', 'fr-j0000001abc', 'type', 'veth', 'peer', 'name', 'x0');
    await onHost('nft', 'add', 'table', 'inet', 'forgejo-runner-other');
    await mkdir(`${world.stateDir}/machines/lost+found`, { recursive: true });
    try {
      expect(await world.driver.list()).toEqual([]);
      expect(await world.driver.artefacts()).toEqual([]);
      await world.driver.stop(id, 1_000);
      await world.driver.remove(id);
      await world.driver.check();
      for (const name of strangers) {
        expect(await onHost('systemctl', 'is-active', `${name}.service`)).toBe('active');
        expect(existsSync(`/run/netns/${name}`)).toBe(true);
      }
      expect(existsSync('/sys/class/net/fr-j0000001abc')).toBe(true);
      expect(await onHost('nft', 'list', 'tables')).toContain('forgejo-runner-other');
    } finally {
      for (const name of strangers) {
        await onHost('ip', 'netns', 'del', name);
        await onHost('systemctl', 'stop', `${name}.service`);
      }
      await onHost('ip', 'link', 'del', 'fr-j0000001abc');
      await onHost('nft', 'delete', 'table', 'inet', 'forgejo-runner-other');
    }
  });
});

describe('check', () => {
  test('says every reason at once why a host cannot run machines, with the remedy', async () => {
    await onHost('ip', 'addr', 'add', '192.168.150.1/32', 'dev', 'lo');
    try {
      const { profile } = world;
      const broken = { ...profile, runnerPath: '/nonexistent/runner', template: { kind: 'directory', path: '/nonexistent/root' } as const };
      const attempt = createNspawnDriver({ ...world.input, profiles: [broken] }).check();
      await expect(attempt).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', details: { reasons: { length: 3 } } });
      await expect(attempt).rejects.toThrow(/choose another network.pool/);
      await expect(attempt).rejects.toThrow(/no executable forgejo-runner at \/nonexistent\/runner/);
      await expect(attempt).rejects.toThrow(/\/nonexistent\/root does not exist/);
    } finally {
      await onHost('ip', 'addr', 'del', '192.168.150.1/32', 'dev', 'lo');
    }
  });

  test('a pool in which another controller of this host has a machine is refused, and its own machines are no reason', async () => {
    await onHost('ip', 'link', 'add', 'fr-j0000002abc', 'type', 'veth', 'peer', 'name', 'frc-peer');
    try {
      await onHost('ip', 'link', 'set', 'fr-j0000002abc', 'alias', 'forgejo-runner-controller:neighbour');
      await onHost('ip', 'addr', 'add', '192.168.150.10/24', 'dev', 'fr-j0000002abc');
      for (const end of ['fr-j0000002abc', 'frc-peer']) await onHost('ip', 'link', 'set', end, 'up');
      await expect(createNspawnDriver(world.input).check()).rejects.toThrow(
        /a machine of the controller `neighbour`.*choose another network.pool/,
      );
      await onHost('ip', 'link', 'set', 'fr-j0000002abc', 'alias', `forgejo-runner-controller:${world.input.controllerId}`);
      await createNspawnDriver(world.input).check();
    } finally {
      await onHost('ip', 'link', 'del', 'fr-j0000002abc');
    }
  });

  test('a forgejo-runner that is too old is refused by its version', async () => {
    const runnerPath = `${world.io}/old-runner`;
    await writeFile(runnerPath, '#!/bin/sh\necho forgejo-runner version v12.4.0\n', { mode: 0o755 });
    const attempt = createNspawnDriver({ ...world.input, profiles: [{ ...world.profile, runnerPath }] }).check();
    await expect(attempt).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE' });
    await expect(attempt).rejects.toThrow(/is version 12\.4\.0: forgejo-runner 12\.8\.2 or newer is needed/);
  });

  test('run again it restores rules that somebody flushed, and disturbs nothing that runs', async () => {
    await running('wait');
    await onHost('nft', 'flush', 'ruleset');
    await world.driver.check();
    expect(await onHost('nft', 'list', 'tables')).toContain('forgejo-runner-contract');
    expect((await world.driver.list()).map(({ state }) => state)).toEqual(['running']);
  });
});
