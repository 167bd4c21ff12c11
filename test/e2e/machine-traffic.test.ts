// Promises, asked from inside of real machines: names are told by a real name server over UDP and over TCP, wherever the host has its own; and what
// is large comes and goes whole by a way that takes small packets only, from containers of the job, too.

import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createNspawnWorld, onHost, type NspawnWorld, type WorldOptions } from '../contract/nspawn-world.ts';
import { openNameServer, type NameServer } from '../support/name-server.ts';

const id = 'j0000001abc';
const podman = '/opt/podman';

let world: NspawnWorld;
async function use(options: WorldOptions): Promise<void> {
  world = await createNspawnWorld({ controllerId: 'traffic', ...options });
  await world.driver.check();
}
afterEach(async () => world.close());

function facts(output: string): Record<string, string> {
  return Object.fromEntries(output.split('\n').map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

const put = (body: string, path: string): Promise<string> =>
  onHost(
    'bash',
    '-ec',
    'mount -t tmpfs none /mnt; printf %s "$1" >/mnt/file; touch "$2"; mount --bind /mnt/file "$2"; umount /mnt',
    '-',
    body,
    path,
  );

/** The host's own files for the length of a test, over those that it has. */
async function resolvConf(text: string, behind?: string): Promise<() => Promise<void>> {
  await mkdir('/run/systemd/resolve', { recursive: true });
  await put(text, '/etc/resolv.conf');
  const hidden = '/run/systemd/resolve/resolv.conf';
  if (behind !== undefined) await put(behind, hidden);
  return async () => {
    await onHost('umount', '/etc/resolv.conf');
    if (behind !== undefined) await onHost('umount', hidden);
    await rm('/run/systemd/resolve', { recursive: true });
  };
}

/** With these routes and this MTU of the uplink. */
async function by(mtu: number, routes: readonly string[], work: () => Promise<void>): Promise<void> {
  await onHost('bash', '-ec', [`ip link set up-small mtu ${mtu}`, ...routes.map((route) => `ip route add ${route}`)].join('\n'));
  try {
    await work();
  } finally {
    await onHost('bash', '-c', routes.map((route) => `ip route del ${route}`).join('\n'));
  }
}

describe('names', () => {
  const names = { 'small.test': '7.7.7.2', 'big.test': '7.7.7.3' };
  const address = '10.53.0.1';
  const ask = 'known() { getent ahostsv4 "$1" | sed -n "1s/ .*//p"; }';
  let server: NameServer | undefined;

  beforeAll(async () => {
    await onHost('ip', 'addr', 'add', `${address}/32`, 'dev', 'lo');
  });
  afterAll(async () => {
    await onHost('ip', 'addr', 'del', `${address}/32`, 'dev', 'lo');
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  async function inside(): Promise<Record<string, string>> {
    const { output } = await world.probe(
      id,
      2,
      `${ask}; for name in small big none; do echo "$name $(known $name.test)"; done; echo "tcp $(RES_OPTIONS=use-vc known small.test)"
       echo told $(cat /etc/resolv.conf)`,
    );
    return facts(output);
  }
  const told = { small: '7.7.7.2', big: '7.7.7.3', none: '', tcp: '7.7.7.2' };

  test('are told over UDP, and over TCP where an answer is too large or the job wants it so, by the resolver that is configured', async () => {
    server = await openNameServer(address, names);
    await use({ network: { nameservers: [address] } });
    expect(await inside()).toEqual({ ...told, told: `nameserver ${address}` });
    expect(server.asked.slice(0, 3)).toEqual(['udp small.test', 'udp big.test', 'tcp big.test']);
    expect(server.asked.at(-1)).toBe('tcp small.test');
  });

  test('are told by the resolvers behind the stub of a host whose resolv.conf names nothing but that', async () => {
    const restore = await resolvConf('nameserver 127.0.0.53\noptions edns0 trust-ad\n', `nameserver ${address}\n`);
    try {
      server = await openNameServer(address, names);
      await use({});
      expect(await inside()).toEqual({ ...told, told: `nameserver ${address}` });
    } finally {
      await restore();
    }
  });

  test('are told by the host itself where it asks nobody but itself, if its resolver listens to machines', async () => {
    const restore = await resolvConf('nameserver 127.0.0.1\nnameserver ::1\n');
    try {
      server = await openNameServer('0.0.0.0', names);
      await use({});
      expect(await inside()).toEqual({ ...told, told: 'nameserver 192.168.102.10' });
    } finally {
      await restore();
    }
  });
});

describe('a way that takes small packets only', () => {
  const bytes = 3_000_000;
  /** Beyond the host, a router that drops what does not fit through its links and says nothing; behind it a server that sends and takes. */
  const topology = `
    ip netns add middle; ip netns add far
    ip link add up-small type veth peer name near netns middle; ip -n middle link add away type veth peer name eth0 netns far
    ip addr add 5.5.5.1/24 dev up-small; ip link set up-small up
    ip -n middle addr add 5.5.5.2/24 dev near; ip -n middle addr add 6.6.6.1/24 dev away; ip -n middle link set near up; ip -n middle link set away up
    ip -n far addr add 6.6.6.2/24 dev eth0; ip -n far link set eth0 up; ip -n far route add default via 6.6.6.1; ip -n far link set lo up
    ip netns exec middle sysctl -qw net.ipv4.ip_forward=1
    ip -n middle link set near mtu 1300; ip -n middle link set away mtu 1300
    ip netns exec middle nft 'table ip quiet { chain out { type filter hook output priority 0; icmp type destination-unreachable drop; }; }'
    systemd-run -q --unit=far-sends -p NetworkNamespacePath=/run/netns/far systemd-socket-activate --accept --inetd -l 80 head -c ${bytes} /dev/zero
    systemd-run -q --unit=far-takes -p NetworkNamespacePath=/run/netns/far systemd-socket-activate --accept --inetd -l 81 sh -c 'head -c ${bytes} | wc -c'
    for port in 0050 0051; do
      until ip netns exec far sh -c "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q :$port"; do sleep 0.05; done
    done`;

  beforeAll(async () => {
    await onHost('bash', '-ec', topology);
  });
  afterAll(async () => {
    await onHost('bash', '-c', 'systemctl stop far-sends far-takes; ip link del up-small; ip netns del far; ip netns del middle');
  });

  const transfer = `echo mtu $(cat /sys/class/net/eth0/mtu)
    echo down $(timeout 20 bash -c 'exec 3<>/dev/tcp/6.6.6.2/80; wc -c <&3')
    echo up $(timeout 20 bash -c 'exec 3<>/dev/tcp/6.6.6.2/81; head -c ${bytes} /dev/zero >&3; cat <&3')`;
  const whole = { down: String(bytes), up: String(bytes) };

  const far = '6.6.6.0/24 via 5.5.5.2';

  test('is known to a machine by its own interface: of the uplink that is named, or by which the route leads to the internet', async () => {
    await by(1300, [far, '9.9.9.9/32 via 5.5.5.2 mtu 1280'], async () => {
      await use({ network: { externalInterface: ['up-small'] } });
      expect(facts((await world.probe(id, 0, transfer)).output)).toEqual({ mtu: '1300', ...whole });
      await world.close();
      await use({});
      expect(facts((await world.probe(id, 0, transfer)).output)).toEqual({ mtu: '1280', ...whole });
    });
  });

  test('and is not that of the internet is told to both ends when they connect', async () => {
    await by(1500, [`${far} mtu 1300`], async () => {
      await use({ network: { mtu: 1500 } });
      expect(facts((await world.probe(id, 0, transfer)).output)).toEqual({ mtu: '1500', ...whole });
    });
  });

  test.runIf(existsSync(podman))('is no hindrance to containers of the job, which know its names, too', async () => {
    await by(1300, [far], async () => {
      const extraHosts = [{ name: 'far.lan', address: '6.6.6.2' }];
      await use({
        template: { kind: 'system', path: podman },
        network: { externalInterface: ['up-small'] },
        profile: { containers: 'podman', extraHosts },
      });
      const { output } = await world.probe(
        id,
        0,
        `exec 2>&1; cd /tmp; mkdir -p image/bin image/etc; cp /bin/busybox image/bin/; for name in sh nc wc head timeout cat; do ln -s busybox image/bin/$name; done
         tar -C image -c . | docker import - busy >/dev/null; docker network create inner >/dev/null
         for network in host inner; do
           echo $network-down $(docker run --rm --network $network busy sh -c 'timeout 20 nc far.lan 80 </dev/null | wc -c')
           echo $network-up $(docker run --rm --network $network busy sh -c 'head -c ${bytes} /dev/zero | timeout 20 nc far.lan 81')
         done`,
      );
      expect(facts(output)).toEqual({
        'host-down': whole.down,
        'host-up': whole.up,
        'inner-down': whole.down,
        'inner-up': whole.up,
      });
    });
  });
});
