// Promises the real driver on the host that the tests run on, with a runner that is a small shell script and does what the assignment's
// handle says: exit-N, probe (runs /io/script, writes /io/out), stubborn (ignores SIGTERM), anything else waits.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { systemClock } from '../../src/clock.ts';
import type { Limits, MachineId, Profile, Template } from '../../src/core/model.ts';
import type { Driver } from '../../src/driver/driver.ts';
import type { ContainerTools } from '../../src/driver/containers.ts';
import { createNixosContainerDriver } from '../../src/driver/nixos-container.ts';
import { createNspawnDriver } from '../../src/driver/nspawn.ts';
import type { NspawnDriverInput } from '../../src/driver/nspawn.ts';
import type { Log } from '../../src/log.ts';
import { assignmentOf, seen } from './driver-contract.ts';
import type { DriverWorld } from './driver-contract.ts';
import { aNetwork } from '../support/build.ts';

const execute = promisify(execFile);

const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  conceal: () => undefined,
};

const runnerScript = `#!/bin/sh
[ "$1" != --version ] || { echo forgejo-runner version v12.8.2; exit 0; }
handle=
while [ $# -gt 0 ]; do [ "$1" = --handle ] && handle=$2; shift; done
length=$(head -c 4096 | wc -c)
echo this is the runner >&2
case $handle in
  exit-*) exit "\${handle#exit-}" ;;
  probe) echo "$length" >/io/token-length; bash /io/script >/io/out 2>&1; echo "$?" >/io/code; exit 0 ;;
  stubborn) trap '' TERM; echo up >/io/up; while :; do sleep 0.1; done ;;
  *) trap 'exit 0' TERM; echo up >/io/up; while :; do sleep 0.05; done ;;
esac
`;

/** Runs a command on the host; what it wrote on standard output, trimmed. */
export async function onHost(command: string, ...args: readonly string[]): Promise<string> {
  return (await execute(command, args)).stdout.trim();
}

export type NspawnWorld = DriverWorld & {
  readonly stateDir: string;
  readonly controllerId: string;
  readonly input: NspawnDriverInput;
  /** Starts a machine (unless it is there) with this script as its job, waits for its end; what the script wrote. The machine stays, ended. */
  probe(
    id: MachineId,
    slot: number,
    script: string,
    profile?: Profile,
    cache?: string,
  ): Promise<{ readonly output: string; readonly code: number }>;
  /** The folder that the machine of that world sees as /io. */
  readonly io: string;
};

export type WorldOptions = {
  /** Machines are containers of these tools, and not transient units. */
  readonly nixosContainer?: ContainerTools;
  readonly controllerId?: string;
  readonly template?: Template;
  readonly limits?: Limits;
  readonly stopMs?: number;
  readonly network?: Partial<NspawnDriverInput['network']>;
  readonly forgeUrls?: readonly string[];
  readonly profile?: Partial<Profile>;
  /** Beside /io. */
  readonly binds?: Profile['binds'];
};

export async function createNspawnWorld(options: WorldOptions = {}): Promise<NspawnWorld> {
  const base = await mkdtemp('/srv/driver-');
  const [io, runnerPath, stateDir] = [`${base}/io`, `${base}/runner`, `${base}/state`];
  const controllerId = options.controllerId ?? 'contract';
  await mkdir(io, { mode: 0o777 });
  await writeFile(runnerPath, runnerScript, { mode: 0o755 });
  const profile: Profile = {
    name: 'default',
    labels: ['debian'],
    template: options.template ?? { kind: 'host' },
    limits: options.limits ?? {},
    timeouts: { startMs: 20_000, pickMs: 10_000, jobMs: 60_000, stopMs: options.stopMs ?? 2_000 },
    runnerPath,
    binds: [{ source: io, target: '/io', writable: true }, ...(options.binds ?? [])],
    environment: { PRICE: '5$ ${HOME} 100%' },
    ...options.profile,
  };
  const input: NspawnDriverInput = {
    controllerId,
    stateDir,
    cacheDir: `${base}/caches`,
    network: aNetwork(options.network),
    profiles: [profile],
    forgeUrls: options.forgeUrls ?? [],
    log: silentLog,
    clock: systemClock,
  };
  const { nixosContainer } = options;
  const driver: Driver =
    nixosContainer === undefined
      ? createNspawnDriver(input)
      : createNixosContainerDriver({ ...input, driver: 'nixos-container', nixosContainer });

  async function probe(
    id: MachineId,
    slot: number,
    script: string,
    of = profile,
    cache?: string,
  ): Promise<{ output: string; code: number }> {
    await writeFile(`${io}/script`, script);
    await driver.start({ id, slot, profile: of, runtimeMaxMs: 60_000, ...(cache === undefined ? {} : { cache }) });
    await driver.assign(id, assignmentOf('probe'), AbortSignal.timeout(10_000));
    await seen(driver, id, 'exited');
    const [output, code] = await Promise.all([readFile(`${io}/out`, 'utf8'), readFile(`${io}/code`, 'utf8')]);
    return { output: output.trim(), code: Number(code) };
  }

  return {
    driver,
    profile,
    stateDir,
    controllerId,
    input,
    io,
    probe,
    close: async () => {
      for (const { id } of await driver.list()) await driver.remove(id);
      await onHost('nft', 'delete', 'table', 'inet', `forgejo-runner-${controllerId}`).catch((error: unknown) => {
        if (!String(error).includes('No such file')) throw error;
      });
      await rm(base, { recursive: true, force: true });
    },
  };
}
