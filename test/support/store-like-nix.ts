// Promises templates with the real Nix in them, beside those of store-like.ts: an environment, a system with a daemon, a root directory; and a
// database on this host that knows them, as if Nix had built them here.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { storeLike } from './store-like.ts';

const execute = promisify(execFile);
const store = '/nix/store';
const path = (number: number, name: string): string => `${store}/${String(number).padStart(32, '0')}-${name}`;
/** Bound into the host by scripts/test. */
export const programs = '/opt/nix';

export const withNix = {
  files: path(1, 'debian-files'),
  nix: path(4, 'nix'),
  environment: path(5, 'environment-with-nix'),
  system: path(6, 'system-with-nix'),
  profile: path(7, 'user-environment'),
  /** In the folder, and in no database. */
  unknown: path(8, 'unknown'),
  /** As a system of NixOS is that says nothing of sandboxes. */
  sandboxed: path(9, 'system-with-sandboxes'),
  directory: '/srv/debian-with-nix',
} as const;
const { files, nix, environment, system, profile, unknown, sandboxed, directory } = withNix;

/** What a system's init does before the rest: the units, users and settings of its daemon. */
const init = `#!/bin/sh
PATH=${files}/usr/bin:${files}/usr/sbin
units=/etc/systemd/system
mkdir -p $units/sockets.target.wants /etc/nix
cp ${system}/etc/nix/nix.conf /etc/nix/
cp ${files}/etc/passwd ${files}/etc/group /etc/
echo nixbld:x:30000:nixbld1 >>/etc/group
echo nixbld1:x:30001:30000::/var/empty:/bin/false >>/etc/passwd
printf '[Socket]\\nListenStream=/nix/var/nix/daemon-socket/socket\\n' >$units/nix-daemon.socket
printf '[Service]\\nExecStart=${nix}/bin/nix-daemon --daemon\\nKillMode=process\\nLimitNOFILE=1048576\\nEnvironment=NIX_LIBEXEC_DIR=${nix}/libexec\\n' >$units/nix-daemon.service
ln -s $units/nix-daemon.socket $units/sockets.target.wants/
exec ${storeLike.system}/init "$@"
`;

const make = `set -e
umask 022
cp -a ${programs} ${nix}; chmod -R u+w ${nix}; sed -i 's,${programs},${nix},g' ${nix}/bin/*
mkdir -p ${environment} ${profile}/bin ${unknown} ${system}/sw/bin ${system}/etc/nix ${sandboxed}/etc/nix
cp -a ${storeLike.environment}/. ${environment}/; rm ${environment}/bin; mkdir ${environment}/bin
for bin in ${environment}/bin ${system}/sw/bin; do ln -s ${files}/usr/bin/* ${nix}/bin/* $bin/; done
ln -s ${nix}/bin/* ${profile}/bin/
cp -a ${environment}/. ${unknown}/
cat >${system}/init; chmod 755 ${system}/init
printf 'sandbox = false\\nbuild-users-group = nixbld\\nsubstituters =\\n' >${system}/etc/nix/nix.conf
ln -s ${system}/sw ${system}/init ${sandboxed}/; printf 'sandbox = true\\n' >${sandboxed}/etc/nix/nix.conf
mkdir -p ${directory}/etc/nix ${directory}/opt
cp -al ${files}/usr ${directory}/; cp -a ${files}/etc/. ${directory}/etc/; cp -a ${programs} ${directory}/opt/
for name in bin sbin lib lib64; do ln -s usr/$name ${directory}/$name; done
ln -s ${programs}/bin/* ${directory}/usr/bin/
printf 'build-users-group = nixbld\\nsandbox = true\\n' >${directory}/etc/nix/nix.conf
known() { printf '%s\\n%064d\\n1\\n\\n%s\\n' "$1" 0 $(($# - 1)); shift; for one; do echo "$one"; done; }
{ known ${files}; known ${nix}; known ${storeLike.system} ${files}; known ${environment} ${files} ${nix}
  known ${system} ${files} ${nix} ${storeLike.system}; known ${profile} ${nix}; known ${sandboxed} ${system}; } >/srv/registration
NIX_REMOTE=local NIX_CONFIG='build-users-group =' ${nix}/bin/nix-store --load-db </srv/registration
rm /srv/registration`;

/** Into the store that makeStoreLike made, which goes with all of it but `directory`. */
export async function addNix(): Promise<void> {
  const running = execute('sh', ['-c', make]);
  running.child.stdin?.end(init);
  await running;
}
