// Promises to notice whatever a run has left on the host, ours by name or not: the lists of everything a machine is made of, taken before
// and after. What is new at the end and belongs to no machine that lives is left over.

import { sh } from '../support/service.ts';

/** Commands whose lines name things; `$STATE` is the state directory. Nothing in them may count or tell the time. */
const lists: Readonly<Record<string, string>> = {
  units: `systemctl list-units --all --plain --no-legend --full | awk '{ print $1 }' | grep -vE '^(systemd-|dbus|dev-|sys-|user|session|run-u)'`,
  transient: 'ls /run/systemd/transient',
  machined: 'ls -A /run/systemd/machines',
  nspawn: 'find /run/systemd/nspawn -mindepth 1 2>/dev/null | grep -vE "^/run/systemd/nspawn/(locks|propagate|unix-export)$"',
  namespaces: 'ls /run/netns',
  interfaces: 'ls /sys/class/net',
  mounts: "awk '{ print $2 }' /proc/self/mounts",
  loops: 'losetup -l -n -O BACK-FILE | grep frc- || true',
  tables: 'nft list tables',
  routes: 'ip route; ip rule; ip -6 rule',
  groups: `find /sys/fs/cgroup -type d -path '*machine-forgejorunners*' | grep -vE '/machine-forgejorunners.slice$' || true`,
  processes: `ps -eo args= | grep -E 'systemd-nspawn|one-job|forgejo-runner/init' | grep -v grep || true`,
  state:
    'cd "$STATE" 2>/dev/null && find runners quarantine machines exits volumes -mindepth 1 -maxdepth 1 2>/dev/null | grep -vE "^volumes/[0-9]+[.]ext4$" || true',
};

export type HostLists = ReadonlyMap<string, readonly string[]>;

export async function listHost(stateDir: string): Promise<HostLists> {
  const found = new Map<string, readonly string[]>();
  for (const [name, command] of Object.entries(lists)) {
    const text = await sh('env', `STATE=${stateDir}`, 'bash', '-c', `${command}; true`);
    found.set(name, text.split('\n').filter(Boolean));
  }
  return found;
}

/** What is there now and was not there before, apart from what `expected` matches, as `list: line`; and what was lost. */
export function differencesOf(before: HostLists, after: HostLists, expected: RegExp): { readonly more: string[]; readonly less: string[] } {
  const more: string[] = [];
  const less: string[] = [];
  for (const [name, lines] of after) {
    const known = before.get(name) ?? [];
    more.push(...lines.filter((line) => !known.includes(line) && !expected.test(line)).map((line) => `${name}: ${line}`));
    less.push(...known.filter((line) => !lines.includes(line)).map((line) => `${name}: ${line}`));
  }
  return { more, less };
}
