// Promises names, unit properties and command lines as data, all derived from the controller id, the machine's spec and its folder. Pure:
// nothing here touches the host. What does not match a name exactly is foreign (I6).

import { isMachineId } from '../core/naming.ts';
import type { MachineExit, MachineId, Template } from '../core/model.ts';
import { allowedCalls, bootCalls, deniedCalls, droppedCapabilities } from './confinement.ts';
import type { MachineSpec } from './driver.ts';
import { devicesOf, engineBindsOf } from './engine.ts';

const slice = 'machine-forgejorunners.slice';

/** Where things lie inside a machine. */
export const inside = {
  fifo: '/run/forgejo-runner/assign/job',
  runner: '/run/forgejo-runner/runner',
  init: '/run/forgejo-runner/init',
  boot: '/run/forgejo-runner/boot',
  config: '/run/forgejo-runner/config.yml',
} as const;

/** Below a machine's root: what `layered` is made of. The lower one sorts before every other target, so it is there when the upper one is laid on it. */
export const storeLayers = { top: '.nix', lower: '.nix/lower', upper: '.nix/upper' } as const;

/** A mark that others cannot bear by chance: the alias of our interfaces. */
const aliasPrefix = 'forgejo-runner-controller:';

export function aliasOf(controllerId: string): string {
  return `${aliasPrefix}${controllerId}`;
}

/** The controller id in an interface's alias, undefined for aliases of others. */
export function controllerOfAlias(alias: string): string | undefined {
  return alias.startsWith(aliasPrefix) ? alias.slice(aliasPrefix.length) : undefined;
}

export function unitOf(controllerId: string, id: MachineId): string {
  return `forgejo-runner-${controllerId}-${id}.service`;
}

export function namespaceOf(controllerId: string, id: MachineId): string {
  return `forgejo-runner-${controllerId}-${id}`;
}

export function interfaceOf(id: MachineId): string {
  return `fr-${id}`;
}

/** The machine that a namespace or (with `.service`) a unit of ours belongs to; undefined for foreign names. */
export function machineOfName(controllerId: string, name: string, suffix: '' | '.service'): MachineId | undefined {
  const prefix = `forgejo-runner-${controllerId}-`;
  if (!name.startsWith(prefix) || !name.endsWith(suffix)) return undefined;
  const id = name.slice(prefix.length, name.length - suffix.length);
  return isMachineId(id) ? id : undefined;
}

/** The machine that an interface name could belong to; its alias must say so, too. */
export function machineOfInterface(name: string): MachineId | undefined {
  const id = name.startsWith('fr-') ? name.slice(3) : '';
  return isMachineId(id) ? id : undefined;
}

/** Where things of one machine lie on the host, below `<stateDir>`. */
export type MachinePaths = {
  readonly folder: string;
  readonly marker: string;
  /** Written when start() was through. */
  readonly started: string;
  readonly root: string;
  /** Where the root and its parts lie while they are removed. */
  readonly going: string;
  readonly shared: string;
  readonly assign: string;
  readonly fifo: string;
  readonly volume: string;
  readonly exit: string;
};

export function pathsOf(stateDir: string, id: MachineId): MachinePaths {
  const folder = `${stateDir}/machines/${id}`;
  return {
    folder,
    marker: `${folder}/machine.json`,
    started: `${folder}/started`,
    root: `${folder}/root`,
    going: `${folder}/going`,
    shared: `${folder}/shared`,
    assign: `${folder}/shared/assign`,
    fifo: `${folder}/shared/assign/job`,
    volume: `${folder}/volume.ext4`,
    exit: `${stateDir}/exits/${id}`,
  };
}

/** What the machine's root needs bound from the host, found once by looking at it (root.ts). */
export type RootPlan = {
  readonly template: Template;
  /** Folders of the host that lie at the same path inside, read-only: /usr, /etc/alternatives, /etc/ssl/certs. */
  readonly shared: readonly string[];
  /** Top folders of a directory template, each overlaid by a fresh one. */
  readonly overlaid: readonly string[];
  /** As shared, but with the owners of the host: on file systems that cannot be idmapped, and for sockets. */
  readonly plain?: readonly string[];
  /** A folder of the host that lies at the same path inside, under a layer of the machine's own that takes what is written there. */
  readonly layered?: string;
  /** Variables that the template asks for; those of a profile win. */
  readonly environment?: Readonly<Record<string, string>>;
  /** For a template whose own systemd is the first process: how it is started, and the PATH of the job. */
  readonly boot?: { readonly init: readonly string[]; readonly path: string };
  /** Where in the Nix store the template lies. */
  readonly storePath?: string;
};

export type UnitInput = {
  readonly controllerId: string;
  readonly stateDir: string;
  readonly spec: MachineSpec;
  readonly rootPlan: RootPlan;
  /** First of the 65536 host uids that the machine gets. */
  readonly uidBase: number;
};

