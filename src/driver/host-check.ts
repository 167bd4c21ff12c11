// Promises to say at once, in whole sentences with a remedy, why this host could not run machines (DRIVER_UNAVAILABLE): all reasons
// together. Turns IPv4 forwarding on, as the only setting of the host it changes, and says so.

import { access, constants, readFile, readlink, stat, statfs, writeFile } from 'node:fs/promises';
import type { Profile } from '../core/model.ts';
import { ControllerError } from '../errors.ts';
import type { Log } from '../log.ts';
import { tryRun } from './exec.ts';
import { checkAddresses } from './host-addresses.ts';
import type { DriverNetwork } from './network.ts';
import { oldestRunner, runnerVersionOf } from './runner-version.ts';
import { exists, mountsBelow } from './traces.ts';

export type HostCheckInput = {
  readonly controllerId: string;
  readonly stateDir: string;
  readonly network: DriverNetwork;
  readonly profiles: readonly Profile[];
  readonly log: Log;
};

const oldestSystemd = 249;
/** Magic numbers of file systems that refuse idmapped mounts. */
const withoutIdmap: ReadonlyMap<number, string> = new Map([
  [0x794c_7630, 'overlayfs'],
  [0x6969, 'NFS'],
  [0x0102_1997, '9p'],
  [0x6573_5546, 'FUSE'],
  [0x517b, 'SMB'],
]);

/** Rejects with DRIVER_UNAVAILABLE; `details.reasons` holds every sentence. */
export async function checkHost(input: HostCheckInput): Promise<void> {
  const reasons = (
    await Promise.all([
      checkSystemd(),
      checkNamespaces(),
      checkTools(input.profiles),
      checkControllers(),
      checkFileSystems(input),
      checkProfiles(input.profiles),
      checkRunners(input),
      checkAddresses(input),
    ])
  ).flat();
  if (reasons.length === 0) reasons.push(...(await forward(input.log)));
  if (reasons.length > 0) {
    throw new ControllerError('DRIVER_UNAVAILABLE', `This host cannot run machines. ${reasons.join(' ')}`, { details: { reasons } });
  }
  const instances = Number(await readFile('/proc/sys/fs/inotify/max_user_instances', 'utf8'));
  if (instances < 128) {
    input.log.warn('warning', { instances }, 'fs.inotify.max_user_instances is low: jobs that watch files may fail; raise it to 1024');
  }
}

async function checkSystemd(): Promise<string[]> {
  if (process.getuid?.() !== 0) return ['It needs root: run the service as root.'];
  const first = (await readFile('/proc/1/comm', 'utf8')).trim();
  if (first !== 'systemd' || !(await exists('/run/systemd/system'))) {
    return [`Its first process is "${first}", not systemd: run the service on a host (or virtual machine) that systemd booted.`];
  }
  const { stdout, trouble } = await tryRun('systemd-run', ['--version'], { timeoutMs: 5_000 });
  const version = Number(/^systemd (\d+)/.exec(stdout)?.[1]);
  if (trouble !== undefined) return [`systemd-run ${trouble}.`];
  return version >= oldestSystemd ? [] : [`Its systemd is ${String(version)}; ${oldestSystemd} or newer is needed.`];
}

/** Mounts and network namespaces that we make must be seen by PID 1, which starts the machines. */
async function checkNamespaces(): Promise<string[]> {
  if (process.getuid?.() !== 0) return [];
  const words = { mnt: 'mount', net: 'network' } as const;
  const apart = await Promise.all(
    (['mnt', 'net'] as const).map(async (kind) => {
      // A root that may not even look is one in a container.
      const first = await readlink(`/proc/1/ns/${kind}`).catch(() => undefined);
      return (await readlink(`/proc/self/ns/${kind}`)) === first ? [] : [words[kind]];
    }),
  );
  return apart
    .flat()
    .map(
      (word) =>
        `This process has a ${word} namespace of its own: take ProtectSystem=, PrivateTmp=, PrivateNetwork= and the like out of the service's unit.`,
    );
}

