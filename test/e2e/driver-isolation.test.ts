// Promises what a job cannot do, asked from inside a real machine: see others, keep the token, gain rights, reach the host or private
// networks, or take more than its limits.

import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Template } from '../../src/core/model.ts';
import { uidBaseOf } from '../../src/core/subnets.ts';
import { allowedCalls, deniedCalls, keptCapabilities } from '../../src/driver/confinement.ts';
import { assignmentOf, seen, token } from '../contract/driver-contract.ts';
import { createNspawnWorld, onHost } from '../contract/nspawn-world.ts';
import type { NspawnWorld, WorldOptions } from '../contract/nspawn-world.ts';
import { makeStoreLike, storeLike } from '../support/store-like.ts';

const id = 'j0000001abc';
const other = 'j0000002def';
const MiB = 1024 * 1024;

let world: NspawnWorld;
async function use(options: WorldOptions): Promise<NspawnWorld> {
  world = await createNspawnWorld({ controllerId: 'isolation', ...options });
  await world.driver.check();
  return world;
}
afterEach(async () => world.close());

/** Text of lines `name value`. */
function facts(output: string): Record<string, string> {
  return Object.fromEntries(output.split('\n').map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

const debian = '/var/lib/machines/debian';
const templates: readonly Template[] = [
  { kind: 'host' },
  { kind: 'directory', path: debian },
  { kind: 'system', path: debian },
  { kind: 'nix-env', path: storeLike.environment },
];

let unmake: () => Promise<void>;
beforeAll(async () => {
  unmake = await makeStoreLike();
});
afterAll(async () => unmake());

describe.each(templates)('from inside a machine of template $kind', (template) => {
  beforeEach(async () => use({ template }));

  test('root is root inside only, without the rights that a build has no use for', async () => {
    const { output } = await world.probe(
      id,
      7,
      `echo uid $(id -u); echo map $(cat /proc/self/uid_map); sed -n 's/^\\(Seccomp\\|NoNewPrivs\\|CapBnd\\|CapEff\\):\\s*/\\1 /p' /proc/self/status
       echo owner $(stat -c %U /usr/bin/env); echo host $(hostname); echo price "$PRICE"; echo home "$HOME"
       echo others $(ls -A / | grep -cE '^(machines|state|exits)$'); echo tmp $(stat -f -c %T /tmp); echo mode $(stat -c %a /tmp)
       : >/etc/mine && : >/root/mine && : >/var/tmp/mine && echo writable yes
       chsh=$(mount -t tmpfs x /mnt 2>&1) && echo mount yes; mknod /tmp/sda b 8 0 2>/dev/null && echo mknod yes; ip link set eth0 down 2>/dev/null && echo net yes
       hostname evil 2>/dev/null && echo renamed yes; echo 1 2>/dev/null >/proc/sys/kernel/panic && echo sysctl yes; true`,
    );
    const seenInside = facts(output);
    expect(seenInside).toMatchObject({
      uid: '0',
      map: `0 ${uidBaseOf({ first: '192.168.100.0', last: '192.168.199.255', prefix: 24 }, 7)} 65536`,
      Seccomp: '2',
      NoNewPrivs: '1',
      owner: 'root',
      host: id,
      price: '5$ ${HOME} 100%',
      home: '/root',
      others: '0',
      mode: '1777',
      writable: 'yes',
    });
    expect(seenInside['tmp']).not.toBe('tmpfs');
    for (const forbidden of ['mount', 'mknod', 'net', 'renamed', 'sysctl']) expect(seenInside).not.toHaveProperty(forbidden);
    const bits = keptCapabilities.map((name) => capabilityBits[name] ?? Number.NaN);
    expect(BigInt(`0x${seenInside['CapBnd'] ?? ''}`)).toBe(bits.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n));
  });

  test('the token is nowhere once the job runs: no argument, environment or file (I7)', async () => {
    const { output, code } = await world.probe(
      id,
      0,
      `needle=$(printf %s%s ${token.slice(0, 20)} ${token.slice(20)}) # never an argument of a process that the search would then find
       all=$(cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'); [[ $all == *"$needle"* ]] && echo in processes
       grep -rlF -f <(echo "$needle") /run /tmp /etc /root /var /home 2>/dev/null | sed 's/^/in file /'
       ls -A /run/forgejo-runner/assign | sed 's/^/left /'; cat /io/token-length; exit 0`,
    );
    expect([output, code]).toEqual([String(token.length), 0]);
    expect(await onHost('bash', '-c', `grep -rlF ${token} ${world.stateDir} /run/systemd/transient 2>/dev/null || true`)).toBe('');
    expect(await onHost('bash', '-c', `journalctl --no-pager -o cat | grep -cF ${token} || true`)).toBe('0');
  });

  test("the template's /usr is never changed", async () => {
    const { output } = await world.probe(
      id,
      0,
      'rm -f /usr/bin/env 2>/dev/null; touch /usr/mine 2>/dev/null; [ -e /usr/mine ] && echo own copy; exit 0',
    );
    expect(['', 'own copy']).toContain(output);
    expect(
      await onHost(
        'bash',
        '-c',
        'ls /usr/bin/env /var/lib/machines/debian/usr/bin/env; ls /usr/mine /var/lib/machines/debian/usr/mine 2>/dev/null || true',
      ),
    ).toBe('/usr/bin/env\n/var/lib/machines/debian/usr/bin/env');
  });
});

const capabilityBits: Readonly<Record<string, number>> = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_SYS_CHROOT: 18,
  CAP_SETFCAP: 31,
};

