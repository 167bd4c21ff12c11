// Promises the snapshot: the reconciler's state and the last world, put together for readers. Pure; leaves every credential out.

import { phaseOf } from '../core/lifecycle.ts';
import type { BackOff, Retry } from '../core/memory.ts';
import type { Denial, ForgeName, Policy, Profile, Runner, World } from '../core/model.ts';
import { standstillOf } from '../core/room.ts';
import { warmMachinesOf } from '../core/warm.ts';
import type { Warmth } from '../core/warmth.ts';
import type { EndedView, ForgeView, RunnerView, Snapshot, WarmView } from '../core/snapshot.ts';
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
  readonly forges: readonly { readonly forge: Forge; readonly url: string; readonly unpolled?: true }[];
  readonly pollers: ReadonlyMap<ForgeName, Poller>;
  readonly policy: Policy;
  readonly runners: readonly Runner[];
  readonly backOffs: ReadonlyMap<string, BackOff>;
  readonly warmth: Pick<Warmth, 'rests'>;
};

export function snapshotOf(view: View): Snapshot {
  const { controllerId, version, startedAt, draining, ticks, tickAt, tickMs, denials, ended, leftovers, quarantined, policy, runners } =
    view;
  const machines = view.world?.machines.state === 'known' ? view.world.machines.value : [];
  const warm = warmOf(view);
  const spoken = new Set([...runners.map(({ machine }) => machine), ...warm.map(({ id }) => id)]);
  const orphans = machines.filter(({ id }) => !spoken.has(id)).length;
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
    forges: view.forges.map((entry) => forgeViewOf(view, entry)),
    runners: runners.map((runner) => runnerViewOf(view, runner)),
    warm,
    backOffs: [...view.backOffs].map(([key, backOff]) => ({ key, ...backOff })),
    capacity: {
      max: policy.maxConcurrent,
      used: runners.length + orphans,
      slots: policy.slots,
      ...(policy.maxPerRepository === undefined ? {} : { maxPerRepository: policy.maxPerRepository }),
      profiles: policy.profiles.map((profile) => profileViewOf(view, profile)),
    },
  };
}

function profileViewOf({ runners, warmth }: View, { name, labels, max, warm }: Profile): Snapshot['capacity']['profiles'][number] {
  const restUntil = warmth.rests.get(name)?.until;
  return {
    name,
    labels,
    used: runners.filter((runner) => runner.profile === name).length,
    ...(max === undefined ? {} : { max }),
    ...(warm === undefined ? {} : { warm: { min: warm.min, ...(restUntil === undefined ? {} : { restUntil }) } }),
  };
}

/** Those of the last look that no record has taken since. */
function warmOf({ world, runners }: View): readonly WarmView[] {
  if (world === undefined) return [];
  return warmMachinesOf({ ...world, runners }).flatMap(({ id, slot, state, startedAt, warm }) =>
    warm === undefined || (state !== 'starting' && state !== 'idle') ? [] : [{ id, slot, state, startedAt, profile: warm.profile }],
  );
}

function roomOf({ world, policy }: View): Pick<Snapshot['host'], 'room' | 'floor' | 'full'> {
  const floor = policy.floor === undefined ? {} : { floor: policy.floor };
  if (world === undefined) return floor;
  const full = standstillOf(world.room, policy.floor)?.sentence;
  return { ...floor, ...(world.room.state === 'known' ? { room: world.room.value } : {}), ...(full === undefined ? {} : { full }) };
}

function forgeViewOf(view: View, { forge, url, unpolled }: View['forges'][number]): ForgeView {
  const reading = view.world?.jobs.get(forge.name);
  const jobs = reading?.state === 'known' ? reading.value.jobs : [];
  const version = view.versions.get(forge.name)?.text;
  const { lastGoodPollAt, lastPollMs, lastWebhookAt, error = view.checks.get(forge.name) } = view.pollers.get(forge.name)?.status() ?? {};
  return {
    name: forge.name,
    url,
    scope: forge.scope,
    ...(unpolled === undefined ? {} : { unpolled }),
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