async function checkTools(profiles: readonly Profile[]): Promise<string[]> {
  const disks = profiles.some((profile) => profile.limits.diskBytes !== undefined);
  const tools: readonly (readonly [string, string, string])[] = [
    ['systemd-nspawn', '--version', 'systemd-container'],
    ['ip', '-V', 'iproute2'],
    ['nft', '--version', 'nftables'],
    ['nsenter', '--version', 'util-linux'],
    ['mkfifo', '--version', 'coreutils'],
    ...(disks
      ? ([
          ['mkfs.ext4', '-V', 'e2fsprogs'],
          ['mount', '--version', 'util-linux'],
        ] as const)
      : []),
  ];
  const found = await Promise.all(tools.map(async ([tool, flag]) => (await tryRun(tool, [flag], { timeoutMs: 5_000 })).code === 0));
  const missing = tools.filter((_, index) => found[index] !== true).map(([tool, , from]) => `${tool} does not run: install ${from}.`);
  if (disks && !(await exists('/dev/loop-control'))) {
    missing.push('A profile limits its disk, and there is no /dev/loop-control: load the kernel module "loop", or leave out limits.disk.');
  }
  return missing;
}

async function checkControllers(): Promise<string[]> {
  const wanted = ['cpu', 'memory', 'pids'];
  const unified = (await exists('/sys/fs/cgroup/cgroup.controllers'))
    ? (await readFile('/sys/fs/cgroup/cgroup.controllers', 'utf8')).trim().split(' ')
    : undefined;
  const missing: string[] = [];
  for (const name of wanted) {
    if (unified === undefined ? !(await exists(`/sys/fs/cgroup/${name}`)) : !unified.includes(name)) missing.push(name);
  }
  return missing.length === 0
    ? []
    : [`It has no cgroup controller ${missing.join(', ')}, so limits would do nothing: enable them in the kernel.`];
}

async function checkFileSystems({ stateDir, profiles }: HostCheckInput): Promise<string[]> {
  const reasons: string[] = [];
  if (!stateDir.startsWith('/') || /[\s"'\\:]/.test(stateDir)) {
    reasons.push(`The state directory ${stateDir} must be absolute and hold no space, quote, backslash or colon.`);
    return reasons;
  }
  const trees = new Set([stateDir]);
  for (const { template } of profiles) trees.add(template.kind === 'host' ? '/usr' : template.path);
  for (const tree of trees) {
    if (!(await exists(tree))) {
      reasons.push(`${tree} does not exist.`);
      continue;
    }
    const bad = withoutIdmap.get((await statfs(tree)).type);
    if (bad !== undefined) reasons.push(`${tree} is on ${bad}, which cannot be idmapped: put it on ext4, xfs, btrfs or tmpfs.`);
    const below = tree === stateDir ? [] : (await mountsBelow(tree)).filter((path) => path !== tree);
    if (below.length > 0)
      reasons.push(`Something is mounted below ${tree} (${below.join(', ')}), so it cannot be shared with machines: unmount it.`);
  }
  return reasons;
}

async function checkProfiles(profiles: readonly Profile[]): Promise<string[]> {
  const reasons = await Promise.all(
    profiles.map(async ({ name, runnerPath, binds }) => {
      const bad: string[] = [];
      try {
        await access(runnerPath, constants.X_OK);
        if (!(await stat(runnerPath)).isFile()) bad.push(`Profile ${name}: ${runnerPath} is not a file.`);
      } catch {
        bad.push(`Profile ${name}: there is no executable forgejo-runner at ${runnerPath}.`);
      }
      for (const bind of binds)
        if (!(await exists(bind.source))) bad.push(`Profile ${name}: ${bind.source}, which it binds, does not exist.`);
      return bad;
    }),
  );
  return reasons.flat();
}

/** What each runner says of its version. One that says nothing readable is only warned of: it may run in its template and not here. */
async function checkRunners({ profiles, log }: HostCheckInput): Promise<string[]> {
  const reasons = await Promise.all(
    [...new Set(profiles.map(({ runnerPath }) => runnerPath))].map(async (path) => {
      if (!(await exists(path))) return [];
      const { stdout, stderr } = await tryRun(path, ['--version'], { timeoutMs: 5_000 });
      const { known, tooOld } = runnerVersionOf(`${stdout}\n${stderr}`);
      if (known === undefined) log.warn('warning', { path }, `${path} does not say its version; ${oldestRunner} or newer is needed`);
      return tooOld ? [`${path} is version ${String(known)}: forgejo-runner ${oldestRunner} or newer is needed.`] : [];
    }),
  );
  return reasons.flat();
}

/** Machines need the host to pass their packets on. */
async function forward(log: Log): Promise<string[]> {
  const path = '/proc/sys/net/ipv4/ip_forward';
  if ((await readFile(path, 'utf8')).trim() === '1') return [];
  try {
    await writeFile(path, '1');
  } catch (error) {
    return [`net.ipv4.ip_forward is off and could not be turned on (${(error as Error).message}): set it to 1.`];
  }
  log.info('warning', {}, 'turned net.ipv4.ip_forward on: machines reach the network through this host');
  return [];
}