/** x86-64 and arm64 numbers of calls that a job must not be able to make. */
const forbiddenCalls: Readonly<Record<string, readonly [x64: number, arm64: number]>> = {
  bpf: [321, 280],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  perf_event_open: [298, 241],
  init_module: [175, 105],
  kexec_load: [246, 104],
  open_by_handle_at: [304, 265],
  reboot: [169, 142],
  swapon: [167, 224],
  settimeofday: [164, 170],
  acct: [163, 89],
  quotactl: [179, 60],
  fanotify_init: [300, 262],
  name_to_handle_at: [303, 264],
  memfd_secret: [447, 447],
  statmount: [457, 457], // newer than systemd's tables
};

describe('system calls', () => {
  beforeEach(async () => use({}));

  test('those that no build needs are refused as not implemented, those of ordinary work are not (decision 0002)', async () => {
    const numbers = Object.entries(forbiddenCalls).map(([name, [x64, arm64]]) => [name, process.arch === 'arm64' ? arm64 : x64] as const);
    const { output } = await world.probe(
      id,
      0,
      `perl -e 'for (@ARGV) { my ($name, $number) = split /=/; $! = 0; syscall($number, 0, 0, 0, 0, 0); print "$name ", $! + 0, "\\n" }' ${numbers.map(([name, number]) => `${name}=${number}`).join(' ')}
       echo unshare $(unshare --user --map-root-user true 2>/dev/null && echo ok); echo strace $(perl -e 'print syscall(${process.arch === 'arm64' ? 117 : 101}, 0, 0, 0, 0)')
       echo setuid $(setpriv --reuid=1000 --clear-groups id -u); echo chroot $(chroot / echo ok); echo listen $(perl -e 'use IO::Socket::INET; print IO::Socket::INET->new(LocalPort => 80, Listen => 1) ? "ok" : $!'); echo sem $(ipcmk -S 1 >/dev/null && echo ok)`,
    );
    const seenInside = facts(output);
    for (const [name] of numbers) expect([name, seenInside[name]]).toEqual([name, '38']);
    expect(seenInside).toMatchObject({ unshare: 'ok', listen: 'ok', setuid: '1000', chroot: 'ok', sem: 'ok' });
  });

  test('the lists name only what systemd knows', async () => {
    const known = await onHost('systemd-analyze', 'syscall-filter', '--no-pager');
    for (const call of [...allowedCalls, ...deniedCalls]) expect(known).toContain(call);
  });
});

