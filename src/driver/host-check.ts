// Promises to say at once, in whole sentences with a remedy, why this host could not run machines (DRIVER_UNAVAILABLE): all reasons
// together. Turns IPv4 forwarding on, as the only setting of the host it changes, and says so.

import { access, constants, readFile, readlink, stat } from 'node:fs/promises';
import type { Profile } from '../core/model.ts';
import { faultSentence, type Fault } from '../doctor.ts';
import { ControllerError } from '../errors.ts';
import type { Log } from '../log.ts';
import { driverChecks, type DriverChoice } from './container-check.ts';
import { checkEngine } from './engine-check.ts';
import { tryPerform, tryRun, type RunResult } from './exec.ts';
import { refusesIdmap } from './file-systems.ts';
import { isApart } from './hands.ts';
import { checkAddresses } from './host-addresses.ts';
import { missingInterfaces } from './network-host.ts';
import type { DriverNetwork } from './network.ts';
import { checkDaemon } from './nix-daemon.ts';
import { pinFault } from './runner-pin.ts';
import { oldestRunner, runnerVersionOf } from './runner-version.ts';
import { exists } from './presence.ts';
import { followsTheHost, mountsBelow, mountWordOf } from './traces.ts';

export type HostCheckInput = DriverChoice & {
  readonly stateDir: string;
  readonly network: DriverNetwork;
  readonly log: Pick<Log, 'info' | 'warn'>;
};

/** One look at the host: `well` says what is there when nothing is wrong. It changes nothing and may reject. */
export type HostCheck = { readonly name: string; readonly well: string; readonly faults: () => Promise<readonly Fault[]> };

const oldestSystemd = 249;

/** What can be asked of a host without a configuration. */
export function hostChecks(profiles: readonly Profile[]): readonly HostCheck[] {
  return [
    { name: 'systemd', well: `systemd is the first process, and ${oldestSystemd} or newer.`, faults: checkSystemd },
    { name: 'namespaces', well: 'Mounts and networks are made where systemd sees them.', faults: checkNamespaces },
    { name: 'tools', well: 'systemd-nspawn, ip, nft and the other tools run.', faults: () => checkTools(profiles) },
    { name: 'control groups', well: 'The controllers cpu, memory and pids are there.', faults: checkControllers },
  ];
}

/** What a configuration asks of it. */
export function configuredChecks(input: HostCheckInput): readonly HostCheck[] {
  const { profiles, network } = input;
  return [
    { name: 'file systems', well: 'The state directory and every template can be idmapped.', faults: () => checkFileSystems(input) },
    { name: 'paths of profiles', well: "Every profile's runner and binds are there.", faults: () => checkProfiles(profiles) },
    { name: 'nix', well: 'Every profile that asks for the Nix daemon can have it.', faults: () => checkDaemon(profiles) },
    {
      name: 'containers',
      well: 'Every profile whose jobs may run containers has what they need.',
      faults: () => checkEngine(profiles, look),
    },
    { name: 'runners', well: `No forgejo-runner says that it is older than ${oldestRunner}.`, faults: () => checkRunners(input) },
    {
      name: 'addresses',
      well: `The pool ${network.pool.first}-${network.pool.last} is nobody else's.`,
      faults: () => checkAddresses(input),
    },
    ...driverChecks(input),
  ];
}

/** Rejects with DRIVER_UNAVAILABLE; `details.reasons` holds every sentence. */
export async function checkHost(input: HostCheckInput): Promise<void> {
  const faults = await faultsOf([...hostChecks(input.profiles), ...configuredChecks(input)]);
  if (faults.length === 0) faults.push(...(await forward(input.log)));
  const reasons = faults.map(faultSentence);
  if (reasons.length > 0) {
    throw new ControllerError('DRIVER_UNAVAILABLE', `This host cannot run machines. ${reasons.join(' ')}`, { details: { reasons } });
  }
  for (const name of await missingInterfaces(input.network.externalInterface))
    input.log.warn(
      'warning',
      { interface: name },
      `network.externalInterface ${name} does not exist; machines reach nothing by it until it does`,
    );
  const instances = Number(await readFile('/proc/sys/fs/inotify/max_user_instances', 'utf8'));
  // A systemd takes some thirty; without them it does not start.
  const boots = input.profiles.some(({ template }) => template.kind === 'system' || template.kind === 'nixos');
  if (instances < (boots ? 1_024 : 128)) {
    const cost = boots ? 'few machines with a systemd can start at once' : 'jobs that watch files may fail';
    input.log.warn('warning', { instances }, `fs.inotify.max_user_instances is low: ${cost}; raise it to 1024`);
  }
}

