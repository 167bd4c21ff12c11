// Promises the way of the driver `nixos-container`: every machine is a container of the host's containers module, created and destroyed by its
// CLI, run by its unit. Calls are bounded in time; containers that do not bear our mark are never touched (I6).

import { mkdir, symlink, writeFile } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { MachineId } from '../core/model.ts';
import { subnetOf } from '../core/subnets.ts';
import { ControllerError } from '../errors.ts';
import { confOf, confsOfOurs, containersOf, dropInsOf, readConf } from './container-traces.ts';
import { confLinesOf, containerUnitOf, controllerOfConf, couldBeUnmarked, dropInNameOf, dropInOf } from './container-unit.ts';
import type { Leftover } from './driver.ts';
import { perform, tryPerform } from './exec.ts';
import { guestUnit, guestUnitOf } from './guest.ts';
import { readMarker } from './marker.ts';
import { poolOf, type DriverNetwork } from './network.ts';
import { pathsOf, type UnitInput } from './nspawn-unit.ts';
import { exists, entryIsThere, namesIn } from './presence.ts';
import type { Way } from './way.ts';

/** Where the CLI is, and where it keeps things: older hosts have other folders. */
export type ContainerTools = {
  readonly program: string;
  /** Of a conf for each container. */
  readonly configurationDirectory: string;
  /** Of a root for each container. */
  readonly stateDirectory: string;
};

export type ContainersInput = {
  readonly controllerId: string;
  readonly stateDir: string;
  readonly network: DriverNetwork;
  readonly nixosContainer: ContainerTools;
  readonly clock: Clock;
};

const nix = '/nix/var/nix';
const cliMs = 30_000;

/** `$0` conf, `$1` its lines, `$2` folder of drop-ins, `$3` its file, `$4` its text, then the words that create. One step: a controller that is killed leaves none of it half done. */
const create = `conf=$0 lines=$1 folder=$2 file=$3 text=$4
shift 4
mkdir -p "$folder" && printf '%s' "$text" >"$folder/$file" || exit
"$@" || exit
[ -e "$conf" ] || { echo "it made no $conf: set nixosContainer.configurationDirectory"; "$1" destroy "$3"; exit 1; }
printf '%s' "$lines" >>"$conf"`;

export function createContainers(input: ContainersInput): Way {
  const { controllerId, stateDir, network, nixosContainer: tools, clock } = input;
  const dropInName = dropInNameOf(controllerId);
  /** What the CLI keeps of a container, beside its conf; its unit makes some of it again. */
  const foldersOf = (id: MachineId): readonly string[] => [
    `${nix}/profiles/per-container/${id}`,
    `${nix}/gcroots/per-container/${id}`,
    `${tools.stateDirectory}/${id}`,
  ];

  /** The drop-in is there from before a unit starts until it is gone; where somebody deleted it, the mark of the conf tells. */
  const isOurs = (id: MachineId): boolean =>
    namesIn(dropInsOf(id)).includes(dropInName) || controllerOfConf(readConf(tools, id) ?? '') === controllerId;

  async function ownerOf(id: MachineId): Promise<'nobody' | 'us' | 'others'> {
    const conf = readConf(tools, id);
    if (conf === undefined) return 'nobody';
    const owner = controllerOfConf(conf);
    if (owner !== undefined) return owner === controllerId ? 'us' : 'others';
    const marker = await readMarker(pathsOf(stateDir, id));
    return marker !== undefined && couldBeUnmarked(conf, subnetOf(poolOf(network), marker.slot).host) ? 'us' : 'others';
  }

  async function leftoversOf(id: MachineId): Promise<readonly Leftover[]> {
    const taken = (await ownerOf(id)) === 'others';
    const paths = [`${dropInsOf(id)}/${dropInName}`, ...(taken ? [] : [confOf(tools, id), ...foldersOf(id)])];
    const there = await Promise.all(paths.map(async (path) => exists(path)));
    return paths.filter((_, index) => there[index] === true).map((name) => ({ kind: 'container', name }) as const);
  }

  async function launch(unit: UnitInput): Promise<void> {
    const { id, slot } = unit.spec;
    if ((await ownerOf(id)) !== 'nobody')
      throw new ControllerError('DRIVER_FAILED', `Another container of this host is named ${id}. It is left alone; destroy or rename it.`);
    const { host, machine } = subnetOf(poolOf(network), slot);
    const { template } = unit.spec.profile;
    const path = template.kind === 'host' ? '' : (unit.rootPlan.storePath ?? template.path);
    const words = ['create', id, '--system-path', path, '--host-address', host, '--local-address', machine];
    const files = [confOf(tools, id), confLinesOf(unit), dropInsOf(id), dropInName, dropInOf(unit)];
    await Promise.all([
      plant(pathsOf(stateDir, id).root, unit),
      perform('sh', ['-c', create, ...files, tools.program, ...words], { timeoutMs: cliMs }),
    ]);
    await perform('systemctl', ['start', '--no-block', '--', containerUnitOf(id)], { timeoutMs: cliMs });
    await begun(id);
  }

  async function callOff(id: MachineId): Promise<void> {
    if (isOurs(id)) await tryPerform('systemctl', ['stop', '--no-block', '--', containerUnitOf(id)], { timeoutMs: cliMs });
  }

  /** systemd takes the order before it does it: until then the machine would look like one that ended. */
  async function begun(id: MachineId): Promise<void> {
    const { exit } = pathsOf(stateDir, id);
    for (const end = clock.now() + cliMs; !invocationIsThere(id) && !(await exists(exit)); await clock.sleep(5))
      if (clock.now() >= end) throw new ControllerError('DRIVER_FAILED', `systemd does not start ${containerUnitOf(id)}.`);
  }

  async function letGo(id: MachineId): Promise<void> {
    const left = await leftoversOf(id);
    if (left.length === 0) return;
    const owner = await ownerOf(id);
    if (owner === 'us') await perform(tools.program, ['destroy', id], { timeoutMs: cliMs });
    const paths = [dropInsOf(id), ...(owner === 'others' ? [] : foldersOf(id))];
    await perform('rm', ['-rf', '--one-file-system', '--', ...paths], { timeoutMs: cliMs });
    // Else a failed one stays in systemd's list for ever. One that it does not know is no failure of ours.
    if (owner !== 'others') await tryPerform('systemctl', ['reset-failed', '--', containerUnitOf(id)], { timeoutMs: cliMs });
  }

  return {
    unitOf: containerUnitOf,
    isOurs,
    unitIsThere: (id) => Promise.resolve(isOurs(id) && invocationIsThere(id)),
    units: () => containersOf(controllerId, tools),
    traces: () => confsOfOurs(controllerId, tools),
    leftoversOf,
    callOff,
    launch,
    letGo,
  };
}

/** Puts the unit that runs the job where the machine's own systemd finds it, before everything that the system brings. */
async function plant(root: string, { spec, rootPlan }: UnitInput): Promise<void> {
  const folder = `${root}/etc/systemd/system.control`;
  await mkdir(`${folder}/multi-user.target.wants`, { recursive: true });
  const { boot, environment = {} } = rootPlan;
  await writeFile(
    `${folder}/${guestUnit}`,
    guestUnitOf(spec.profile, { ...(boot === undefined ? {} : { PATH: boot.path }), ...environment }),
  );
  await symlink(`../${guestUnit}`, `${folder}/multi-user.target.wants/${guestUnit}`);
}

/** systemd keeps it for journald: there from the unit's start on, until it has ended for good. */
function invocationIsThere(id: MachineId): boolean {
  return entryIsThere(`/run/systemd/units/invocation:${containerUnitOf(id)}`);
}
