// Promises that a host is afterwards as it was: what the service turns on or makes for all its machines, and rightly leaves to the next
// start, is put back, unless somebody else uses it by then.

import { access, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { sh } from '../support/service.ts';

const forwarding = '/proc/sys/net/ipv4/ip_forward';
const namespaces = '/run/netns';
const slice = 'machine-forgejorunners.slice';

/** Looks now; what it answers puts things back. */
export async function rememberHost(): Promise<() => Promise<void>> {
  const forwarded = await readFile(forwarding, 'utf8');
  const hadNamespaces = await exists(namespaces);
  const hadSlice = await sliceIsUp();
  return async () => {
    await writeFile(forwarding, forwarded);
    const others = await sh('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'forgejo-runner-*');
    if (!hadSlice && others === '' && (await sliceIsUp())) await sh('systemctl', 'stop', slice);
    if (hadNamespaces || !(await exists(namespaces)) || (await readdir(namespaces)).length > 0) return;
    // `ip netns` mounts it on itself.
    if ((await readFile('/proc/self/mounts', 'utf8')).includes(` ${namespaces} `)) await sh('umount', namespaces);
    await rmdir(namespaces);
  };
}

async function sliceIsUp(): Promise<boolean> {
  return (await sh('systemctl', 'show', '--property=ActiveState', '--value', slice)) === 'active';
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
