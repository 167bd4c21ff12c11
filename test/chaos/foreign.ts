// Promises strangers beside the chaos: a machine, units, a namespace, interfaces, nft tables, files and registrations, some with names that
// look like ours. What they are is taken down in words before and after; any difference is a hand laid on something that was not ours.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { serviceAddress, sh } from '../support/service.ts';
import type { ForgejoStandIn } from '../support/forgejo/forgejo.ts';

export type Foreign = {
  /** One line for each stranger, with whatever would change if somebody touched it. */
  readonly seen: () => Promise<readonly string[]>;
  readonly drop: () => Promise<void>;
};

const machine = 'stranger';
const twin = 'j0000001abc';
const folder = '/var/lib/frc-strangers';

export async function makeForeign(controllerId: string, forgejo: ForgejoStandIn): Promise<Foreign> {
  const units = [`${machine}.service`, `forgejo-runner-${controllerId}-backup.service`, `forgejo-runner-${controllerId}x-${twin}.service`];
  const [own = '', backup = '', other = ''] = units;
  const spaces = [`forgejo-runner-${controllerId}x-${twin}`, `forgejo-runner-${controllerId}-backup`];
  const tables = [`inet forgejo-runner-${controllerId}x`, `ip forgejo-runner-${controllerId}`, 'inet strangers'];
  const links = [`fr-${twin}`, 'fr-backup'];
  await mkdir(`${folder}/machines/${twin}`, { recursive: true });
  await writeFile(`${folder}/machines/${twin}/file`, 'theirs\n');
  await shell(`systemd-run -q --collect --unit=${own} -p Delegate=yes systemd-nspawn -q --keep-unit -M ${machine} \\
      -D /var/lib/machines/debian --volatile=overlay sleep infinity
    systemd-run -q --collect --unit=${backup} sleep infinity; systemd-run -q --collect --unit=${other} --slice=machine-forgejorunners.slice sleep infinity
    ${spaces.map((space) => `ip netns add ${space}`).join('; ')}
    ip link add ${links[0]} type veth peer name ${links[1]}; ip link set ${links[1]} alias forgejo-runner-controller:${controllerId}x
    ${tables.map((table) => `nft add table ${table}; nft add chain ${table} kept`).join('; ')}
    until [ -e /run/systemd/machines/${machine} ]; do sleep 0.1; done`);
  for (const name of [twin, 'their-runner']) {
    await fetch(`${forgejo.url}/api/v1/admin/actions/runners`, {
      method: 'POST',
      headers: { authorization: `token ${forgejo.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, description: `forgejo-runner-controller ${controllerId}@otherkey`, ephemeral: true }),
    });
  }
  return {
    seen: async () => [
      ...(await lines(`systemctl show -p Id,ActiveState,InvocationID,MainPID ${units.join(' ')}`)),
      ...(await lines(`for table in ${tables.map((table) => `'${table}'`).join(' ')}; do nft list table $table; done`)),
      ...(await lines(`ip netns list | grep -e '${spaces.join("' -e '")}' | cut -d' ' -f1 | sort`)),
      ...(await lines(`cat ${links.map((link) => `/sys/class/net/${link}/{ifindex,ifalias}`).join(' ')}`)),
      ...(await lines(`cd ${folder} && find . -printf '%p %i %T@ %s\\n' | sort`)),
      ...(await lines(`grep -e LEADER -e SERVICE /run/systemd/machines/${machine}; ip -o -4 addr show dev lo | grep -c ${serviceAddress}`)),
      ...(await forgejo.control.registrations())
        .filter(({ description }) => description.endsWith('@otherkey'))
        .map(({ id, name, status }) => `registration ${id} ${name} ${status}`),
    ],
    async drop() {
      await sh('bash', '-c', [
        `systemctl stop ${units.join(' ')}`,
        ...spaces.map((space) => `ip netns del ${space}`),
        `ip link del ${links[0]}`,
        ...tables.map((table) => `nft delete table ${table}`),
        'true',
      ].join('\n')); // prettier-ignore
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const shell = async (script: string): Promise<string> => sh('bash', '-ec', script);
const lines = async (command: string): Promise<readonly string[]> => (await sh('bash', '-c', command)).split('\n');