/** What is known to be wrong is told, also when not everything could be looked at: often the one is why the other could not. */
export async function faultsOf(checks: readonly Pick<HostCheck, 'faults'>[]): Promise<Fault[]> {
  const looks = await Promise.allSettled(checks.map((check) => check.faults()));
  const faults = looks.flatMap((look) => (look.status === 'fulfilled' ? look.value : []));
  const blind = looks.find((look) => look.status === 'rejected');
  if (faults.length === 0 && blind !== undefined) throw blind.reason;
  return faults;
}

async function checkSystemd(): Promise<Fault[]> {
  const version = await checkVersion();
  if (process.getuid?.() !== 0) return [{ what: 'It needs root', remedy: 'run the service as root' }, ...version];
  // In a sandbox it may be out of sight; then the look at namespaces asks it for a shell.
  const first = (await readFile('/proc/1/comm', 'utf8').catch(() => (isApart() ? 'systemd' : 'out of sight'))).trim();
  if (first === 'systemd' && (await exists('/run/systemd/system'))) return version;
  const remedy = 'run the service on a host (or virtual machine) that systemd booted';
  return [{ what: `Its first process is "${first}", not systemd`, remedy }, ...version];
}

async function checkVersion(): Promise<Fault[]> {
  const { stdout, trouble } = await tryRun('systemd-run', ['--version'], { timeoutMs: 5_000 });
  const version = Number(/^systemd (\d+)/.exec(stdout)?.[1]);
  if (trouble !== undefined) return [{ what: `systemd-run ${trouble}` }];
  return version >= oldestSystemd ? [] : [{ what: `Its systemd is ${String(version)}; ${oldestSystemd} or newer is needed` }];
}

/** What programs make on the host must be made where PID 1, which starts the machines, sees it, and be seen here. */
async function checkNamespaces(): Promise<Fault[]> {
  if (process.getuid?.() !== 0) return [];
  if (isApart()) return checkHands();
  const words = { mnt: 'mount', net: 'network' } as const;
  const apart = await Promise.all(
    (['mnt', 'net'] as const).map(async (kind) => {
      // A root that may not even look is one in a container.
      const first = await readlink(`/proc/1/ns/${kind}`).catch(() => undefined);
      return (await readlink(`/proc/self/ns/${kind}`)) === first ? [] : [words[kind]];
    }),
  );
  return apart.flat().map((word) => apartFrom(word));
}

/** In a sandbox: the shell outside of it is there, and shares our network. */
async function checkHands(): Promise<Fault[]> {
  const first = await networkOutside();
  // A shell that somebody ended is none that systemd does not give: the second one is believed, because after this fault nobody starts us again.
  const { code, stderr, trouble } = first.trouble === undefined ? first : await networkOutside();
  if (code === 0 && trouble === undefined) return stderr.trim() === (await readlink('/proc/self/ns/net')) ? [] : [apartFrom('network')];
  return [
    {
      what: `This process is in a sandbox, and systemd gave it no shell outside of it: it ${(trouble ?? stderr).trim()}`,
      remedy: 'let its unit reach the system bus, as root and by AF_UNIX, or take ProtectSystem=, PrivateTmp= and the like out of it',
    },
  ];
}

async function networkOutside(): Promise<RunResult> {
  return tryPerform('readlink', ['/proc/self/ns/net'], { timeoutMs: 10_000 });
}

