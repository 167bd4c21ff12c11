// Promises which driver a configuration asks for, what that one needs to know of the host, and that every profile is made of what it can run.

import { absolutePath, oneOf } from './kinds.ts';
import type { Findings, Section } from './reader.ts';
import type { Config } from './settings.ts';
import type { Profile } from '../core/model.ts';

const keys = ['program', 'configurationDirectory', 'stateDirectory'] as const;

export function readDriver(root: Section): Pick<Config, 'driver' | 'nixosContainer'> {
  const section = root.section('nixosContainer', keys);
  return {
    driver: root.get('driver', oneOf<Config['driver']>(['nspawn', 'nixos-container'])) ?? 'nspawn',
    nixosContainer: {
      // NixOS tells the CLI where its folders are when it builds it: this is the one of the running system.
      program: section?.get('program', absolutePath('the program nixos-container')) ?? '/run/current-system/sw/bin/nixos-container',
      configurationDirectory: section?.get('configurationDirectory', absolutePath('a directory')) ?? '/etc/nixos-containers',
      stateDirectory: section?.get('stateDirectory', absolutePath('a directory')) ?? '/var/lib/nixos-containers',
    },
  };
}

/** Containers run systems of NixOS and nothing else. */
export function checkDriver(driver: Config['driver'], profiles: readonly Profile[], findings: Findings): void {
  if (driver === 'nspawn') return;
  for (const [index, { template, nixAccess }] of profiles.entries()) {
    if (nixAccess === 'own') {
      const where = `profiles[${index}].nix.access`;
      findings.add(where, `is own, which containers of the driver ${driver} cannot have`, 'write daemon or none, or driver: nspawn');
    }
    if (template.kind === 'nixos') continue;
    const remedy = 'write {kind: nixos, path: ...}, with the path of a system, or driver: nspawn';
    findings.add(`profiles[${index}].template`, `is of kind ${template.kind}, of which the driver ${driver} can make nothing`, remedy);
  }
}
