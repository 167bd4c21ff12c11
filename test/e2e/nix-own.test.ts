// Promises jobs a Nix store of their machine's own, shown by the real Nix: what a job builds is in its machine and gone with it, the store below
// cannot be written to by whoever is root in there, a system has its own daemon, and what cannot have such a store is refused with a remedy.

import { existsSync } from 'node:fs';
import { mkdir, rm, symlink, unlink } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { createNspawnWorld, onHost, type NspawnWorld, type WorldOptions } from '../contract/nspawn-world.ts';
import { findingsOf, openScene } from '../support/service-scene.ts';
import { installRunner } from '../support/service.ts';
import { makeStoreLike, storeLike } from '../support/store-like.ts';
import { addNix, programs, withNix } from '../support/store-like-nix.ts';

const offline: Partial<Profile> = {
  nixAccess: 'own',
  environment: { NIX_LIBEXEC_DIR: `${withNix.nix}/libexec`, NIX_CONFIG: 'substituters =' },
};
const kinds = {
  'nix-env': { template: { kind: 'nix-env', path: withNix.environment } },
  nixos: { template: { kind: 'nixos', path: withNix.system }, binds: storeLike.loader },
  directory: {
    template: { kind: 'directory', path: withNix.directory },
    profile: { ...offline, environment: { NIX_CONFIG: 'substituters =', NIX_LIBEXEC_DIR: '/opt/nix/libexec' } },
  },
  host: { template: { kind: 'host' } },
} as const satisfies Readonly<Record<string, WorldOptions>>;

/** A shell command that builds something and prints its path. */
const build = (name: string, command = 'echo made >$out'): string =>
  `nix-build --no-out-link --expr 'derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "${command}" ]; }'`;
/** Everything below the host's store, with what could be changed about it. */
const hostStore = async (): Promise<string> =>
  onHost('sh', '-c', "find /nix/store /nix/var/nix/db -printf '%p %i %m %U %s %T@\\n' | sha256sum");

const id = 'j0000001abc';
let world: NspawnWorld;
async function use(kind: keyof typeof kinds, more: WorldOptions = {}): Promise<NspawnWorld> {
  world = await createNspawnWorld({ controllerId: 'own', profile: offline, ...kinds[kind], ...more });
  await world.driver.check();
  return world;
}

let unmake: (() => Promise<void>) | undefined;
beforeAll(async () => {
  if (!existsSync(programs)) return;
  unmake = await makeStoreLike();
  await addNix();
});
afterAll(async () => {
  await rm(withNix.directory, { recursive: true, force: true });
  await unmake?.();
});

