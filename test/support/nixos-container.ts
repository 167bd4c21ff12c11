// Promises, on a host without Nix, what a NixOS host has for containers: a stand-in of its CLI, the unit of its containers, folders that Nix
// keeps, and a system of this host's Debian to run. systemd and nspawn under them are real. dispose() takes all of it away.

import { copyFile, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ContainerTools } from '../../src/driver/containers.ts';

const exec = promisify(execFile);
const store = '/nix/store';
const unit = '/etc/systemd/system/container@.service';
const scripts = '/opt/nixos-container';

export const standInTools: ContainerTools = {
  program: `${scripts}/nixos-container`,
  configurationDirectory: '/etc/nixos-containers',
  stateDirectory: '/var/lib/nixos-containers',
};

/** Built of this host's Debian: a path to give as the template of a profile. */
export const standInSystem = `${store}/11111111111111111111111111111111-nixos-system-standin`;

const from = (name: string): string => fileURLToPath(new URL(`nixos-container/${name}`, import.meta.url));

/** Rejects on a host that has a Nix store of its own. */
export async function installNixosContainer(): Promise<{ readonly dispose: () => Promise<void> }> {
  await mkdir(dirname(store)).catch((error: unknown) => {
    throw new Error('a host that has a Nix store already is not given another', { cause: error });
  });
  await Promise.all(
    [scripts, `${standInSystem}/sw/bin`, '/nix/var/nix/db', '/nix/var/nix/daemon-socket'].map((path) => mkdir(path, { recursive: true })),
  );
  await Promise.all([
    ...['nixos-container', 'pre-start', 'start', 'post-start'].map((name) => copyFile(from(name), `${scripts}/${name}`)),
    copyFile(from('container@.service'), unit),
    copyFile(from('container-init'), `${store}/00000000000000000000000000000000-container-init`),
    copyFile(from('system-init'), `${standInSystem}/init`),
    symlink('/usr/bin/sh', `${standInSystem}/sw/bin/sh`),
    writeFile(`${standInSystem}/system`, 'x86_64-linux'),
  ]);
  await exec('systemctl', ['daemon-reload']);
  return {
    async dispose() {
      const places = ['/nix', unit, scripts, standInTools.configurationDirectory, standInTools.stateDirectory];
      await Promise.all(places.map((path) => rm(path, { recursive: true, force: true })));
      await exec('systemctl', ['daemon-reload']);
    },
  };
}
