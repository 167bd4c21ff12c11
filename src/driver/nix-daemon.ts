// Promises the host's Nix daemon to jobs whose profile asks for it, as a client that the daemon does not trust: the job's root is a uid of the
// host that nobody else has, so it may build and fetch what the host's settings allow and change none of them. What that costs is in
// docs/SECURITY.md.

import { connect } from 'node:net';
import { dirname, resolve as resolvePath } from 'node:path';
import type { Profile } from '../core/model.ts';
import type { Fault } from '../doctor.ts';
import { ControllerError } from '../errors.ts';
import { nixStore, storeBinds } from './template-nix.ts';
import { readText, type RootImage } from './template.ts';
import { exists } from './presence.ts';

const socketFolder = '/nix/var/nix/daemon-socket';
const socket = `${socketFolder}/socket`;
const settings = '/etc/nix/nix.conf';

/** The same root with the daemon's socket and the store in it; never its database, its profiles or its settings. */
export async function withDaemon(image: RootImage): Promise<RootImage> {
  const { plan } = image;
  const hasStore = [...plan.shared, ...(plan.plain ?? [])].includes(nixStore);
  const store: Awaited<ReturnType<typeof storeBinds>> = hasStore ? { shared: [] } : await storeBinds();
  return {
    ...image,
    plan: {
      ...plan,
      shared: [...plan.shared, ...store.shared],
      plain: [...(plan.plain ?? []), ...(store.plain ?? []), socketFolder],
      environment: { ...plan.environment, NIX_REMOTE: 'daemon' },
    },
  };
}

/** Why no job of these profiles may have the daemon. */
export async function checkDaemon(profiles: readonly Profile[]): Promise<Fault[]> {
  const names = profiles.filter(({ nixAccess }) => nixAccess === 'daemon').map(({ name }) => name);
  if (names.length === 0) return [];
  const asks = `Profile ${names.join(', ')} has nix.access daemon`;
  if (!(await exists('/proc/self/ns/user')))
    return [
      { what: `${asks}, and this kernel has no user namespaces: the daemon would trust every job`, remedy: 'write nix.access: none' },
    ];
  if (!(await answers()))
    return [
      {
        what: `${asks}, and nobody answers at ${socket}`,
        remedy: 'start nix-daemon.socket (or install Nix with a daemon), or write nix.access: none',
      },
    ];
  const conf = await settingsIn(settings);
  if (usersIn(conf, 'trusted-users').includes('*'))
    return [
      {
        what: `${asks}, and ${settings} trusts everybody (trusted-users has *): every job could become root of this host`,
        remedy: 'name the users that the daemon is to trust, such as root and @wheel',
      },
    ];
  if (usersIn(conf, 'allowed-users').includes('*')) return [];
  return [
    {
      what: `${asks}, and ${settings} leaves jobs out (allowed-users has no *): their users have no names on this host`,
      remedy: 'write allowed-users = *, or nix.access: none',
    },
  ];
}

const usual = { 'trusted-users': ['root'], 'allowed-users': ['*'] } as const;

/** Whom a nix.conf names. The last line of a setting wins; those that begin with extra- add to it. */
export function usersIn(conf: string, setting: keyof typeof usual): readonly string[] {
  let users: readonly string[] = usual[setting];
  for (const line of conf.split('\n')) {
    const [, extra = '', name, words = ''] = /^\s*(extra-)?([a-z-]+)\s*=([^#]*)/.exec(line) ?? [];
    if (name !== setting) continue;
    const named = words.split(/\s+/).filter((word) => word !== '');
    users = extra === '' ? named : [...users, ...named];
  }
  return users;
}

/** A nix.conf with the files that it includes in their places. One that is not there says nothing, as the daemon takes it. */
export async function settingsIn(path: string, within: readonly string[] = []): Promise<string> {
  if (within.includes(path)) return '';
  const text = await readText(path).catch((error: unknown) => {
    throw new ControllerError(
      'DRIVER_UNAVAILABLE',
      `The settings of the Nix daemon (${path}) cannot be read, so nobody knows whom it trusts: let root read them, or write nix.access: none.`,
      { cause: error },
    );
  });
  const lines = text.split('\n').map(async (line) => {
    const [, included] = /^\s*!?include\s+([^#\s]+)/.exec(line) ?? [];
    return included === undefined ? line : settingsIn(resolvePath(dirname(path), included), [...within, path]);
  });
  return (await Promise.all(lines)).join('\n');
}

async function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const client = connect(socket);
    const end = (there: boolean) => () => {
      client.destroy();
      resolve(there);
    };
    client.once('connect', end(true)).once('error', end(false));
  });
}