/** The command line of the machine's unit; `program` is where nspawn is. Nothing in it is secret. */
export function commandOf(input: UnitInput, program: string): readonly string[] {
  return [program, ...nspawnArgumentsOf(input)].map((argument) => dollarsDoubled(argument));
}

/** PID 1 expands $ in arguments; only a doubled one comes through as itself. */
function dollarsDoubled(argument: string): string {
  return argument.replaceAll('$', '$$$$');
}

/** `unit`: by another name than that of a transient one. */
export function unitPropertiesOf(
  { controllerId, stateDir, spec, rootPlan }: UnitInput,
  unit?: string,
): readonly (readonly [name: string, value: string])[] {
  const { cpus, memoryBytes, tasks } = spec.profile.limits;
  const boots = rootPlan.boot !== undefined;
  return [
    ['Description', `Forgejo Actions job machine ${spec.id} (profile ${spec.profile.name})`],
    ['Slice', slice],
    // What starts after them is stopped before them: when the host goes down, runners can still send their logs and results.
    ['After', 'network-pre.target network.target nss-lookup.target'],
    ['Type', 'notify'],
    ['NotifyAccess', 'main'],
    ['Delegate', 'yes'],
    ['KillMode', 'mixed'],
    ['NetworkNamespacePath', `/run/netns/${namespaceOf(controllerId, spec.id)}`],
    ['RuntimeMaxSec', `${spec.runtimeMaxMs}ms`],
    ['TimeoutStartSec', `${spec.profile.timeouts.startMs}ms`],
    ['TimeoutStopSec', `${spec.profile.timeouts.stopMs}ms`],
    ...(memoryBytes === undefined ? [] : ([['MemoryMax', String(memoryBytes)]] as const)),
    ['MemorySwapMax', '0'],
    ...(cpus === undefined ? [] : ([['CPUQuota', `${Math.round(cpus * 100)}%`]] as const)),
    ...(tasks === undefined ? [] : ([['TasksMax', String(tasks)]] as const)),
    // One step that takes too much dies alone: the runner lives on and reports the failure.
    ['OOMPolicy', 'continue'],
    ['LimitNOFILE', '524288'],
    ['LimitCORE', '0'],
    ['DevicePolicy', 'closed'],
    ['DeviceAllow', 'char-pts rw'],
    ...devicesOf(spec.profile).map((device) => ['DeviceAllow', `${device} rw`] as const),
    ['SyslogIdentifier', spec.id],
    // A job can write to its console what it likes: it may not push everybody else's lines out of the journal.
    ['LogRateLimitIntervalSec', '30s'],
    ['LogRateLimitBurst', '200'],
    ['ExecStopPost', exitRecorderOf(pathsOf(stateDir, spec.id).exit, unit ?? unitOf(controllerId, spec.id))],
    // A systemd inside needs the unified hierarchy on hosts that have both.
    ['Environment', `SYSTEMD_SECCOMP=0 SYSTEMD_NSPAWN_TMPFS_TMP=0${boots ? ' SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1' : ''}`],
    ['SystemCallArchitectures', 'native'],
    // Programs fall back from a call that is not there; from one that is forbidden, many do not (statx, clone3, io_uring).
    ['SystemCallErrorNumber', 'ENOSYS'],
    ['SystemCallFilter', [...allowedCalls, ...(boots ? bootCalls : [])].join(' ')],
    ['SystemCallFilter', `~${deniedCalls.join(' ')}`],
  ];
}

/**
 * Writes how the machine ended, and what its control group counted. One write of a whole line by the shell itself, no rename: a record counts
 * only when its newline is there, so half of one is none, and the end of a job does not wait for another process. The plus spares this shell
 * of ours the unit's system call filter, whose making costs 10 ms and more. Kernels before 5.19 do not keep the peak.
 */
const exitRecorder = [
  'peak=- kills=- cpu=-',
  'for file in "$$1/memory.peak" "$$2/memory.max_usage_in_bytes"; do [ ! -r "$$file" ] || read -r peak <"$$file"; done',
  'for file in "$$1/memory.events" "$$2/memory.oom_control"; do [ ! -r "$$file" ] || ' +
    'while read -r name count; do [ "$$name" != oom_kill ] || kills=$$count; done <"$$file"; done',
  '[ ! -r "$$4/cpuacct.usage" ] || { read -r count <"$$4/cpuacct.usage"; cpu=$$((count / 1000)); }',
  'for file in "$$1/cpu.stat" "$$3/cpu.stat"; do [ ! -r "$$file" ] || ' +
    'while read -r name count; do [ "$$name" != usage_usec ] || cpu=$$count; done <"$$file"; done',
  'echo "$$SERVICE_RESULT $${EXIT_CODE:--} $${EXIT_STATUS:--} $$peak $$kills $$cpu" >"$$0"',
].join('; ');

function exitRecorderOf(path: string, unit: string): string {
  return `+/bin/sh -c '${exitRecorder}' ${recordedBy(path, unit).map(quoted).join(' ')}`;
}

