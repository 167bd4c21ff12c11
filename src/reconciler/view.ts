// Promises the snapshot: the reconciler's state and the last world, put together for readers. Pure; leaves every credential out.

import { phaseOf } from '../core/lifecycle.ts';
import type { BackOff, Denial, ForgeName, Policy, Retry, Runner, World } from '../core/model.ts';
import { standstillOf } from '../core/room.ts';
import type { EndedView, ForgeView, RunnerView, Snapshot } from '../core/snapshot.ts';
import type { Leftover } from '../driver/driver.ts';
import type { Forge, ForgeVersion } from '../forge/forge.ts';
import type { Poller } from './poller.ts';

export type View = {
  readonly controllerId: string;
  readonly version: string;
  readonly startedAt: number;
  readonly world: World | undefined;
  readonly denials: readonly Denial[];
  readonly ended: readonly EndedView[];
  readonly leftovers: readonly Leftover[];
  readonly quarantined: readonly string[];
  readonly retries: ReadonlyMap<string, Retry>;
  readonly versions: ReadonlyMap<ForgeName, ForgeVersion>;
  readonly checks: ReadonlyMap<ForgeName, NonNullable<ForgeView['error']>>;
  readonly hostError: Snapshot['host']['error'];
  readonly draining: boolean;
  readonly drain: Snapshot['drain'] | undefined;
  readonly ticks: number;
  readonly tickAt: number | undefined;
  readonly tickMs: number | undefined;
  readonly forges: readonly { readonly forge: Forge; readonly url: string }[];
  readonly pollers: ReadonlyMap<ForgeName, Poller>;
  readonly policy: Policy;
  readonly runners: readonly Runner[];
  readonly backOffs: ReadonlyMap<string, BackOff>;
};

export function snapshotOf(view: View): Snapshot {
  const { controllerId, version, startedAt, draining, ticks, tickAt, tickMs, denials, ended, leftovers, quarantined, policy, runners } =
    view;
  const machines = view.world?.machines.state === 'known' ? view.world.machines.value : [];
  const orphans = machines.filter((machine) => !runners.some((runner) => runner.machine === machine.id)).length;
  return {
    controllerId,
    version,
    startedAt,
    ticks,
    draining,
    ...(view.drain === undefined ? {} : { drain: view.drain }),
    denials,
    ended: [...ended],
    leftovers,
    quarantined,
    ...(tickAt === undefined ? {} : { tickAt }),
    ...(tickMs === undefined ? {} : { tickMs }),
    host: { machines: machines.length, ...roomOf(view), ...(view.hostError === undefined ? {} : { error: view.hostError }) },
    forges: view.forges.map(({ forge, url }) => forgeViewOf(view, forge, url)),
    runners: runners.map((runner) => runnerViewOf(view, runner)),
    backOffs: [...view.backOffs].map(([key, backOff]) => ({ key, ...backOff })),
    capacity: {
      max: policy.maxConcurrent,
      used: runners.length + orphans,
      slots: policy.slots,
      ...(policy.maxPerRepository === undefined ? {} : { maxPerRepository: policy.maxPerRepository }),
      profiles: policy.profiles.map(({ name, labels, max }) => ({
        name,
        labels,
        used: runners.filter((runner) => runner.profile === name).length,
        ...(max === undefined ? {} : { max }),
      })),
    },
  };
}

function roomOf({ world, policy }: View): Pick<Snapshot['host'], 'room' | 'floor' | 'full'> {
  const floor = policy.floor === undefined ? {} : { floor: policy.floor };
  if (world === undefined) return floor;
  const full = standstillOf(world.room, policy.floor)?.sentence;
  return { ...floor, ...(world.room.state === 'known' ? { room: world.room.value } : {}), ...(full === undefined ? {} : { full }) };
}

function forgeViewOf(view: View, forge: Forge, url: string): ForgeView {
  const reading = view.world?.jobs.get(forge.name);
  const jobs = reading?.state === 'known' ? reading.value.jobs : [];
  const version = view.versions.get(forge.name)?.text;
  const { lastGoodPollAt, lastPollMs, lastWebhookAt, error = view.checks.get(forge.name) } = view.pollers.get(forge.name)?.status() ?? {};
  return {
    name: forge.name,
    url,
    scope: forge.scope,
    waiting: jobs.filter((job) => job.state === 'waiting').length,
    running: jobs.filter((job) => job.state === 'running').length,
    ...(version === undefined ? {} : { version }),
    ...(lastGoodPollAt === undefined ? {} : { lastGoodPollAt }),
    ...(lastPollMs === undefined ? {} : { lastPollMs }),
    ...(lastWebhookAt === undefined ? {} : { lastWebhookAt }),
    ...(error === undefined ? {} : { error }),
  };
}

function runnerViewOf(view: View, runner: Runner): RunnerView {
  const { credentials, ...shown } = runner;
  const machine = view.world?.machines.state === 'known' ? view.world.machines.value.find(({ id }) => id === runner.machine) : undefined;
  const retry = view.retries.get(runner.id);
  return {
    ...shown,
    phase: phaseOf(runner, machine),
    attempts: retry?.attempts ?? 0,
    retryAt: retry?.at ?? 0,
    ...(credentials === undefined ? {} : { registrationId: credentials.id }),
    ...(machine === undefined ? {} : { machineState: machine.state }),
    ...(retry === undefined ? {} : { lastError: retry.error }),
  };
}