async function listen(port: number, host: string): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => socket.destroy()).end('hello\n'));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  return server;
}

describe('the network', () => {
  const servers: Server[] = [];
  beforeAll(async () => {
    await onHost(
      'bash',
      '-c',
      `ip addr add 10.9.0.1/32 dev lo; ip addr add 169.254.169.254/32 dev lo; ip netns add outside
      ip link add out0 type veth peer name eth0 netns outside; ip addr add 5.5.5.1/24 dev out0; ip addr add 10.77.0.1/24 dev out0; ip link set out0 up
      ip -n outside addr add 5.5.5.2/24 dev eth0; ip -n outside addr add 5.5.5.3/24 dev eth0; ip -n outside addr add 10.77.0.2/24 dev eth0; ip -n outside addr add 10.77.1.2/32 dev eth0
      ip -n outside link set eth0 up; ip route add 10.77.1.2/32 via 10.77.0.2
      systemd-run -q --unit=outside-80 -p NetworkNamespacePath=/run/netns/outside systemd-socket-activate --accept --inetd -l 80 -l 53 -l 853 ss -tnH`,
    );
    servers.push(await listen(3000, '10.9.0.1'), await listen(3001, '0.0.0.0'), await listen(3002, '0.0.0.0'), await listen(53, '0.0.0.0'));
  });
  afterAll(async () => {
    for (const server of servers) server.close();
    await onHost(
      'bash',
      '-c',
      'systemctl stop outside-80; ip netns del outside; ip addr del 10.9.0.1/32 dev lo; ip addr del 169.254.169.254/32 dev lo',
    );
  });

  test('the internet, the forge and DNS are reached; the host, its neighbours, private and link-local addresses are not', async () => {
    await use({ forgeUrls: ['http://10.9.0.1:3000'], network: { allow: ['10.77.1.0/24'], deny: ['5.5.5.3/32'], openPorts: [3002] } });
    await world.driver.start({ id: other, slot: 1, profile: world.profile, runtimeMaxMs: 60_000 });
    await seen(world.driver, other, 'idle');
    await onHost('systemd-run', '-q', '--unit=neighbour', '-p', `NetworkNamespacePath=/run/netns/forgejo-runner-isolation-${other}`, 'systemd-socket-activate', '--accept', '--inetd', '-l', '9000', 'ss', '-tnH'); // prettier-ignore
    const targets = {
      forge: '10.9.0.1/3000',
      dns: '192.168.100.10/53',
      opened: '192.168.100.10/3002',
      internet: '5.5.5.2/80',
      allowed: '10.77.1.2/80',
      gateway: '192.168.100.10/3001',
      host: '10.9.0.1/3001',
      metadata: '169.254.169.254/3001',
      denied: '5.5.5.3/80',
      private: '10.77.0.2/80',
      neighbour: '192.168.101.11/9000',
      neighbourGateway: '192.168.101.10/3001',
    };
    const { output } = await world.probe(
      id,
      0,
      `try() { timeout 2 bash -c "exec 3<>/dev/tcp/$2" 2>/dev/null && echo "$1 open" || echo "$1 shut"; }
       ${Object.entries(targets)
         .map(([name, target]) => `try ${name} ${target} &`)
         .join('\n')}
       wait; echo masked $(timeout 2 bash -c 'exec 3<>/dev/tcp/5.5.5.2/80; cat <&3' | grep -c 5.5.5.1); echo v6 $(grep -vc ' lo$' /proc/net/if_inet6)`,
    );
    expect(await onHost('bash', '-c', 'timeout 2 bash -c "exec 3<>/dev/tcp/192.168.101.11/9000" && echo open')).toBe('open');
    await onHost('systemctl', 'stop', 'neighbour');
    const [open, shut] = ['open', 'shut'];
    expect(facts(output)).toEqual({
      forge: open,
      dns: open,
      opened: open,
      internet: open,
      allowed: open,
      masked: '1',
      v6: '0',
      denied: shut,
      gateway: shut,
      host: shut,
      metadata: shut,
      private: shut,
      neighbour: shut,
      neighbourGateway: shut,
    });
  });

  test('names are asked of the configured resolver alone, over TCP and UDP, by the name server that every machine is told', async () => {
    await use({ network: { nameservers: ['5.5.5.3'], allow: ['10.77.1.0/24'] } });
    const targets = { resolver: '5.5.5.3/53', other: '5.5.5.2/53', encrypted: '5.5.5.3/853', web: '5.5.5.2/80', allowed: '10.77.1.2/53' };
    const { output } = await world.probe(
      id,
      0,
      `try() { timeout 2 bash -c "exec 3<>/dev/tcp/$2" 2>/dev/null && echo "$1 open" || echo "$1 shut"; }
       ${Object.entries(targets)
         .map(([name, target]) => `try ${name} ${target} &`)
         .join('\n')}
       wait; echo told $(cat /etc/resolv.conf)
       # Nobody listens there on UDP: a packet that arrives is answered by "connection refused", one that may not pass by another word.
       # Kernels send few such answers a second, so it is asked again and again.
       ask() { perl -MIO::Socket::INET -e 'my ($name, $to) = @ARGV; my $s = IO::Socket::INET->new(Proto => "udp", PeerAddr => $to, PeerPort => 53);
         for (1 .. 50) { send $s, "x", 0; select undef, undef, undef, 0.2; next if defined recv($s, my $b, 9, 64) or $!{EAGAIN};
           print "$name ", $!{ECONNREFUSED} ? "arrives" : "refused", "\\n"; exit } print "$name silent\\n"' "$1" "$2"; }
       ask udpResolver 5.5.5.3 & ask udpOther 5.5.5.2 & wait`,
    );
    expect(facts(output)).toEqual({
      resolver: 'open',
      other: 'shut',
      encrypted: 'shut',
      web: 'open',
      allowed: 'open',
      told: 'nameserver 5.5.5.3',
      udpResolver: 'arrives',
      udpOther: 'refused',
    });
  });

  test("other people's traffic through and to the host meets none of our rules (I6)", async () => {
    await use({});
    expect(await onHost('bash', '-c', 'ip netns exec outside timeout 2 bash -c "exec 3<>/dev/tcp/10.77.0.1/3001" && echo open')).toBe(
      'open',
    );
  });
});

