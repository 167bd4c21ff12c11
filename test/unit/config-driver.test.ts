// Promises which driver a configuration asks for, and what is said when a profile does not fit it.

import { describe, expect, test } from 'vitest';
import { liveOf, renderConfig } from '../../src/config/config.ts';
import { basicYaml, load, refusal } from '../support/config-fixture.ts';

const system = '/nix/store/00000000000000000000000000000000-nixos-system';
const profiles = `profiles: [{labels: [nix], template: {kind: nixos, path: ${system}}}]\n`;
const containers = `${basicYaml}driver: nixos-container\n${profiles}`;

describe('the driver of a configuration', () => {
  test('is nspawn unless it says otherwise, with the places of NixOS for the other one', async () => {
    expect(await load({ yaml: basicYaml })).toMatchObject({
      driver: 'nspawn',
      nixosContainer: {
        program: '/run/current-system/sw/bin/nixos-container',
        configurationDirectory: '/etc/nixos-containers',
        stateDirectory: '/var/lib/nixos-containers',
      },
    });
  });

  test('may be nixos-container, whose folders an older host has elsewhere', async () => {
    const yaml = `${containers}nixosContainer: {configurationDirectory: /etc/containers, stateDirectory: /var/lib/containers}\n`;
    const config = await load({ yaml });
    expect(config).toMatchObject({ driver: 'nixos-container', nixosContainer: { configurationDirectory: '/etc/containers' } });
    expect(await load({ yaml: renderConfig(config) })).toMatchObject({ driver: 'nixos-container', nixosContainer: config.nixosContainer });
  });

  test.each([
    ['driver: docker', 'driver'],
    ['nixosContainer: {program: nixos-container}', 'nixosContainer.program'],
    ['nixosContainer: {stateDir: /var/lib/containers}', 'nixosContainer.stateDir'],
  ])('%s is refused at its path', async (line, path) => {
    expect((await refusal({ yaml: `${basicYaml}${line}\n` })).mistakes).toMatchObject([{ path }]);
  });

  test('nixos-container makes machines of systems of NixOS only, and says which profile is of another kind', async () => {
    const host = '{name: other, labels: [x]}';
    const yaml = containers.replace('[{labels', `[${host}, {name: nix, labels`);
    expect((await refusal({ yaml })).mistakes).toMatchObject([
      { path: 'profiles[0].template', message: expect.stringContaining('is of kind host'), remedy: expect.stringContaining('kind: nixos') },
    ]);
    expect((await refusal({ yaml: `${basicYaml}driver: nixos-container\n` })).mistakes).toHaveLength(1);
  });

  test('nixos-container has no Nix store of its own for a machine, and says where it is asked for', async () => {
    const yaml = containers.replace('{labels', '{nix: {access: own}, labels');
    expect((await refusal({ yaml })).mistakes).toMatchObject([
      {
        path: 'profiles[0].nix.access',
        message: expect.stringContaining('driver nixos-container'),
        remedy: expect.stringContaining('nspawn'),
      },
    ]);
    expect(await load({ yaml: yaml.replace('driver: nixos-container\n', '') })).toMatchObject({ profiles: [{ nixAccess: 'own' }] });
  });

  test('waits for the next start when it is changed, as do its places', async () => {
    const [before, after] = [await load({ yaml: `${basicYaml}${profiles}` }), await load({ yaml: containers })];
    const live = liveOf(before, after);
    expect([live.config.driver, live.waiting.map(({ path }) => path)]).toEqual(['nspawn', ['driver']]);
    const moved = await load({ yaml: `${containers}nixosContainer: {stateDirectory: /srv}\n` });
    expect(liveOf(after, moved).waiting.map(({ path }) => path)).toEqual(['nixosContainer']);
  });
});
