// Promises what module.nix makes of a configuration, evaluated by the real Nix, as a unit of this host's systemd: every line of it, its rendered
// configuration at its place, and on its PATH the programs of those packages alone that the module names, as Debian has them.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { unitSource } from '../../scripts/unit-file.ts';
import { evaluateAll, writeModules, type Unit } from './nix-module.ts';
import type { Nix } from './nix.ts';
import type { Scene } from './service-scene.ts';
import { installRunner, serviceAddress, sh, type Service } from './service.ts';

const exec = promisify(execFile);
const unit = 'forgejo-runner-controller.service';
const unitPath = `/run/systemd/system/${unit}`;
const configPath = '/etc/forgejo-runner-controller/config.yaml';
const program = fileURLToPath(new URL('../../dist/forgejo-runner-controller.js', import.meta.url));
/** Bound into the host by scripts/test. */
export const programs = '/opt/nix';
/** Where the packages of the stand-in for nixpkgs are (test/nix/host.nix). */
const store = '/nix/store/00000000000000000000000000000000';
const packages = '/run/frc-packages';

/** By the names of nixpkgs; NixOS puts the last four on the PATH of every service. */
const debian: Readonly<Record<string, readonly string[]>> = {
  bash: ['bash'],
  e2fsprogs: ['e2fsprogs'],
  iproute2: ['iproute2'],
  nftables: ['nftables'],
  'util-linux': ['util-linux', 'mount'],
  coreutils: ['coreutils'],
  findutils: ['findutils'],
  gnugrep: ['grep'],
  gnused: ['sed'],
  systemd: ['systemd', 'systemd-container'],
};
const everywhere = ['coreutils', 'findutils', 'gnugrep', 'gnused', 'systemd'];

export type ModuleHost = {
  /** Started and asked by the unit's own name; disposed of with its scene. */
  readonly service: Service;
  readonly unit: Unit;
  readonly show: (property: string) => Promise<string>;
};

type Wish = {
  /** What stands beside what every configuration here has: lines within `services.forgejo-runner-controller = { ... }`. */
  readonly options: string;
  /** The rendered configuration is another: the module is told of it by `configFile`. */
  readonly raw?: true;
};

/** Where the secrets of a test lie, as a manager of secrets puts them. */
export const secrets = '/run/frc-secrets';

export async function installModule(
  scene: Scene,
  { options, raw }: Wish,
  finished: (close: () => Promise<void>) => void,
): Promise<ModuleHost> {
  if (existsSync('/nix')) throw new Error('/nix is there already; these tests want a host without Nix');
  const home = await mkdtemp(join(tmpdir(), 'frc-module-'));
  finished(async () => {
    await exec('systemctl', ['stop', unit]).catch(() => undefined);
    for (const path of [unitPath, dirname(configPath), packages, secrets, '/nix', home]) await rm(path, { recursive: true, force: true });
    await exec('systemctl', ['daemon-reload']);
  });
  const service = await scene.prepare({}, { controllerId: 'module', unit, stateDir: '/var/lib/forgejo-runner-controller' });
  await mkdir(secrets, { mode: 0o700 });
  await writeFile(`${secrets}/token`, await readFile(service.tokenFile), { mode: 0o400 });
  await rm(service.tokenFile);
  const { bind } = await installRunner();
  const common = raw
    ? ''
    : `forges.main = { url = "${scene.forgejo.url}"; instanceUrl = "${scene.forgejo.url.replace('127.0.0.1', serviceAddress)}"; scope.instance = true; };
       network.pool = "192.168.100.0-192.168.109.255";
       settings = { controllerId = "module"; http.port = ${new URL(service.url).port}; pollInterval = "100ms"; network.allow = [ "${serviceAddress}/32" ]; };
       profiles.debian.container = { directory = "/var/lib/machines/debian"; bindMounts."/opt/standin".hostPath = "${bind.split(':')[0] ?? ''}"; };`;
  const modules = [`{ services.forgejo-runner-controller = { enable = true; tokenFile = "${secrets}/token"; ${common} ${options} }; }`];
  const made = (await evaluateAll(nixIn(home), await writeModules(home, 'configurations.nix', modules))).get('0');
  if (made?.unit === undefined || made.failed.length > 0) throw new Error(`the module makes no unit: ${JSON.stringify(made)}`);
  await putPackages(made.unit);
  if (made.settings !== null && made.settings !== undefined) {
    await mkdir(dirname(configPath), { recursive: true });
    await writeFile(configPath, JSON.stringify(made.settings), { mode: Number.parseInt(made.fileMode ?? '', 8) });
  }
  await mkdir(dirname(unitPath), { recursive: true });
  await writeFile(unitPath, textOf(made.unit));
  await exec('systemctl', ['daemon-reload']);
  const started: Service = {
    ...service,
    async start() {
      await exec('systemctl', ['start', unit]);
      await service.until('the service answers', () => true);
    },
  };
  return { service: started, unit: made.unit, show: (property) => sh('systemctl', 'show', '--value', `--property=${property}`, unit) };
}

