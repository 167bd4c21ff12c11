// Promises, on real hosts, the way of machines to a forge that is on the host itself: by a proxy to one that listens on loopback alone, by the name
// that the host knows as loopback; and a sentence where there is no way.

import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { tellOfDeafForges } from '../../src/driver/forge-addresses.ts';
import { createNspawnWorld, onHost, type NspawnWorld, type WorldOptions } from '../contract/nspawn-world.ts';
import { openNameServer } from '../support/name-server.ts';

const id = 'j0000001abc';
const own = '10.53.0.2';

let world: NspawnWorld;
const ends: (() => Promise<unknown>)[] = [];
async function use(options: WorldOptions): Promise<void> {
  world = await createNspawnWorld({ controllerId: 'forge', ...options });
  ends.push(async () => world.close());
  await world.driver.check();
}
afterEach(async () => {
  const failed: unknown[] = [];
  for (const end of ends.splice(0).toReversed()) await end().catch((error: unknown) => void failed.push(error));
  if (failed.length > 0) throw new AggregateError(failed);
});

async function listen(port: number, host: string): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => socket.destroy()).end('a forge\n'));
  server.listen(port, host);
  await once(server, 'listening');
  ends.push(() => new Promise((resolve) => void server.close(resolve)));
  return server;
}

async function ownAddress(): Promise<void> {
  await onHost('ip', 'addr', 'add', `${own}/32`, 'dev', 'lo');
  ends.push(async () => onHost('ip', 'addr', 'del', `${own}/32`, 'dev', 'lo'));
}

/** What these answer in a machine, each by name and port. */
async function inside(targets: readonly string[]): Promise<string> {
  const asked = targets.map((target) => `echo "${target} $(timeout 30 bash -c 'exec 3<>/dev/tcp/${target} && cat <&3' 2>/dev/null)"`);
  return (await world.probe(id, 0, asked.join('\n'))).output;
}

test('a forge that listens on loopback alone is reached through a proxy of the host, by the name of the host, and nothing else there is', async () => {
  await listen(3000, '127.0.0.1');
  await listen(3301, '0.0.0.0');
  const proxy = [
    '--socket-property=ListenStream=0.0.0.0:3300',
    '--unit=forge-proxy',
    '/lib/systemd/systemd-socket-proxyd',
    '127.0.0.1:3000',
  ];
  await onHost('systemd-run', '-q', ...proxy);
  ends.push(async () => onHost('systemctl', 'stop', 'forge-proxy.socket', 'forge-proxy.service'));
  const extraHosts = [{ name: 'git.lan', address: 'host-gateway' }];
  await use({ forgeUrls: ['http://git.lan:3300'], profile: { extraHosts } });
  expect(await inside(['git.lan/3300', 'git.lan/3000', 'git.lan/3301'])).toBe('git.lan/3300 a forge\ngit.lan/3000 \ngit.lan/3301');
});

test('a forge whose name is loopback on its own host is reached at the address that resolvers know', async () => {
  await ownAddress();
  await listen(3000, own);
  const server = await openNameServer(own, { 'git.test': own });
  ends.push(async () => server.close());
  await onHost(
    'bash',
    '-ec',
    'cp /etc/hosts /run/hosts-of-test; echo 127.0.1.1 git.test >>/run/hosts-of-test; mount --bind /run/hosts-of-test /etc/hosts',
  );
  ends.push(async () => onHost('bash', '-c', 'umount /etc/hosts && rm /run/hosts-of-test'));
  await use({ forgeUrls: ['http://git.test:3000'], network: { nameservers: [own] } });
  expect(await inside(['git.test/3000'])).toBe('git.test/3000 a forge');
});

test('a forge that does not listen where machines are to reach it is told at the start, with what to do', async () => {
  await ownAddress();
  await listen(3000, own);
  const said: string[] = [];
  const log = { warn: (_event: unknown, _facts?: unknown, message = '') => void said.push(message) };
  const endpoints = [
    { address: own, port: 3000 },
    { address: own, port: 3001 },
    { address: '127.0.0.1', port: 3001 },
    { address: 'host-gateway', port: 3001 },
    { address: '203.0.113.1', port: 3001 },
  ];
  await tellOfDeafForges(endpoints, log);
  expect(said).toEqual([expect.stringMatching(/^nothing listens at 10\.53\.0\.2:3001 of this host.*HTTP_ADDR/)]);
});
