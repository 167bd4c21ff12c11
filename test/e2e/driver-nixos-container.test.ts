// Promises that the driver nixos-container keeps the contract on a real host, with the stand-in of the CLI and real units, confines its machines
// as the driver nspawn does, leaves nothing wherever it was cut off, and lets other people's containers be.

import { existsSync } from 'node:fs';
import { appendFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Machine } from '../../src/core/model.ts';
import { uidBaseOf } from '../../src/core/subnets.ts';
import { createNixosContainerDriver } from '../../src/driver/nixos-container.ts';
import { createNspawnDriver } from '../../src/driver/nspawn.ts';
import { assignmentOf, driverContract, seen, token } from '../contract/driver-contract.ts';
import { createNspawnWorld, onHost, type NspawnWorld } from '../contract/nspawn-world.ts';
import { installNixosContainer, standInSystem, standInTools as nixosContainer } from '../support/nixos-container.ts';

const options = { nixosContainer, template: { kind: 'nixos', path: standInSystem } } as const;
const id = 'j0000001abc';
const unit = `container@${id}.service`;
const conf = `${nixosContainer.configurationDirectory}/${id}.conf`;
const cli = nixosContainer.program;

let dispose: () => Promise<void>;
beforeAll(async () => {
  ({ dispose } = await installNixosContainer());
});
afterAll(async () => dispose());

driverContract('the nixos-container driver', async () => createNspawnWorld(options));

/** Everything that a container could leave on a host. */
const hostPicture = (): Promise<string> =>
  onHost(
    'bash',
    '-c',
    `cd /nix/var/nix; find /run/netns /run/systemd/{transient,machines,system,system.control} /run/systemd/nspawn/* /var/log/journal /etc/nixos-containers \
       /var/lib/nixos-containers {profiles,gcroots}/per-container gcroots/forgejo-runner-controller -mindepth 1 -maxdepth 1 2>/dev/null | sort
     ip -br link | cut -d' ' -f1 | sed 's/@.*//'; machinectl list --no-legend; systemctl list-units --all --no-legend 'container@*'
     cut -d' ' -f5 /proc/self/mountinfo | grep /srv/driver; true`,
  );

