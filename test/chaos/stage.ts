// Promises the stage of a chaos run: the stand-in Forgejo behind the fault proxy, the packaged service as a unit that systemd restarts as in
// production, its state on a small disk of its own, several profiles, strangers beside it. close() leaves the host as it was.

import { mkdir, rm } from 'node:fs/promises';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts';
import { addServiceAddress, createService, installRunner, sh, type Remains, type Service } from '../support/service.ts';
import { makeForeign, type Foreign } from './foreign.ts';
import { isDone, proofs, repositories, type ChaosJob } from './jobs.ts';
import { differencesOf, listHost, type HostLists } from './remains.ts';

const folder = '/srv/frc-chaos';
const controllerId = 'chaos';
export const disk = `${folder}/disk`;
/** How long everything may take to come to rest when nothing disturbs it any more. */
const restMs = 90_000;

export type ChaosStage = {
  readonly forgejo: ForgejoStandIn;
  readonly proxy: FaultProxy;
  readonly service: Service;
  readonly foreign: Foreign;
  readonly before: HostLists;
  /** What the strangers' names alone make of the count of remains. */
  readonly clean: Remains;
  /** The name of our nftables table. */
  readonly table: string;
  readonly close: () => Promise<void>;
};

export type StageOptions = { readonly random: () => number; readonly config?: Readonly<Record<string, unknown>> };

export async function openStage({ random, config = {} }: StageOptions): Promise<ChaosStage> {
  await addServiceAddress();
  await makeDisk();
  await mkdir(proofs, { recursive: true });
  const { bind } = await installRunner();
  const binds = [bind, `${proofs}:/proofs:rw`];
  const forgejo = await startForgejo();
  for (const repository of repositories) await forgejo.control.addRepository({ repository });
  const proxy = await startFaultProxy({ host: '127.0.0.1', port: Number(new URL(forgejo.url).port) }, random);
  const foreign = await makeForeign(controllerId, forgejo);
  const timeouts = { start: '20s', pick: '10s', job: '60s', stop: '2s' };
  const service = await createService({
    controllerId,
    stateDir: `${disk}/state`,
    forge: { url: `http://127.0.0.1:${proxy.port}`, token: forgejo.token },
    // As in contrib/systemd/forgejo-runner-controller.service, but sooner.
    properties: ['Restart=on-failure', 'RestartSec=200ms', 'RestartPreventExitStatus=2 3 4', 'StartLimitIntervalSec=0'],
    registrations: async (id) => {
      const all = await forgejo.control.registrations();
      return all.filter(
        ({ description }) => description.startsWith(`forgejo-runner-controller ${id}@`) && !description.endsWith('@otherkey'),
      ).length;
    },
    config: {
      // Off: what a disk does that is really full is the point.
      minFreeDisk: 0,
      pollInterval: '200ms',
      maintenance: '*/5 * * * * *',
      maxConcurrent: 6,
      maxPerRepository: 4,
      profiles: [
        { name: 'small', labels: ['small'], limits: { cpus: 1, memory: '256MiB', tasks: 128 }, timeouts, binds },
        { name: 'disk', labels: ['disk'], limits: { disk: '32MiB' }, timeouts, binds },
        { name: 'plain', labels: ['plain', 'big'], timeouts, binds, max: 3 },
      ],
      ...config,
    },
  });
  const [before, clean] = [await listHost(service.stateDir), await service.remains()];
  return {
    forgejo,
    proxy,
    service,
    foreign,
    before,
    clean,
    table: `forgejo-runner-${controllerId}`,
    async close() {
      // Before the service's own, which goes by names.
      await foreign.drop();
      await service.dispose();
      await proxy.close();
      await forgejo.close();
      await sh('umount', '-l', disk).catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Small enough to be filled in a moment, on a loop device as everybody's disk limit is. */
async function makeDisk(): Promise<void> {
  await mkdir(disk, { recursive: true });
  await sh(
    'bash',
    '-ec',
    `truncate -s 160M ${folder}/disk.ext4; mkfs.ext4 -q -m 0 ${folder}/disk.ext4; mount -o loop ${folder}/disk.ext4 ${disk}`,
  );
}

/** Waits until every job is done and the service has nothing of its own any more; what is still there when the time is over. */
export async function atRest({ forgejo: { control }, service, clean }: ChaosStage, jobs: readonly ChaosJob[]): Promise<readonly string[]> {
  const isClean = async (): Promise<boolean> => {
    const views = await Promise.all(jobs.map(async ({ jobId }) => control.job(jobId)));
    return views.every(isDone) && excessOf(await service.remains(), clean).length === 0;
  };
  return service
    .until('every job is done and nothing is left', async ({ runners }) => runners.length === 0 && (await isClean()), restMs)
    .then(
      () => [],
      (error: unknown) => [`not at rest: ${String(error).slice(0, 1_500)}`],
    );
}

function excessOf(remains: Remains, clean: Remains): readonly string[] {
  const known = new Map(Object.entries(clean));
  return Object.entries(remains).flatMap(([what, count]) => (count === known.get(what) ? [] : [`${count} ${what}`]));
}

/** The shell that acts for the service on the host, as a pattern of units; those of earlier starts must be gone. */
export async function handsOf(service: Service): Promise<string> {
  return `forgejo-runner-controller-hands-${await service.pid()}-*.service`;
}

export async function leftOverOf({ service, before, clean, table }: ChaosStage): Promise<readonly string[]> {
  const counted = excessOf(await service.remains(), clean);
  const hands = (await handsOf(service)).replace('*', String.raw`\d+`);
  const ours = new RegExp(
    `${service.unit.replaceAll('.', String.raw`\.`)}|^${hands}$|^table inet ${table}$|^machine-forgejorunners\\.slice$`,
  );
  const { more } = differencesOf(before, await listHost(service.stateDir), ours);
  const quarantined = await service.status().then(
    (status) => status.quarantined.map((name) => `quarantined ${name}`),
    (error: unknown) => [`the service does not answer: ${String(error)}`],
  );
  return [...counted, ...more, ...quarantined];
}

/** Strangers that are not what they were. */
export async function touchedOf({ foreign, service, before }: ChaosStage, strangers: readonly string[]): Promise<readonly string[]> {
  const now = await foreign.seen();
  const changed = strangers.filter((line) => !now.includes(line)).map((line) => `a stranger is not any more: ${line}`);
  const { less } = differencesOf(before, await listHost(service.stateDir), /^$/);
  return [
    ...changed,
    ...now.filter((line) => !strangers.includes(line)).map((line) => `a stranger is now: ${line}`),
    ...less.map((line) => `gone: ${line}`),
  ];
}
