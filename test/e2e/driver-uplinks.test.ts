// Promises, on a host with two uplinks, by which of them machines leave it and with which address, and that machines of profiles with name
// servers of their own ask those alone: with both drivers, asked from inside of real machines.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { createNspawnDriver } from '../../src/driver/nspawn.ts';
import { seen } from '../contract/driver-contract.ts';
import { createNspawnWorld, onHost, type NspawnWorld, type WorldOptions } from '../contract/nspawn-world.ts';
import { installNixosContainer, standInSystem, standInTools as nixosContainer } from '../support/nixos-container.ts';

const id = 'j0000001abc';
const ids = ['j0000002bcd', 'j0000003cde', 'j0000004def'] as const;

const drivers: readonly (readonly [name: string, options: WorldOptions])[] = [
  ['nspawn', {}],
  ['nixos-container', { nixosContainer, template: { kind: 'nixos', path: standInSystem } }],
];

/** A host of the world beyond each uplink: it tells whoever connects which address it sees. */
const far = (name: string, address: string, more: string): string => `
  ip netns add ${name}; ip link add up-${name} type veth peer name eth0 netns ${name}; ip addr add ${address}.1/24 dev up-${name}; ip link set up-${name} up
  ip -n ${name} link set lo up; ip -n ${name} addr add ${address}.2/24 dev eth0; ip -n ${name} addr add ${address}.3/24 dev eth0; ip -n ${name} link set eth0 up; ${more}
  systemd-run -q --unit=far-${name} -p NetworkNamespacePath=/run/netns/${name} systemd-socket-activate --accept --inetd -l 80 -l 53 -l 853 ss -tnH`;

let dispose: () => Promise<void>;
let world: NspawnWorld;
beforeAll(async () => {
  ({ dispose } = await installNixosContainer());
  const back = 'ip -n left route add 192.168.96.0/19 via 5.5.5.1';
  await onHost('bash', '-ec', `${far('left', '5.5.5', back)}\n${far('right', '6.6.6', '')}`);
});
afterAll(async () => {
  await onHost('bash', '-c', 'systemctl stop far-left far-right; ip netns del left; ip netns del right');
  await dispose();
});
afterEach(async () => world.close());

async function use(options: WorldOptions): Promise<void> {
  world = await createNspawnWorld({ controllerId: 'uplinks', ...options });
  await world.driver.check();
}

/** Which of these are reached, by name, and more lines of a script, each `name value`. */
async function inside(targets: Readonly<Record<string, string>>, more = '', profile?: Profile, machine = id, slot = 0) {
  const { output } = await world.probe(
    machine,
    slot,
    `try() { timeout 5 bash -c "exec 3<>/dev/tcp/$2" 2>/dev/null && echo "$1 open" || echo "$1 shut"; }
     ${Object.entries(targets)
       .map(([name, target]) => `try ${name} ${target} &`)
       .join('\n')}
     wait; ${more}`,
    profile,
  );
  return Object.fromEntries(output.split('\n').map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
}

/** The address that the far side sees. */
const seenAs = "echo seen $(timeout 5 bash -c 'exec 3<>/dev/tcp/5.5.5.2/80; cat <&3' | grep -oE '5[.]5[.]5[.]1|192[.]168[.]100[.]11')";

describe.each(drivers)('with the driver %s', (_, options) => {
  test('machines leave by any uplink, unless some are named: then what would go out by another one is refused, the forge too', async () => {
    const targets = { left: '5.5.5.2/80', right: '6.6.6.2/80', resolver: '6.6.6.3/53' };
    const network = { nameservers: ['6.6.6.3'] };
    await use({ ...options, network });
    expect(await inside(targets)).toEqual({ left: 'open', right: 'open', resolver: 'open' });
    await world.close();
    await use({ ...options, network: { ...network, externalInterface: ['up-left', 'vpn7'] }, forgeUrls: ['http://6.6.6.2:80'] });
    expect(await inside(targets, seenAs)).toEqual({ left: 'open', right: 'shut', resolver: 'shut', seen: '5.5.5.1' });
    // The host's own traffic, and everybody else's, goes where it went.
    expect(await onHost('bash', '-c', 'timeout 5 bash -c "exec 3<>/dev/tcp/6.6.6.2/80" && echo open')).toBe('open');
  });

  test('machines of profiles with name servers of their own are told those, and ask them alone; so they do after a restart of the service', async () => {
    await use({ ...options, network: { nameservers: ['6.6.6.2'], allow: ['6.6.6.0/24'] } });
    const targets = {
      a: '5.5.5.2/53',
      b: '5.5.5.3/53',
      network: '6.6.6.2/53',
      allowed: '6.6.6.3/53',
      encrypted: '5.5.5.2/853',
      web: '6.6.6.2/80',
    };
    const told = 'echo told $(cat /etc/resolv.conf)';
    const [a, b] = (['5.5.5.2', '5.5.5.3'] as const).map((address) => ({ ...world.profile, name: address, nameservers: [address] }));
    if (a === undefined || b === undefined) throw new Error('two profiles');
    // It runs while the others come and go, and its service is another one in the end.
    await world.driver.start({ id, slot: 0, profile: a, runtimeMaxMs: 120_000 });
    await seen(world.driver, id, 'idle');
    const [of, shut] = [(address: string) => `nameserver ${address}`, 'shut'];
    const closed = { a: shut, b: shut, network: shut, allowed: shut, encrypted: shut, web: 'open' };
    expect(await inside(targets, told, b, ids[0], 1)).toEqual({ ...closed, b: 'open', told: of('5.5.5.3') });
    expect(await inside(targets, told, world.profile, ids[1], 2)).toEqual({
      ...closed,
      network: 'open',
      allowed: 'open',
      told: of('6.6.6.2'),
    });
    await createNspawnDriver(world.input).check();
    expect(await inside(targets, told, a)).toEqual({ ...closed, a: 'open', told: of('5.5.5.2') });
    // The slot of a machine that is gone brings nothing to the next one in it.
    await world.driver.remove(ids[0]);
    expect(await inside(targets, told, world.profile, ids[2], 1)).toEqual({
      ...closed,
      network: 'open',
      allowed: 'open',
      told: of('6.6.6.2'),
    });
  });
});

test('without masquerade a machine is seen with its own address, and all else is closed to it as ever', async () => {
  await use({ network: { masquerade: false } });
  const targets = { left: '5.5.5.2/80', host: '5.5.5.1/22', gateway: '192.168.100.10/22', neighbour: '192.168.101.11/9000' };
  await world.driver.start({ id: ids[0], slot: 1, profile: world.profile, runtimeMaxMs: 60_000 });
  await seen(world.driver, ids[0], 'idle');
  await onHost('systemd-run', '-q', '--unit=neighbour', '-p', `NetworkNamespacePath=/run/netns/forgejo-runner-uplinks-${ids[0]}`, 'systemd-socket-activate', '--accept', '--inetd', '-l', '9000', 'ss', '-tnH'); // prettier-ignore
  const found = await inside(targets, seenAs);
  await onHost('systemctl', 'stop', 'neighbour');
  expect(found).toEqual({ left: 'open', host: 'shut', gateway: 'shut', neighbour: 'shut', seen: '192.168.100.11' });
});
