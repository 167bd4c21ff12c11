// Promises what the driver `nixos-container` tells the host's containers module of a machine, as text: lines of its conf, a drop-in of its unit,
// and whose a conf is. Pure: nothing here touches the host. What does not match is foreign (I6).

import { isMachineId } from '../core/naming.ts';
import type { MachineId } from '../core/model.ts';
import { droppedCapabilities } from './confinement.ts';
import { devicesOf } from './engine.ts';
import { escapedPath, inside, pathsOf, unitPropertiesOf, type UnitInput } from './nspawn-unit.ts';

/** A key that the module does not read: whose container it is. */
const markKey = 'FORGEJO_RUNNER_CONTROLLER';
/** Set in [Unit]; all else is of the service. */
const ofTheUnit = new Set(['Description', 'After', 'CollectMode']);

export function containerUnitOf(id: MachineId): string {
  return `container@${id}.service`;
}

/** The machine that a folder of drop-ins belongs to; undefined for those of others. */
export function machineOfDropIns(name: string): MachineId | undefined {
  const id = /^container@(.*)\.service\.d$/.exec(name)?.[1] ?? '';
  return isMachineId(id) ? id : undefined;
}

/** The machine that a conf could belong to; its mark must say so, too. */
export function machineOfConf(name: string): MachineId | undefined {
  const id = name.endsWith('.conf') ? name.slice(0, -'.conf'.length) : '';
  return isMachineId(id) ? id : undefined;
}

/** Ours, and nobody else's, by its name. */
export function dropInNameOf(controllerId: string): string {
  return `50-forgejo-runner-${controllerId}.conf`;
}

/** The controller that a conf is marked with; undefined without a mark. */
export function controllerOfConf(conf: string): string | undefined {
  return new RegExp(`^${markKey}=(.*)$`, 'm').exec(conf)?.[1];
}

/**
 * True for a conf that `create` may have written for us and that was not marked yet, because the host went down in between: it holds the address
 * that only we gave, or was cut off before it.
 */
export function couldBeUnmarked(conf: string, hostAddress: string): boolean {
  const address = /^HOST_ADDRESS=(.*)$/m.exec(conf)?.[1];
  return address === undefined || address === hostAddress;
}

/** Appended to what `create` wrote; the last line of a key counts. Begins with a line break, should that have been cut off. */
export function confLinesOf(input: UnitInput): string {
  const { controllerId, uidBase } = input;
  const lines: readonly (readonly [string, string])[] = [
    [markKey, controllerId],
    // The unit is put into a network of ours: the module shall make none.
    ['PRIVATE_NETWORK', '0'],
    ['HOST_ADDRESS', ''],
    ['LOCAL_ADDRESS', ''],
    // Newer modules do not start a container whose conf lacks it.
    ['COPY_RESOLV_CONF', '0'],
    // As a number, the module binds the store with owners that fit.
    ['PRIVATE_USERS', String(uidBase)],
    [
      'EXTRA_NSPAWN_FLAGS',
      `"${flagsOf(input)
        .join(' ')
        .replaceAll(/[\\"$`]/g, String.raw`\$&`)}"`,
    ],
  ];
  return ['', ...lines.map(([key, value]) => `${key}=${value}`), ''].join('\n');
}

/**
 * What the driver nspawn asks of nspawn for a machine with a systemd (nspawn-unit.ts), as far as the module does not. They come after the module's
 * own, and the last one counts. The module's shell splits them at blanks: see unfitOf.
 */
function flagsOf({ stateDir, spec, uidBase }: UnitInput): readonly string[] {
  return [
    '--quiet',
    '--settings=no',
    // Older modules do not know PRIVATE_USERS, and would give the job the rights of the host's root.
    `--private-users=${uidBase}:65536`,
    '--private-users-ownership=chown',
    '--console=read-only',
    // Ready when it runs, not when all of its units do: the job's own unit waits for those it needs.
    '--notify-ready=no',
    '--tmpfs=/run/lock:mode=1777',
    '--link-journal=no',
    '--resolv-conf=off',
    '--timezone=off',
    '--no-new-privileges=yes',
    `--drop-capability=${droppedCapabilities.join(',')}`,
    // The module binds both into every container; who may build and what is in the store is no job's business, unless its profile says so.
    ...(spec.profile.nixAccess === 'daemon' ? [] : ['--inaccessible=/nix/var/nix/daemon-socket']),
    '--inaccessible=/nix/var/nix/db',
    ...devicesOf(spec.profile).map((device) => `--bind=${device}`),
    ...pathFlagsOf({ stateDir, spec }),
  ];
}

function pathFlagsOf({ stateDir, spec }: Pick<UnitInput, 'stateDir' | 'spec'>): readonly string[] {
  const { runnerPath, binds } = spec.profile;
  return [
    `--bind-ro=${escapedPath(pathsOf(stateDir, spec.id).shared)}:/run/forgejo-runner:idmap`,
    `--bind-ro=${escapedPath(runnerPath)}:${inside.runner}`,
    ...binds.map((bind) => `--bind${bind.writable ? '' : '-ro'}=${escapedPath(bind.source)}:${escapedPath(bind.target)}:idmap`),
  ];
}

/** The paths of a profile that a shell would take for something else. */
export function unfitOf({ runnerPath, binds }: UnitInput['spec']['profile']): readonly string[] {
  const paths = [runnerPath, ...binds.flatMap(({ source, target }) => [source, target])];
  return paths.filter((path) => /[\s*?[\]"'\\$`]/.test(path));
}

/**
 * The drop-in of the machine's unit: what the units of the driver nspawn have, put upon the module's template. The root lies with our own files,
 * which only our own removal, hardened for what jobs leave, ever enters.
 */
export function dropInOf(input: UnitInput): string {
  const properties = [
    ...unitPropertiesOf(input, containerUnitOf(input.spec.id)),
    ['CollectMode', 'inactive-or-failed'],
    // A machine has one job: what ended, however, is not begun again.
    ['Restart', 'no'],
    ['RestartForceExitStatus', ''],
    ['SuccessExitStatus', ''],
    ['Environment', `root=${pathsOf(input.stateDir, input.spec.id).root}`],
  ] as const;
  const lines = (own: boolean): string =>
    properties
      .filter(([name]) => ofTheUnit.has(name) === own)
      .map(([name, value]) => `${name}=${value.replaceAll('%', name === 'CPUQuota' ? '%' : '%%')}\n`)
      .join('');
  return `[Unit]\n${lines(true)}\n[Service]\n${lines(false)}`;
}