describe.runIf(existsSync(programs))("a Nix store of the machine's own", () => {
  afterEach(async () => world.close());

  test('takes what a job builds, knows what its machine is made of, and flakes need no network', async () => {
    await use('nix-env');
    const { output, code } = await world.probe(
      id,
      0,
      `set -e; exec 2>/tmp/log; trap 'cat /tmp/log' EXIT
       nix-store --query --requisites ${withNix.environment} | wc -l
       out=$(${build('mine')}); cat "$out"; stat -c '%U %a' "$out"; nix-store --query --hash "$out" | cut -c1-7
       mkdir /tmp/flake; cat >/tmp/flake/flake.nix <<'END'
       { outputs = _: { answer = 6 * 7; packages.x86_64-linux.default = derivation { name = "of-a-flake"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo flake >$out" ]; }; }; }
END
       nix eval path:/tmp/flake#answer; nix build --out-link /tmp/result path:/tmp/flake; cat /tmp/result; trap - EXIT`,
    );
    expect(output.split('\n')).toEqual(['3', 'made', 'root 444', 'sha256:', '42', 'flake']);
    expect(code).toBe(0);
  });

  test('is empty of what the job before built, whose machine left nothing, and the store of the host is as it was', async () => {
    await use('nix-env');
    const before = await hostStore();
    const script = `ls /nix/store | grep -c -- '-secret$'; out=$(${build('secret')} 2>/tmp/log) && cat "$out"; grep -c '^building ' /tmp/log`;
    const first = await world.probe(id, 0, script);
    expect(first).toEqual({ code: 0, output: '0\nmade\n1' });
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
    expect(await world.probe('j0000002def', 1, script)).toEqual(first);
    expect(await hostStore()).toBe(before);
  });

  test('lies over one that root of the machine can neither write to nor uncover, and may be emptied', async () => {
    await use('nix-env');
    const before = await hostStore();
    const { output } = await world.probe(
      id,
      0,
      `touch /.nix/lower/mine 2>&1 | grep -o 'Read-only file system'; mount -o remount,rw /.nix/lower 2>/dev/null || echo kept; umount /nix/store 2>/dev/null || echo covered
       echo mine >${withNix.environment}/mine; rm -r ${storeLike.environment}; chown 1 ${withNix.nix}/bin/nix; nix-store --gc >/dev/null 2>&1
       ls /nix/store | cut -d- -f2- | sort`,
    );
    // Collected is what its template is not made of; that stays.
    expect(output.split('\n')).toEqual(['Read-only file system', 'kept', 'covered', 'debian-files', 'environment-with-nix', 'nix']);
    expect(await hostStore()).toBe(before);
  });

  test("counts against the machine's disk, and is full before the host's is", async () => {
    await use('nix-env', { limits: { diskBytes: 64 * 1024 ** 2 } });
    const large = build('large', `${withNix.files}/usr/bin/head -c 100000000 /dev/zero >$out`);
    const { output } = await world.probe(id, 0, `cat $(${build('small')}); ${large} 2>&1 | grep -o 'No space left on device' | sort -u`);
    expect(output).toContain('made\nNo space left on device');
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
  });

  test('of a system has a daemon of its own, which builds as users of its own for whom it does not trust', async () => {
    await use('nixos');
    const before = await hostStore();
    const { output } = await world.probe(
      id,
      0,
      `ask() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME=/tmp/home NIX_REMOTE=daemon "$@"; }; mkdir -m 777 /tmp/home
       out=$(ask ${build('by-the-daemon', `${withNix.files}/usr/bin/id -u >$out`)} 2>/tmp/log) || cat /tmp/log; cat "$out"; stat -c %U "$out"
       systemctl is-active nix-daemon.service; journalctl -o cat -u nix-daemon | grep -o 'user nobody.*' | sort -u
       cat $(${build('by-root')} 2>/dev/null); nix-store --query --requisites ${withNix.system} | wc -l`,
    );
    expect(output.split('\n')).toEqual(['30001', 'root', 'active', 'user nobody', 'made', '4']);
    expect(await hostStore()).toBe(before);
  });

  test('of a directory is what that directory has, with settings that work for who has no users to build as', async () => {
    await use('directory');
    const { output } = await world.probe(
      id,
      0,
      `nix-build --version | cut -d' ' -f1; cat $(${build('mine')} 2>/tmp/log) || cat /tmp/log; nix eval --expr '6 * 7'`,
    );
    expect(output).toBe('nix-build\nmade\n42');
  });

  test("of the host's own programs has the Nix of its installer, where that is what the host has", async () => {
    const profile = '/nix/var/nix/profiles/default';
    await mkdir('/nix/var/nix/profiles', { recursive: true });
    await symlink(withNix.profile, profile);
    try {
      await use('host');
      const { output } = await world.probe(
        id,
        0,
        `command -v nix-store; cat $(${build('mine')} 2>/tmp/log) || cat /tmp/log; nix-store --query --requisites ${profile} | wc -l`,
      );
      expect(output).toBe(`${profile}/bin/nix-store\nmade\n2`);
    } finally {
      await unlink(profile);
    }
  });

  test('is refused to what has no Nix, to what the host does not know, and to a system that builds in a sandbox', async () => {
    await use('nix-env');
    for (const [template, sentence] of [
      [{ kind: 'nix-env', path: storeLike.environment }, `there is no ${storeLike.environment}/bin/nix-store. Install Nix there`],
      [{ kind: 'directory', path: '/var/lib/machines/debian' }, 'there is no usr/bin/nix-store. Install Nix there'],
      [{ kind: 'host' }, 'there is no /usr/bin/nix-store, and none at /nix/var/nix/profiles/default'],
      [{ kind: 'nix-env', path: withNix.unknown }, `the Nix of this host does not know ${withNix.unknown}`],
      [{ kind: 'nixos', path: withNix.sandboxed }, 'Write nix.settings.sandbox = false in its configuration'],
    ] as const) {
      const other = await createNspawnWorld({ controllerId: 'own', template, profile: offline });
      await expect(other.driver.check()).rejects.toMatchObject({ code: 'DRIVER_UNAVAILABLE', message: expect.stringContaining(sentence) });
      await other.close();
    }
  });
});

describe.runIf(existsSync(programs))('a job through the service, in its sandbox', () => {
  test('builds in a store of its own, of a template that the Nix of the host knows', async () => {
    const closers: (() => Promise<void>)[] = [];
    const scene = await openScene((close) => closers.push(close));
    try {
      const { bind } = await installRunner();
      const { template } = kinds['nix-env'];
      const { environment } = offline;
      const service = await scene.start({
        profiles: [{ name: 'own', labels: ['debian'], template, nix: { access: 'own' }, environment, binds: [bind] }],
      });
      const job = await scene.done(
        service,
        await scene.queue(`echo "@made $(cat $(${build('by-a-job')}))"; echo "@remote $NIX_REMOTE"`),
        60_000,
      );
      expect(findingsOf(job)).toMatchObject({ made: 'made', remote: '' });
      expect(job.status).toBe('success');
      await scene.clean(service);
      expect(await onHost('sh', '-c', 'ls /nix/store | grep -c by-a-job || true')).toBe('0');
    } finally {
      for (const close of closers) await close();
    }
  });
});
