// Promises templates of the Nix kinds on a host without Nix: a store made of this host's Debian. An environment and a system in it are, as
// Nix makes them, links into another path of the store. What was made is gone when its maker says so; a real store is left alone.

import { execFile } from 'node:child_process';
import { lstat, rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Bind } from '../../src/core/model.ts';

const execute = promisify(execFile);
const store = '/nix/store';
const files = `${store}/00000000000000000000000000000001-debian-files`;

export const storeLike = {
  environment: `${store}/00000000000000000000000000000002-environment`,
  system: `${store}/00000000000000000000000000000003-system`,
  /** Debian's programs name their loader by a path outside the store, which a system of Nix's own programs does not need before it boots. */
  loader: [
    { source: `${files}/usr/lib`, target: '/lib', writable: false },
    { source: `${files}/usr/lib64`, target: '/lib64', writable: false },
  ] satisfies readonly Bind[],
} as const;

/** What a system's init does before it becomes systemd: the rest of the root, and an /etc/hosts of what it was built with, as NixOS does. */
const init = `#!/bin/sh
PATH=${files}/usr/bin:${files}/usr/sbin
mkdir -p /var/lib /run
rm -f /etc/os-release
cp -a -n ${files}/etc/. /etc/
ln -sf ${storeLike.system}/etc/hosts /etc/hosts
for name in bin sbin lib lib64 share; do ln -sfn ${files}/usr/$name /usr/$name; done
rm -f /bin/sh; rmdir /bin; ln -s usr/bin /bin; ln -s usr/sbin /sbin
mkdir -p /run/current-system; ln -s ${files}/usr /run/current-system/sw
exec /usr/lib/systemd/systemd "$@"
`;

const make = `set -e
umask 022
mkdir -p ${files}/usr ${storeLike.environment}/etc/ssl/certs ${storeLike.system}/sw
cp -a /usr/bin /usr/sbin /usr/lib /usr/lib64 ${files}/usr/
mkdir ${files}/usr/share; cp -a /usr/share/dbus-1 ${files}/usr/share/
cp -a /var/lib/machines/debian/etc ${files}/
cp -L --remove-destination /usr/bin/awk ${files}/usr/bin/awk
for folder in bin sbin lib lib64; do ln -s ${files}/usr/$folder ${storeLike.environment}/$folder; done
cp -L /etc/ssl/certs/ca-certificates.crt ${storeLike.environment}/etc/ssl/certs/ca-bundle.crt
ln -s ${files}/usr/bin ${storeLike.system}/sw/bin
mkdir ${storeLike.system}/etc; printf '127.0.0.1 localhost\\n10.1.1.1 own.lan\\n' >${storeLike.system}/etc/hosts
cat >${storeLike.system}/init; chmod 755 ${storeLike.system}/init`;

/** Returns how to take it away. Rejects on a host that has a store of its own. */
export async function makeStoreLike(): Promise<() => Promise<void>> {
  if ((await lstat(store).catch(() => undefined)) !== undefined)
    throw new Error(`${store} is there already; these tests want a host without Nix`);
  const running = execute('sh', ['-c', make]);
  running.child.stdin?.end(init);
  await running;
  return () => rm('/nix', { recursive: true, force: true });
}
