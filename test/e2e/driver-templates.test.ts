// Promises that every kind of template keeps the whole contract of the driver, and what each adds: a job that asks its machine's own systemd,
// programs and settings of a Nix environment, and roots that keep the Nix store from collecting what a machine is made of.

import { createHash } from 'node:crypto';
import { access, appendFile, readFile, readlink, symlink, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createNspawnDriver } from '../../src/driver/nspawn.ts';
import { assignmentOf, driverContract, seen } from '../contract/driver-contract.ts';
import { createNspawnWorld, onHost, type NspawnWorld, type WorldOptions } from '../contract/nspawn-world.ts';
import { makeStoreLike, storeLike } from '../support/store-like.ts';

const id = 'j0000001abc';
const debian = '/var/lib/machines/debian';
const root = `/nix/var/nix/gcroots/forgejo-runner-controller/templates-${id}`;
const kinds: Readonly<Record<'system' | 'nix-env' | 'nixos', WorldOptions>> = {
  system: { template: { kind: 'system', path: debian } },
  'nix-env': { template: { kind: 'nix-env', path: storeLike.environment } },
  nixos: { template: { kind: 'nixos', path: storeLike.system }, binds: storeLike.loader },
};

let unmake: () => Promise<void>;
beforeAll(async () => {
  unmake = await makeStoreLike();
});
afterAll(async () => unmake());

const controllerId = 'templates';
driverContract('the nspawn driver with a system of its own', async () => createNspawnWorld({ controllerId, ...kinds.system }));
driverContract('the nspawn driver with a Nix environment', async () => createNspawnWorld({ controllerId, ...kinds['nix-env'] }));

let world: NspawnWorld;
async function use(kind: keyof typeof kinds, more: WorldOptions = {}): Promise<NspawnWorld> {
  world = await createNspawnWorld({ controllerId, ...kinds[kind], ...more });
  await world.driver.check();
  return world;
}

describe.each(['system', 'nixos'] as const)('a machine of kind %s', (kind) => {
  afterEach(async () => world.close());

  test('runs its job in a unit of its own systemd, which is up and takes orders from the job', async () => {
    await use(kind);
    const { output, code } = await world.probe(
      id,
      0,
      `systemctl is-system-running --wait; systemctl show -p ActiveState --value multi-user.target; ps -o comm= -p 1; tr -d '\\0' </proc/1/comm
       printf '[Service]\\nExecStart=/bin/sh -c "echo from a service >/tmp/said"\\nType=oneshot\\n' >/run/systemd/system/mine.service
       systemctl daemon-reload; systemctl start mine.service; cat /tmp/said; systemd-run --quiet --wait --pipe echo transient; systemctl --failed --no-legend`,
    );
    expect(output.split('\n')).toEqual(['running', 'active', 'systemd', 'systemd', 'from a service', 'transient']);
    expect(code).toBe(0);
  });

  test("ends with its runner's code, says what the runner said, and does not outlive it by its services", async () => {
    await use(kind);
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await world.driver.assign(id, assignmentOf('exit-7'), AbortSignal.timeout(20_000));
    expect((await seen(world.driver, id, 'exited')).exit).toMatchObject({ result: 'exit-code', code: 'exited', status: '7' });
    expect(await world.driver.output(id)).toContain('this is the runner');
  });

  test('ends when its job turns it off, and nothing is left', async () => {
    await use(kind);
    await writeFile(`${world.io}/script`, 'systemctl poweroff; sleep 30');
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await world.driver.assign(id, assignmentOf('probe'), AbortSignal.timeout(20_000));
    await seen(world.driver, id, 'exited');
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
  });
});

