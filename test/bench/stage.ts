// Promises the stage of the measures: the stand-in Forgejo in this process, the packaged service as a unit of this host, the tiny runner, the
// raw baseline, and the moments at which the stand-in finished a reply that lists jobs.

import { execFile } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { addServiceAddress, createService, serviceAddress, type Service } from '../support/service.ts';
import { openReports, type Reports } from './reports.ts';
import { anchor, epochMs, seen, wall } from './wall.ts';

const exec = promisify(execFile);
const rawStart = fileURLToPath(new URL('raw-start', import.meta.url));
export const repository = 'root1/demo';

/** Limits of every machine here, and in raw-start. */
export const limits = { cpus: 2, memory: '500MiB', tasks: 500 };

export type Stage = {
  readonly forgejo: ForgejoStandIn;
  readonly reports: Reports;
  readonly service: (controllerId: string, config?: Readonly<Record<string, unknown>>) => Promise<Service>;
  /** Resolves with the moment at which the next reply to a listing, asked for from now on, was sent. */
  readonly nextListing: () => Promise<number>;
  readonly listings: () => number;
  readonly close: () => Promise<void>;
};

type Listing = { readonly startedAt: number; readonly finishedAt: number };

export async function openStage(): Promise<Stage> {
  await addServiceAddress();
  const listings = watchListings();
  const forgejo = await startForgejo({ host: '0.0.0.0' });
  await forgejo.control.addRepository({ repository });
  const reports = await openReports('/srv/bench');
  return {
    forgejo,
    reports,
    listings: () => listings.length,
    async nextListing() {
      const from = wall();
      await seen('the service lists jobs', () => (listings.at(-1)?.startedAt ?? 0) > from, 30_000, 1);
      return listings.find(({ startedAt }) => startedAt > from)?.finishedAt ?? 0;
    },
    service: (controllerId, config = {}) =>
      createService({
        controllerId,
        forge: { url: forgejo.url, token: forgejo.token },
        config: {
          maxConcurrent: 100,
          network: { pool: '192.168.0.0-192.168.255.255', allow: [`${serviceAddress}/32`] },
          profiles: [
            { name: 'tiny', labels: ['tiny'], runner: reports.runner, binds: [reports.bind], limits },
            { name: 'job', labels: ['debian'], limits },
          ],
          ...config,
        },
        registrations: async () => (await forgejo.control.registrations()).filter(({ ephemeral }) => ephemeral).length,
      }),
    async close() {
      reports.close();
      await forgejo.close();
    },
  };
}

const isListing = (request: IncomingMessage): boolean => request.url?.endsWith('/actions/runners/jobs') === true;

/** Every reply of this process to a listing of jobs, oldest first. */
function watchListings(): readonly Listing[] {
  const listings: Listing[] = [];
  const started = new WeakMap<IncomingMessage, number>();
  subscribe('http.server.request.start', (message) => {
    const { request } = message as { request: IncomingMessage };
    if (isListing(request)) started.set(request, wall());
  });
  subscribe('http.server.response.finish', (message) => {
    const { request } = message as { request: IncomingMessage };
    if (isListing(request)) listings.push({ startedAt: started.get(request) ?? 0, finishedAt: wall() });
  });
  return listings;
}

/** Queues jobs between two polls; resolves with the moment at which the reply that first lists them was sent. */
export async function queueBetweenPolls(stage: Stage, label: string, count = 1) {
  await stage.nextListing();
  anchor();
  const jobs = await stage.forgejo.control.queueJobs({ repository, labels: [label], script: 'true', count });
  return { jobs, listedAt: await stage.nextListing() };
}

/** Starts so many raw machines at once; the moment of the call, and of each runner's start. */
export async function startRaw({ reports }: Stage, first: number, count: number) {
  reports.clear();
  const { stdout } = await exec(rawStart, ['start', reports.io, reports.runner, String(first), String(count)]);
  const starts = await reports.until('start', count);
  return { calledAt: epochMs(stdout.trim()), starts };
}

export async function dropRaw(first: number, count: number): Promise<void> {
  await exec(rawStart, ['drop', String(first), String(count)]);
}

/** Every place on the host where something of a machine lies. */
function tracesOf({ stateDir, controllerId }: Pick<Service, 'stateDir' | 'controllerId'>, machine: string): readonly string[] {
  return [
    `${stateDir}/runners/${machine}.json`,
    `${stateDir}/machines/${machine}`,
    `${stateDir}/exits/${machine}`,
    `/run/netns/forgejo-runner-${controllerId}-${machine}`,
    `/sys/class/net/fr-${machine}`,
    `/run/systemd/transient/forgejo-runner-${controllerId}-${machine}.service`,
    `/run/systemd/machines/${machine}`,
  ];
}

/** The moment at which nothing of these machines is left, on the host and in the forge. */
export async function allGone(stage: Stage, service: Service, machines: readonly string[]): Promise<number> {
  let left = machines.flatMap((machine) => tracesOf(service, machine));
  const goneAt = await seen('nothing is left', () => (left = left.filter((path) => existsSync(path))).length === 0, 60_000, 4);
  if ((await stage.forgejo.control.registrations()).every(({ ephemeral }) => !ephemeral)) return goneAt;
  for (;;) {
    const rows = await stage.forgejo.control.registrations();
    if (!rows.some(({ ephemeral, name }) => ephemeral && machines.includes(name))) return wall();
    await seen('a moment', () => true);
  }
}