describe('limits', () => {
  test('a hog of 300 MB dies under 100 MB, and the runner lives to tell', async () => {
    await use({ limits: { memoryBytes: 100 * MiB } });
    const { output } = await world.probe(id, 0, 'head -c 300M /dev/zero | tail >/dev/null; echo ${PIPESTATUS[1]}');
    expect(output).toMatch(/137$/);
  });

  test('a fork bomb stays within its tasks, and the machine is removed all the same', async () => {
    await use({ limits: { tasks: 40 } });
    await writeFile(`${world.io}/script`, 'bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 30');
    await world.driver.start({ id, slot: 0, profile: world.profile, runtimeMaxMs: 60_000 });
    await world.driver.assign(id, assignmentOf('probe'), AbortSignal.timeout(10_000));
    await new Promise((resolve) => {
      setTimeout(resolve, 1_000);
    });
    const tasks = Number(await onHost('systemctl', 'show', '-P', 'TasksCurrent', `forgejo-runner-isolation-${id}.service`));
    expect(tasks).toBeLessThanOrEqual(40);
    await world.driver.remove(id);
    expect(await world.driver.artefacts()).toEqual([]);
  });

  test('writing more than the disk limit fails inside and takes nothing from the host', async () => {
    await use({ limits: { diskBytes: 64 * MiB } });
    const { output } = await world.probe(
      id,
      0,
      'head -c 200M /dev/zero >/root/big; stat -c "%s" /root/big; rm /root/big; df --output=size -m / | tail -1',
    );
    expect(output).toMatch(/No space left on device/);
    expect(Number(output.split('\n').at(-2))).toBeLessThan(64 * MiB);
    expect(Number(output.split('\n').at(-1))).toBeLessThan(65);
  });
});