describe('a machine of the Nix store', () => {
  afterEach(async () => world.close());

  test('finds programs, certificates and settings of its environment, and the store read-only', async () => {
    await use('nix-env');
    const { output } = await world.probe(
      id,
      0,
      `command -v git-or-not || echo none; command -v sed; [ -s "$SSL_CERT_FILE" ] && echo certificates; cut -d: -f1 /etc/passwd | head -1
       touch /nix/store/mine 2>&1 | grep -o 'Read-only file system'; rm -rf ${storeLike.environment}/etc 2>/dev/null; touch /usr/bin/mine 2>/dev/null && echo wrote
       stat -c %U ${storeLike.environment}; ls /nix/var/nix; ls /nix/store | wc -l; mkdir /var/lib/mine /home/me && echo writable`,
    );
    const programs = `${storeLike.environment}/bin/sed`;
    expect(output.split('\n')).toEqual(['none', programs, 'certificates', 'root', 'Read-only file system', 'root', '3', 'writable']);
    await access(`${storeLike.environment}/etc/ssl/certs/ca-bundle.crt`);
  });

  test('is held in the store while it is there, by a root of its own, which goes with it', async () => {
    const link = '/srv/templates-current';
    await symlink(storeLike.environment, link);
    try {
      await use('nix-env', { template: { kind: 'nix-env', path: link } });
      await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
      expect(await readlink(root)).toBe(storeLike.environment);
      await seen(world.driver, id, 'idle');
      expect((await world.driver.artefacts()).filter(({ kind }) => kind === 'gc-root')).toEqual([{ kind: 'gc-root', name: root }]);
      await world.driver.remove(id);
      await expect(readlink(root)).rejects.toThrow('ENOENT');
    } finally {
      await unlink(link);
    }
  });

  test('of one environment start at once on a host that has no Nix to evaluate with', async () => {
    await use('nix-env');
    expect(await onHost('sh', '-c', 'command -v nix nix-build nix-instantiate || true')).toBe('');
    const ids = Array.from({ length: 16 }, (_, slot) => `j0000002ab${slot.toString(16)}`);
    await Promise.all(ids.map((one, slot) => world.driver.start({ id: one, slot, profile: world.profile, runtimeMaxMs: 60_000 })));
    for (const one of ids) expect((await seen(world.driver, one, 'idle')).state).toBe('idle');
    await Promise.all(ids.map((one) => world.driver.remove(one)));
    expect(await world.driver.artefacts()).toEqual([]);
  });

  test("a root whose machine is lost is found and removed, and other people's stay (I6)", async () => {
    await use('nix-env');
    const foreign = `${root.slice(0, -id.length)}somebody`;
    await onHost('mkdir', '-p', dirname(root));
    for (const path of [root, `${root}.runner`, foreign]) await symlink(storeLike.environment, path);
    expect((await world.driver.list()).map((machine) => machine.id)).toEqual([id]);
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
    expect(await readlink(foreign)).toBe(storeLike.environment);
    await unlink(foreign);
  });

  test('a template that is no part of the store, or lacks what it needs, is refused with what to do', async () => {
    for (const [template, sentence] of [
      [{ kind: 'nix-env', path: '/srv' }, 'is not in /nix/store'],
      [{ kind: 'nix-env', path: `${storeLike.environment}/etc` }, 'has no bin/sh and no bin/env'],
      [{ kind: 'nixos', path: storeLike.environment }, 'has no init and no sw/bin/sh'],
      [{ kind: 'system', path: storeLike.environment }, 'no root directory'],
    ] as const) {
      const other = await createNspawnWorld({ controllerId, template });
      await expect(other.driver.check()).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', message: expect.stringContaining(sentence) });
      await other.close();
    }
    await use('nix-env');
  });
});

describe('a pinned runner', () => {
  afterEach(async () => world.close());

  test('starts machines, and one that was changed under its pin starts none, with both values said', async () => {
    await use('nix-env');
    const { runnerPath } = world.profile;
    const sha256 = async (): Promise<string> =>
      createHash('sha256')
        .update(await readFile(runnerPath))
        .digest('hex');
    const pin = await sha256();
    const profile = { ...world.profile, runnerSha256: pin };
    await world.driver.start({ id, slot: 0, profile, runtimeMaxMs: 60_000 });
    await seen(world.driver, id, 'idle');
    await world.driver.remove(id);
    await appendFile(runnerPath, '# changed\n');
    const said = expect.stringMatching(new RegExp(`${await sha256()}.*${pin}`));
    await expect(world.driver.start({ id, slot: 0, profile, runtimeMaxMs: 60_000 })).rejects.toMatchObject({ message: said });
    expect(await world.driver.artefacts()).toEqual([]);
    const other = createNspawnDriver({ ...world.input, profiles: [profile] });
    await expect(other.check()).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', message: said });
  });
});
