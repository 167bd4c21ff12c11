// Promises what module.nix makes of configurations, evaluated by the real Nix: with the stand-in of nixpkgs' lib in test/nix/stub, or with the real
// one that NIXPKGS_LIB names.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { loadConfig, type Config } from '../../src/config/config.ts';
import { createAuthority } from './certificates.ts';
import { goodToken, hostWith } from './config-fixture.ts';
import type { Nix, NixEnded } from './nix.ts';

const folder = fileURLToPath(new URL('../nix/', import.meta.url));
export const ownConfigurations = join(folder, 'configurations.nix');

const words = z.array(z.string());
const settings = z.looseObject({
  controllerId: z.string().optional(),
  forges: z.array(z.looseObject({ name: z.string(), tokenFile: z.string(), caFile: z.string().optional() })),
  profiles: z.array(z.looseObject({ name: z.string().optional() })),
});
export type Settings = z.infer<typeof settings>;

const unit = z.object({
  after: words,
  description: z.string(),
  documentation: words,
  environment: z.record(z.string(), z.string()),
  path: words,
  reloads: z.array(z.unknown()),
  restartIfChanged: z.boolean(),
  restartTriggers: words,
  serviceConfig: z.record(z.string(), z.union([z.string(), words])),
  stopIfChanged: z.boolean(),
  unitConfig: z.record(z.string(), z.string()),
  wantedBy: words,
  wants: words,
});
export type Unit = z.infer<typeof unit>;

const evaluated = z.object({
  failed: words,
  credentials: words,
  warnings: words,
  left: z.record(z.string(), z.unknown()).optional(),
  settings: settings.nullish(),
  check: z.string().nullish(),
  fileMode: z.string().nullish(),
  unit: unit.optional(),
  slice: z.unknown().optional(),
  tmpfiles: z.unknown().optional(),
  networks: z.unknown().optional(),
  enableContainers: z.boolean().optional(),
  sysctl: z.record(z.string(), z.unknown()).optional(),
  interfaces: z.unknown().optional(),
  allowedTCPPorts: z.array(z.number()).optional(),
  extraForwardRules: z.string().optional(),
  unmanaged: words.optional(),
  programs: words.optional(),
});
export type Evaluated = z.infer<typeof evaluated>;

/** As Nix ended: for those that must not evaluate. */
export function tryEvaluate(nix: Nix, configurations: string, only?: string): Promise<NixEnded> {
  const real = process.env['NIXPKGS_LIB'];
  return nix('nix-instantiate', [
    '--eval',
    '--strict',
    '--json',
    join(folder, 'evaluate.nix'),
    '--arg',
    'configurations',
    configurations,
    ...(real === undefined ? [] : ['--arg', 'nixpkgsLib', real]),
    ...(only === undefined ? [] : ['--argstr', 'only', only]),
  ]);
}

/** Every configuration of a file, by its name. */
export async function evaluateAll(nix: Nix, configurations: string): Promise<ReadonlyMap<string, Evaluated>> {
  const { code, stdout, stderr } = await tryEvaluate(nix, configurations);
  if (code !== 0) throw new Error(`Nix does not evaluate ${configurations}:\n${stderr}`);
  return new Map(Object.entries(z.record(z.string(), evaluated).parse(JSON.parse(stdout))));
}

/** The modules as a file of configurations, named 0, 1, ... */
export async function writeModules(home: string, name: string, modules: readonly string[]): Promise<string> {
  const path = join(home, name);
  await writeFile(path, `{ lib, pkgs, ... }: {\n${modules.map((text, index) => `"${index}" = ${text};\n`).join('')}}\n`);
  return path;
}

const credentialsDirectory = '/run/credentials/forgejo-runner-controller.service';
const etc = '/etc/forgejo-runner-controller/config.yaml';

/** What the service makes of the rendered file on the host, where systemd has put beside it what the unit says. */
export function loadRendered({ unit, settings: rendered }: Pick<Evaluated, 'unit' | 'settings'>): Promise<Config> {
  if (unit === undefined || rendered === undefined) throw new Error('there is no unit or no configuration');
  const copies = [unit.serviceConfig['LoadCredential'] ?? []].flat().map((pair) => pair.split(':')[0] ?? '');
  const named = (rendered?.forges ?? []).flatMap(({ caFile }) => (caFile === undefined ? [] : [caFile]));
  const files = {
    ...Object.fromEntries(copies.map((copy) => [`${credentialsDirectory}/${copy}`, goodToken])),
    ...Object.fromEntries(named.map((file) => [file, createAuthority('internal').certificate])),
  };
  return loadConfig({
    file: etc,
    env: { ...unit.environment, CREDENTIALS_DIRECTORY: credentialsDirectory },
    host: hostWith({ ...files, [etc]: { text: JSON.stringify(rendered), mode: 0o640 } }, [unit.environment['RUNNER_PATH'] ?? '']),
  });
}