function apartFrom(kind: string): Fault {
  const remedy = "take PrivateNetwork= and the like out of the service's unit, and run it on the host itself";
  return { what: `This process has a ${kind} namespace of its own`, remedy };
}

async function checkTools(profiles: readonly Profile[]): Promise<Fault[]> {
  const caches = profiles.some(({ cache }) => cache !== undefined);
  const disks = caches || profiles.some(({ limits }) => limits.diskBytes !== undefined);
  const tools: readonly (readonly [string, string, string])[] = [
    ['systemd-nspawn', '--version', 'systemd-container'],
    ['ip', '-V', 'iproute2'],
    ['nft', '--version', 'nftables'],
    ['nsenter', '--version', 'util-linux'],
    ['mkfifo', '--version', 'coreutils'],
    ...(disks ? ([['mkfs.ext4', '-V', 'e2fsprogs']] as const) : []),
    ...[...(disks ? ['mount'] : []), ...(caches ? ['losetup', 'flock'] : [])].map((tool) => [tool, '--version', 'util-linux'] as const),
  ];
  const found = await Promise.all(tools.map(async ([tool, flag]) => (await tryRun(tool, [flag], { timeoutMs: 5_000 })).code === 0));
  const missing: Fault[] = tools
    .filter((_, index) => found[index] !== true)
    .map(([tool, , from]) => ({ what: `${tool} does not run`, remedy: `install ${from}` }));
  // Not `exists`: a sandbox has few devices, and it is others that mount.
  if (disks && (await look('test', ['-e', '/dev/loop-control'])).code !== 0) {
    missing.push({
      what: `A profile ${caches ? 'has a cache' : 'limits its disk'}, and there is no /dev/loop-control`,
      remedy: `load the kernel module "loop", or leave out ${caches ? 'cache' : 'limits.disk'}`,
    });
  }
  return missing;
}

/** Rejects with DRIVER_FAILED when nobody looked, which is no answer: the next look may have one (I2), while what is missing stays so. */
async function look(command: string, args: readonly string[]): Promise<RunResult> {
  const result = await tryPerform(command, args, { timeoutMs: 10_000 });
  if (result.trouble === undefined) return result;
  throw new ControllerError('DRIVER_FAILED', `The host could not be looked at: ${command} ${result.trouble}.`);
}

async function checkControllers(): Promise<Fault[]> {
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
    : [{ what: `It has no cgroup controller ${missing.join(', ')}, so limits would do nothing`, remedy: 'enable them in the kernel' }];
}