/** Where it writes; then the group in the unified hierarchy, and where it and its controllers lie on hosts that still have a hierarchy for each. */
function recordedBy(path: string, unit: string): readonly string[] {
  return [path, ...['', '/memory', '/unified', '/cpuacct'].map((root) => `/sys/fs/cgroup${root}/machine.slice/${slice}/${unit}`)];
}

/** The same as words of a command line; it runs with the rights that a plus gives. */
export function exitRecorderCommandOf({ controllerId, stateDir, spec }: UnitInput): readonly string[] {
  const words = recordedBy(pathsOf(stateDir, spec.id).exit, unitOf(controllerId, spec.id));
  return ['/bin/sh', '-c', exitRecorder, ...words.map((word) => dollarsDoubled(word))];
}

/**
 * Reads an exit record: "RESULT CODE STATUS PEAK OOM_KILLS CPU\n", bytes and microseconds, "-" when unknown; older versions wrote the first three
 * or five words. Undefined while it is not whole.
 */
export function parseExitRecord(text: string): MachineExit | undefined {
  if (!text.endsWith('\n')) return undefined;
  const words = text
    .trim()
    .split(/\s+/)
    .map((word) => (word === '-' ? '' : word));
  const [result = '', code = '', status = '', peak = '', kills = '', cpu = ''] = words;
  if (result === '') return undefined;
  return {
    result,
    code,
    status,
    ...(/^\d{1,15}$/.test(peak) ? { memoryPeakBytes: Number(peak) } : {}),
    ...(/^\d{1,15}$/.test(kills) ? { oomKills: Number(kills) } : {}),
    ...(/^\d{1,15}$/.test(cpu) ? { cpuMs: Math.round(Number(cpu) / 1000) } : {}),
  };
}

export function nspawnArgumentsOf({ stateDir, spec, rootPlan, uidBase }: UnitInput): readonly string[] {
  const paths = pathsOf(stateDir, spec.id);
  return [
    '--quiet',
    '--keep-unit',
    '--register=yes',
    '--settings=no',
    `--machine=${spec.id}`,
    `--directory=${paths.root}`,
    `--private-users=${uidBase}:65536`,
    '--private-users-ownership=chown',
    ...(rootPlan.boot === undefined
      ? ['--console=pipe', '--kill-signal=SIGTERM']
      : // SIGRTMIN+3 asks a systemd to halt. It could not mount its /run/lock itself, and will not start without.
        ['--console=read-only', '--kill-signal=SIGRTMIN+3', '--notify-ready=yes', '--tmpfs=/run/lock:mode=1777']),
    '--link-journal=no',
    '--resolv-conf=off',
    '--timezone=off',
    '--no-new-privileges=yes',
    `--drop-capability=${droppedCapabilities.join(',')}`,
    ...rootBindsOf(rootPlan),
    ...engineBindsOf(spec.profile, rootPlan),
    `--bind-ro=${escapedPath(paths.shared)}:/run/forgejo-runner:idmap`,
    `--bind-ro=${escapedPath(spec.profile.runnerPath)}:${inside.runner}`,
    ...spec.profile.binds.map(
      (bind) => `--bind${bind.writable ? '' : '-ro'}=${escapedPath(bind.source)}:${escapedPath(bind.target)}:idmap`,
    ),
    ...Object.entries({
      ...(rootPlan.boot === undefined ? {} : { PATH: rootPlan.boot.path }),
      ...rootPlan.environment,
      ...spec.profile.environment,
    }).map(([name, value]) => `--setenv=${name}=${value}`),
    '--',
    '/bin/sh',
    ...(rootPlan.boot === undefined ? [inside.init] : [inside.boot, ...rootPlan.boot.init]),
  ];
}

function rootBindsOf(plan: RootPlan): readonly string[] {
  const shared = [
    ...plan.shared.map((path) => `--bind-ro=${escapedPath(path)}:${escapedPath(path)}:idmap`),
    ...(plan.plain ?? []).map((path) => `--bind-ro=${escapedPath(path)}:${escapedPath(path)}`),
    ...(plan.layered === undefined
      ? []
      : [
          `--bind-ro=${escapedPath(plan.layered)}:/${storeLayers.lower}:idmap`,
          `--overlay=+/${storeLayers.lower}:+/${storeLayers.upper}:${escapedPath(plan.layered)}`,
        ]),
  ];
  if (plan.template.kind !== 'directory' && plan.template.kind !== 'system') return shared;
  return [
    // `.template` sorts before every other target, so it is there when the overlays on top of it are made.
    `--bind-ro=${escapedPath(plan.template.path)}:/.template:idmap`,
    ...plan.overlaid.map((name) => {
      const top = escapedPath(name);
      return `--overlay=+/.template/${top}:+/.fresh/${top}:/${top}`;
    }),
    ...shared,
  ];
}

/** nspawn splits at colons and takes backslashes as escapes. */
export function escapedPath(path: string): string {
  return path.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
}

/** One word for systemd's own command line syntax. */
function quoted(word: string): string {
  return `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '$$$$')}"`;
}