function nixIn(home: string): Nix {
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    NIX_CONF_DIR: home,
    NIX_REMOTE: `local?root=${home}/store`,
    NIX_CONFIG: 'build-users-group =',
  };
  return async (name, args) => {
    const { stdout, stderr } = await exec(join(programs, 'bin', name), [...args], { env, maxBuffer: 64 * 1024 * 1024 });
    return { code: 0, stdout, stderr };
  };
}

/** The package and the runner at the paths of the store that the unit names, and a folder of programs for each package on its PATH. */
async function putPackages({ path }: Unit): Promise<void> {
  const { ExecStart = '' } = unitSource().Service;
  const flags = String(ExecStart)
    .split(' ')
    .filter((word) => /^--(?!config)/.test(word))
    .join(' ');
  await mkdir(`${store}-forgejo-runner-controller-1.0/bin`, { recursive: true });
  const wrapper = `#!/bin/sh\nexec ${process.execPath} ${flags} ${program} "$@"\n`;
  await writeFile(`${store}-forgejo-runner-controller-1.0/bin/forgejo-runner-controller`, wrapper, { mode: 0o755 });
  await mkdir(`${store}-forgejo-runner-12.11.1/bin`, { recursive: true });
  await copyFile((await installRunner()).runner, `${store}-forgejo-runner-12.11.1/bin/forgejo-runner`);
  await mkdir(`${store}-coreutils-1.0/bin`, { recursive: true });
  await symlink('/usr/bin/kill', `${store}-coreutils-1.0/bin/kill`);
  for (const name of new Set([...path, ...everywhere])) {
    await mkdir(`${packages}/${name}/bin`, { recursive: true });
    const files = (await Promise.all((debian[name] ?? []).map((one) => sh('dpkg', '-L', one)))).join('\n').split('\n');
    for (const file of files.filter((one) => /\/s?bin\/./.test(one)))
      await symlink(file, `${packages}/${name}/bin/${basename(file)}`).catch(() => undefined);
  }
  // Bash is their sh.
  await symlink('/bin/bash', `${packages}/bash/bin/sh`);
}

function lines(values: Readonly<Record<string, string | readonly string[]>>): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => [value].flat().map((one) => `${name}=${one}`));
}

/** As NixOS writes it. */
function textOf({ description, documentation, wants, after, environment, path, serviceConfig, unitConfig }: Unit): string {
  const places = [...path, ...everywhere].map((one) => (one.startsWith('/') ? one : `${packages}/${one}`));
  const variables = { ...environment, PATH: [...places.map((one) => `${one}/bin`), ...places.map((one) => `${one}/sbin`)].join(':') };
  return [
    '[Unit]',
    ...lines({ Description: description, Documentation: documentation, Wants: wants.join(' '), After: after.join(' '), ...unitConfig }),
    '[Service]',
    ...Object.entries(variables).map(([name, value]) => `Environment=${JSON.stringify(`${name}=${value}`).replaceAll('%', '%%')}`),
    ...lines(serviceConfig),
    '',
  ].join('\n');
}
