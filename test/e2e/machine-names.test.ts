// Promises the names that a machine knows, asked from inside of real ones: those of its profile's extraHosts in machines of every kind, beside those
// of its template.

import { appendFile, rm } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createNspawnWorld, onHost, type NspawnWorld, type WorldOptions } from '../contract/nspawn-world.ts';
import { installNixosContainer, standInSystem, standInTools as nixosContainer } from '../support/nixos-container.ts';
import { makeStoreLike, storeLike } from '../support/store-like.ts';

const id = 'j0000001abc';
const own = '/srv/names-template';

let world: NspawnWorld;
async function use(options: WorldOptions): Promise<void> {
  world = await createNspawnWorld({ controllerId: 'names', ...options });
  await world.driver.check();
}
afterEach(async () => world.close());

describe('a machine with extraHosts', () => {
  const names = [
    { name: 'git.lan', address: '10.0.0.5' },
    { name: 'git.lan', address: 'fd00::5' },
    { name: 'host.docker.internal', address: 'host-gateway' },
    { name: 'both.lan', address: '10.0.0.6' },
  ];
  const asked = ['git.lan', 'host.docker.internal', 'both.lan', 'own.lan', 'localhost'];

  /** The first IPv4 address of each name, and how often the machine's file has the first. */
  async function known(options: WorldOptions): Promise<Record<string, string>> {
    await use({ ...options, profile: { extraHosts: names } });
    const { output } = await world.probe(
      id,
      3,
      `for name in ${asked.join(' ')} $(hostname); do echo "$name $(getent ahostsv4 "$name" | sed -n '1s/ .*//p')"; done
       echo lines $(grep -c git.lan /etc/hosts); echo six $(grep -c '^fd00::5 git.lan$' /etc/hosts); echo mode $(stat -L -c %a /etc/hosts)`,
    );
    return Object.fromEntries(output.split('\n').map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]));
  }
  const told = {
    'git.lan': '10.0.0.5',
    'host.docker.internal': '192.168.103.10',
    'both.lan': '10.0.0.6',
    localhost: '127.0.0.1',
    lines: '2',
    six: '1',
    mode: '644',
  };

  describe('of a template', () => {
    let unmake: () => Promise<void>;
    beforeAll(async () => {
      await onHost('cp', '-a', '/var/lib/machines/debian', own);
      await appendFile(`${own}/etc/hosts`, '\n# its own\n10.1.1.1 own.lan # more\n10.1.1.2 both.lan\n');
      unmake = await makeStoreLike();
    });
    afterAll(async () => {
      await rm(own, { recursive: true, force: true });
      await unmake();
    });

    // NixOS knows the machine's own name without a file.
    const kinds: readonly (readonly [kind: string, options: WorldOptions, its: Readonly<Record<string, string>>])[] = [
      ['host', { template: { kind: 'host' } }, { [id]: '127.0.0.1', 'own.lan': '' }],
      ['directory', { template: { kind: 'directory', path: own } }, { [id]: '127.0.0.1', 'own.lan': '10.1.1.1' }],
      ['system', { template: { kind: 'system', path: own } }, { [id]: '127.0.0.1', 'own.lan': '10.1.1.1' }],
      ['nix-env', { template: { kind: 'nix-env', path: storeLike.environment } }, { [id]: '127.0.0.1', 'own.lan': '' }],
      ['nixos', { template: { kind: 'nixos', path: storeLike.system }, binds: storeLike.loader }, { 'own.lan': '10.1.1.1' }],
    ];
    test.each(kinds)('of kind %s knows them, itself, and what its template knows', async (_, options, its) => {
      expect(await known(options)).toMatchObject({ ...told, ...its });
    });
  });

  test('of the driver nixos-container knows them, too, although its system makes an /etc/hosts of its own', async () => {
    const { dispose } = await installNixosContainer();
    try {
      expect(await known({ nixosContainer, template: { kind: 'nixos', path: standInSystem } })).toMatchObject({
        ...told,
        'own.lan': '10.1.1.1',
      });
    } finally {
      await dispose();
    }
  });
});