describe('the nixos-container driver', () => {
  let world: NspawnWorld;
  let before: string;
  beforeEach(async () => {
    world = await createNspawnWorld(options);
    await world.driver.check();
    before = await hostPicture();
  });
  afterEach(async () => world.close());

  async function start(machine = id, slot = 0): Promise<void> {
    await world.driver.start({ id: machine, slot, profile: world.profile, runtimeMaxMs: 60_000 });
  }

  /** Starts the machine and hands it that job; one that goes on is waited for until it has begun. */
  async function running(handle: string): Promise<void> {
    await start();
    await world.driver.assign(id, assignmentOf(handle), AbortSignal.timeout(60_000));
    await expect.poll(() => existsSync(`${world.io}/up`), { timeout: 60_000 }).toBe(true);
  }
  const ended = async (): Promise<Machine['exit']> => (await seen(world.driver, id, 'exited')).exit;

  async function nothingIsLeft(): Promise<void> {
    expect(await world.driver.artefacts()).toEqual([]);
    expect(await hostPicture()).toBe(before);
    expect(await readdir(`${world.stateDir}/machines`)).toEqual([]);
  }

  test('lends a job what one of its repository kept, as the driver nspawn does', async () => {
    const profile = { ...world.profile, cache: { path: '/cache', maxBytes: 64 * 1024 ** 2, maxAgeMs: 3_600_000 } };
    const said: string[] = [];
    for (const [slot, name] of [[0, 7] as const, [1, 7] as const, [2, 8] as const]) {
      const script = 'cat "$RUNNER_CACHE_DIR"/*; hostname >"$RUNNER_CACHE_DIR/mark"';
      said.push((await world.probe(id, slot, script, profile, `main-0123456789ab/default-${name}`)).output);
      await world.driver.remove(id);
    }
    expect(said).toEqual([expect.stringContaining('No such file'), id, expect.stringContaining('No such file')]);
    expect(await hostPicture()).toBe(before);
  });

  test('gives a job a user namespace, few rights, its own network behind our rules, and neither the token nor the daemon of Nix (I7)', async () => {
    const server = createServer().listen(0, '0.0.0.0');
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    await writeFile(`${world.io}/needle`, token);
    const { output } = await world.probe(
      id,
      7,
      `echo map $(cat /proc/self/uid_map); sed -n 's/^\\(Seccomp\\|NoNewPrivs\\|CapEff\\):\\s*/\\1 /p' /proc/self/status
       echo first $(cat /proc/1/comm); echo address $(ip -4 -br address show eth0); echo price "$PRICE"; echo user "$(id -un) $HOME"
       echo resolvers $(grep -c nameserver /etc/resolv.conf)
       mount -t tmpfs x /mnt 2>/dev/null && echo mounted; ip link set eth0 down 2>/dev/null && echo unplugged
       timeout 2 bash -c 'echo >/dev/tcp/192.168.107.10/${String(port)}' 2>/dev/null && echo reached the host
       all=$(cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'); [[ $all == *"$(cat /io/needle)"* ]] && echo token in processes
       grep -rlF -f /io/needle /run /tmp /etc /root /var /home 2>/dev/null | sed 's/^/token in file /'
       ls /nix/var/nix/daemon-socket/* /nix/var/nix/db/* 2>/dev/null; touch /nix/store/mine 2>/dev/null && echo wrote; true`,
    );
    server.close();
    expect(output.split('\n')).toEqual([
      `map 0 ${uidBaseOf({ first: '192.168.100.0', last: '192.168.199.255', prefix: 24 }, 7)} 65536`,
      'CapEff 00000000800401fb',
      'NoNewPrivs 1',
      'Seccomp 2',
      'first systemd',
      expect.stringMatching(/^address eth0@\w+ UP 192\.168\.107\.11\/24$/),
      'price 5$ ${HOME} 100%',
      'user root /root',
      expect.stringMatching(/^resolvers \d$/),
    ]);
    expect(await onHost('bash', '-c', `grep -rlF ${token} ${world.stateDir} ${conf} /run/systemd/system 2>/dev/null || true`)).toBe('');
  });

  test('keeps the limits, the second fence and what a machine used', async () => {
    const limits = { cpus: 1.5, memoryBytes: 150 * 1024 ** 2, tasks: 300 };
    const spec = { id, slot: 0, profile: { ...world.profile, limits }, runtimeMaxMs: 1_000 };
    await world.driver.start(spec);
    const shown = await onHost('systemctl', 'show', '-p', 'MemoryMax,MemorySwapMax,CPUQuotaPerSecUSec,TasksMax,Slice,Restart', unit);
    const wanted = [
      expect.stringMatching(/^CPUQuotaPerSecUSec=1\.50*s$/),
      'MemoryMax=157286400',
      'MemorySwapMax=0',
      'Restart=no',
      'Slice=machine-forgejorunners.slice',
    ];
    expect(shown.split('\n').toSorted()).toEqual([...wanted, 'TasksMax=300']);
    expect(await ended()).toMatchObject({ result: 'timeout', cpuMs: expect.any(Number) });
  });

  test.each([
    ['its job reboots it', 'systemctl reboot; sleep 30', { result: 'exit-code', code: 'exited' }],
    ['its job turns it off', 'systemctl poweroff; sleep 30', { code: 'exited' }],
  ])('a machine ends when %s, and is not begun again', async (_, script, exit) => {
    await writeFile(`${world.io}/script`, `echo up >/io/up; ${script}`);
    await running('probe');
    expect(await ended()).toMatchObject(exit);
    await world.driver.remove(id);
    await nothingIsLeft();
  });

  test('a machine whose nspawn is killed is not begun again, and leaves nothing', async () => {
    await running('wait');
    await onHost('bash', '-c', `kill -KILL "$(systemctl show -P MainPID ${unit})"`);
    expect(await ended()).toMatchObject({ result: 'signal', code: 'killed', status: 'KILL' });
    await expect.poll(async () => onHost('bash', '-c', 'pgrep -f [f]orgejo-runner/init || true')).toBe('');
    await world.driver.remove(id);
    await nothingIsLeft();
  });

  test('says in the journal of the host what the machine said', async () => {
    await running('wait');
    await expect.poll(async () => world.driver.output(id), { timeout: 10_000 }).toContain('this is the runner');
  });

  test('a machine that is removed while it starts, at whatever moment, leaves nothing', async () => {
    await start();
    await world.driver.remove(id);
    await nothingIsLeft();
    for (const path of [`${world.stateDir}/machines/${id}/root/etc/machine-id`, `/run/systemd/machines/${id}`]) {
      await start();
      await expect.poll(() => existsSync(path), { interval: 1 }).toBe(true);
      await world.driver.remove(id);
      await nothingIsLeft();
    }
  });

  test('ten machines, five at a time, leave nothing', async () => {
    for (const round of ['aaa', 'bbb']) {
      const ids = [0, 1, 2, 3, 4].map((number) => `j000000${number}${round}`);
      await Promise.all(
        ids.map(async (machine, index) => {
          await start(machine, index);
          await world.driver.assign(machine, assignmentOf('exit-0'), AbortSignal.timeout(60_000));
          await seen(world.driver, machine, 'exited');
          await world.driver.remove(machine);
        }),
      );
    }
    expect(await world.driver.list()).toEqual([]);
    await nothingIsLeft();
  });

  test('a create that was cut off is swept, or finished by the next start (I8)', async () => {
    const cut = `${nixosContainer.configurationDirectory}/.cut`;
    for (const then of ['remove', 'start'] as const) {
      await writeFile(cut, '');
      await expect(start()).rejects.toMatchObject({ code: 'DRIVER_FAILED' });
      await rm(cut);
      expect(existsSync(conf)).toBe(true);
      const next = createNixosContainerDriver({ ...world.input, nixosContainer });
      expect((await next.list()).map((machine) => [machine.id, machine.state])).toEqual([[id, 'exited']]);
      if (then === 'start') await start();
      if (then === 'start') await seen(world.driver, id, 'idle');
      await next.remove(id);
      await nothingIsLeft();
    }
  });

  test.each(['runs', 'ended'])(
    'a machine that %s and whose state was lost is found by the mark of its conf, and removed (I8)',
    async (then) => {
      await running('wait');
      if (then === 'ended') {
        await onHost('systemctl', 'kill', '--signal=KILL', unit);
        await ended();
      }
      // Also nspawn's lock on the root, which nobody could find without the root.
      await onHost('bash', '-c', 'rm -f /run/systemd/nspawn/locks/*');
      await onHost('rm', '-rf', `/run/systemd/system/${unit}.d`, `${world.stateDir}/machines/${id}`, `${world.stateDir}/exits/${id}`);
      await onHost('ip', 'netns', 'del', `forgejo-runner-contract-${id}`);
      expect((await world.driver.list()).map((machine) => [machine.id, machine.state])).toEqual([
        [id, then === 'runs' ? 'running' : 'exited'],
      ]);
      await world.driver.remove(id);
      await expect.poll(hostPicture).toBe(before);
      await nothingIsLeft();
    },
  );

  test('containers of others are neither listed nor touched, whatever their names (I6)', async () => {
    const marks = ['', 'FORGEJO_RUNNER_CONTROLLER=another\n', 'FORGEJO_RUNNER_CONTROLLER=contract-x\n'];
    const names = ['stranger', 'j0000001abc', 'j0000002abc'] as const;
    for (const [index, name] of names.entries()) {
      await onHost(cli, 'create', name, '--system-path', standInSystem);
      const file = `${nixosContainer.configurationDirectory}/${name}.conf`;
      await appendFile(file, `COPY_RESOLV_CONF=0\n${marks[index] ?? ''}`);
    }
    await onHost(cli, 'start', 'j0000001abc');
    try {
      const with3 = await hostPicture();
      expect(await world.driver.list()).toEqual([]);
      expect(await world.driver.artefacts()).toEqual([]);
      for (const name of names.slice(1)) {
        await expect(start(name)).rejects.toThrow(/is named j000000.abc/);
        await world.driver.stop(name, 1_000);
        await world.driver.remove(name);
      }
      expect(await hostPicture()).toBe(with3);
      expect(await onHost(cli, 'status', 'j0000001abc')).toBe('up');
      expect((await onHost(cli, 'list')).split('\n').toSorted()).toEqual(names.toSorted());
    } finally {
      for (const name of names) {
        await onHost('systemctl', 'stop', `container@${name}`);
        await onHost(cli, 'destroy', name);
      }
      await onHost('bash', '-c', 'find /var/log/journal -xtype l -delete');
    }
    await nothingIsLeft();
  });

  test('a CLI that keeps its confs elsewhere leaves no container, and is told', async () => {
    const tools = { ...nixosContainer, configurationDirectory: '/srv/no-confs' };
    const driver = createNixosContainerDriver({ ...world.input, driver: 'nixos-container', nixosContainer: tools });
    const attempt = driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await expect(attempt).rejects.toThrow(/it made no \/srv\/no-confs\/j0000001abc.conf: set nixosContainer.configurationDirectory/);
    await driver.remove(id);
    await nothingIsLeft();
  });

  test('a host that cannot run containers is told why, all reasons at once, and neither driver begins beside machines of the other one', async () => {
    const { input } = world;
    const profile = { ...world.profile, binds: [{ source: '/srv', target: '/a b', writable: false }] };
    const tools = { ...nixosContainer, program: '/nonexistent/nixos-container' };
    const attempt = createNixosContainerDriver({ ...input, driver: 'nixos-container', profiles: [profile], nixosContainer: tools }).check();
    await expect(attempt).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', details: { reasons: { length: 2 } } });
    await expect(attempt).rejects.toThrow(/boot.enableContainers = true/);
    await expect(attempt).rejects.toThrow(/\/a b holds a blank/);
    await start();
    const other = createNspawnDriver({ ...input, driver: 'nspawn', nixosContainer });
    await expect(other.check()).rejects.toThrow(/Machines of the driver nixos-container are there \(j0000001abc\).*drains/);
    await world.driver.remove(id);
    await other.check();
  });
});
