// What somebody else's firewall tools do to ours while jobs run: within seconds a job can reach no more than before, and what is theirs stays.

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { createNspawnWorld, onHost } from '../contract/nspawn-world.ts';
import { findingsOf, hold, openScene } from '../support/service-scene.ts';
import { sh, type Service } from '../support/service.ts';

const metadata = '169.254.169.254';
const foreign = 'table inet theirs { chain input { type filter hook input priority 5; policy accept; tcp dport 9 drop; }; }';

/** The rules of a table without what only counts; empty when there is none. */
const listed = (table: string) => sh('sh', '-c', `nft -s list table inet ${table} 2>/dev/null || true`);

/** A server at the address that clouds tell their secrets under, on this host. */
async function serveMetadata(finished: (close: () => Promise<void>) => void): Promise<void> {
  await sh('ip', 'address', 'replace', `${metadata}/32`, 'dev', 'lo');
  const server = createServer((socket) => socket.end('secret\n')).listen(80, metadata);
  await once(server, 'listening');
  finished(async () => {
    await new Promise((closed) => server.close(closed));
    await sh('ip', 'address', 'del', `${metadata}/32`, 'dev', 'lo');
  });
}

async function restored(service: Service, rules: string): Promise<void> {
  const table = `forgejo-runner-${service.controllerId}`;
  await service.until('our rules are back', async () => (await listed(table)) === rules, 10_000);
}

test.each([
  ['the whole ruleset', 'flush ruleset'],
  ['a chain of ours', 'flush chain inet TABLE through-host; flush chain inet TABLE to-host'],
  ['our table', 'delete table inet TABLE'],
])('a firewall that loses %s while jobs run is whole again in seconds', async (_, harm) => {
  const closers: (() => Promise<void>)[] = [];
  try {
    const scene = await openScene((close) => closers.push(close));
    await serveMetadata((close) => void closers.push(close));
    const service = await scene.start();
    const table = `forgejo-runner-${service.controllerId}`;
    const neighbour = await scene.queue(
      `perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(Listen => 9, LocalPort => 7777) or die; while (my $c = $s->accept) { close $c }' &
       until (</dev/tcp/127.0.0.1/7777) 2>/dev/null; do sleep 0.05; done
       echo "@address $(ip -4 -o address show eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/')"; ${hold}; kill %1`,
    );
    const address = findingsOf(await scene.says(service, neighbour, '@address'))['address'] ?? '';
    expect(address).toMatch(/^192\.168\./);
    const job = await scene.queue(
      `try() { timeout 2 bash -c "</dev/tcp/$2/$3" 2>/dev/null && echo "@$1 reached" || echo "@$1 refused"; }
       look() { for to in neighbour:${address}:7777 metadata:${metadata}:80; do IFS=: read -r name ip port <<<"$to"; try $1-$name $ip $port; done; echo @$1-done; }
       look before; until [ -e /gate/again ]; do sleep 0.05; done; look after; ${hold}`,
    );
    await scene.says(service, job, '@before-done');
    const rules = await listed(table);
    expect(rules).toContain('chain through-host');
    await sh('nft', `${harm.replaceAll('TABLE', table)}; ${foreign}`);
    const theirs = await listed('theirs');
    await restored(service, rules);
    await scene.write('again');
    await scene.says(service, job, '@after-done');
    await scene.open();
    expect(findingsOf(await scene.done(service, job))).toMatchObject({
      'before-neighbour': 'refused',
      'before-metadata': 'refused',
      'after-neighbour': 'refused',
      'after-metadata': 'refused',
    });
    await scene.done(service, neighbour);
    await scene.clean(service);
    expect(await listed('theirs')).toBe(theirs);
    const lines = (await service.log()).filter(({ event, level }) => event === 'host-error' && level === 'warn');
    expect(lines.map(({ what }) => what)).toEqual([harm.startsWith('flush chain') ? 'altered' : 'gone']);
  } finally {
    await sh('sh', '-c', 'nft delete table inet theirs 2>/dev/null || true');
    for (const close of closers.toReversed()) await close();
  }
});

test('a machine is not started while its isolation cannot be had, and is as soon as it can', async ({ onTestFinished }) => {
  const world = await createNspawnWorld({ controllerId: 'guard' });
  await world.driver.check();
  const rules = await listed('forgejo-runner-guard');
  // A table that a living process owns: nobody else can change it.
  const owner = spawn('sh', ['-c', 'exec nft -i'], { stdio: ['pipe', 'ignore', 'ignore'] });
  const gone = once(owner, 'exit');
  onTestFinished(async () => {
    owner.kill();
    await gone;
    await world.close();
  });
  owner.stdin.write('delete table inet forgejo-runner-guard; add table inet forgejo-runner-guard { flags owner; }\n');
  await expect.poll(() => listed('forgejo-runner-guard')).toContain('owner');
  const spec = { id: 'j0000001abc', slot: 0, profile: world.profile, runtimeMaxMs: 60_000 };
  // The last look may be younger than two seconds.
  const refusal = () => world.driver.start(spec).then(() => world.driver.remove(spec.id), String);
  await expect.poll(refusal, { timeout: 10_000 }).toMatch(/nft ended with exit code 1: [^]*Operation not permitted/);
  await expect(world.driver.start(spec)).rejects.toMatchObject({ code: 'DRIVER_FAILED' });
  expect(await onHost('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'forgejo-runner-guard-*')).toBe('');
  owner.kill();
  await gone;
  await world.driver.start(spec);
  expect(await listed('forgejo-runner-guard')).toBe(rules);
});