async function checkFileSystems({ stateDir, profiles }: HostCheckInput): Promise<Fault[]> {
  const reasons: Fault[] = [];
  if (!stateDir.startsWith('/') || /[\s"'\\:]/.test(stateDir)) {
    reasons.push({ what: `The state directory ${stateDir} must be absolute and hold no space, quote, backslash or colon` });
    return reasons;
  }
  const trees = new Set([stateDir]);
  // The Nix store is bound without where it cannot be idmapped.
  for (const { template } of profiles)
    if (template.kind !== 'nix-env' && template.kind !== 'nixos') trees.add(template.kind === 'host' ? '/usr' : template.path);
  for (const tree of trees) {
    if (!(await exists(tree))) {
      const owner = profiles.find(({ template }) => template.kind !== 'host' && template.path === tree);
      const remedy =
        owner === undefined ? 'make it' : `make it (docs/OPERATIONS.md, Templates), or correct template.path of profile ${owner.name}`;
      reasons.push({ what: `${tree} does not exist`, remedy });
      continue;
    }
    const bad = await refusesIdmap(tree);
    if (bad !== undefined)
      reasons.push({ what: `${tree} is on ${bad}, which cannot be idmapped`, remedy: 'put it on ext4, xfs, btrfs or tmpfs' });
    reasons.push(...(tree === stateDir ? checkPropagation(tree) : await checkMountsBelow(tree)));
  }
  return reasons;
}

/** Nothing may be mounted below a template; what a sandbox puts over its own view of it does not count. */
async function checkMountsBelow(tree: string): Promise<Fault[]> {
  let below = (await mountsBelow(tree)).filter((path) => path !== tree);
  if (isApart()) {
    const script = 'while read -r _ _ _ _ at _; do case $at in "$1"/*) printf "%s\\n" "$at" ;; esac; done </proc/self/mountinfo';
    const { code, stderr } = await look('sh', ['-c', script, 'sh', mountWordOf(tree)]);
    if (code !== 0) return [{ what: `What is mounted below ${tree} is not known (${stderr.trim()})` }];
    below = stderr.split('\n').filter((path) => path !== '');
  }
  if (below.length === 0) return [];
  const what = `Something is mounted below ${tree} (${below.join(', ')}), so it cannot be shared with machines`;
  return [{ what, remedy: 'unmount it' }];
}

/** In a sandbox mounts of the host have to come and go below the state directory as they do there. */
function checkPropagation(stateDir: string): Fault[] {
  if (!isApart() || followsTheHost(stateDir)) return [];
  const what = `What is mounted below ${stateDir} is not seen by this process, which has a mount namespace of its own`;
  return [{ what, remedy: 'take MountFlags= out of its unit, and make that mount shared on the host (mount --make-shared)' }];
}

async function checkProfiles(profiles: readonly Profile[]): Promise<Fault[]> {
  const reasons = await Promise.all(
    profiles.map(async (profile) => {
      const { name, runnerPath, binds } = profile;
      const bad: Fault[] = [];
      try {
        await access(runnerPath, constants.X_OK);
        if (!(await stat(runnerPath)).isFile()) bad.push({ what: `Profile ${name}: ${runnerPath} is not a file` });
      } catch {
        const remedy = `install forgejo-runner ${oldestRunner} or newer there, or name in \`runner\` where it is`;
        bad.push({ what: `Profile ${name}: there is no executable forgejo-runner at ${runnerPath}`, remedy });
      }
      const pin = bad.length === 0 ? await pinFault(profile) : undefined;
      if (pin !== undefined) bad.push(pin);
      for (const bind of binds)
        if (!(await exists(bind.source)))
          bad.push({ what: `Profile ${name}: ${bind.source}, which it binds, does not exist`, remedy: 'make it, or take the bind away' });
      return bad;
    }),
  );
  return reasons.flat();
}

/** What each runner says of its version. One that says nothing readable is only warned of: it may run in its template and not here. */
async function checkRunners({ profiles, log }: HostCheckInput): Promise<Fault[]> {
  const reasons = await Promise.all(
    [...new Set(profiles.map(({ runnerPath }) => runnerPath))].map(async (path) => {
      if (!(await exists(path))) return [];
      const { stdout, stderr } = await tryRun(path, ['--version'], { timeoutMs: 5_000 });
      const { known, tooOld } = runnerVersionOf(`${stdout}\n${stderr}`);
      if (known === undefined) log.warn('warning', { path }, `${path} does not say its version; ${oldestRunner} or newer is needed`);
      return tooOld ? [{ what: `${path} is version ${String(known)}`, remedy: `forgejo-runner ${oldestRunner} or newer is needed` }] : [];
    }),
  );
  return reasons.flat();
}

/** Machines need the host to pass their packets on. */
async function forward(log: HostCheckInput['log']): Promise<Fault[]> {
  const path = '/proc/sys/net/ipv4/ip_forward';
  if ((await readFile(path, 'utf8')).trim() === '1') return [];
  // Not by ourselves: in a sandbox the kernel's settings are read-only.
  const { code, stderr, trouble } = await tryPerform('sh', ['-c', 'echo 1 >"$1"', 'sh', path], { timeoutMs: 10_000 });
  if (code !== 0 || trouble !== undefined) {
    const why = (trouble ?? stderr).trim();
    return [{ what: `net.ipv4.ip_forward is off and could not be turned on (${why})`, remedy: 'set it to 1' }];
  }
  log.info('warning', {}, 'turned net.ipv4.ip_forward on: machines reach the network through this host');
  return [];
}
