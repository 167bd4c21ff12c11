// Promises what the snapshot shows, as gauges that are set anew for each answer: what has gone from the picture is gone from the answer.

import type { Registry } from 'prom-client';
import type { Clock } from '../clock.ts';
import type { Denial } from '../core/model.ts';
import type { ForgeView, Phase, Snapshot } from '../core/snapshot.ts';
import type { FactCounts } from './fact-counts.ts';
import { createProcessGauges } from './process-gauges.ts';
import { gaugeOf } from './named.ts';

/** Written as records so that the compiler misses none. */
const reasons: Readonly<Record<Denial['reason'], true>> = {
  unmatched: true,
  draining: true,
  capacity: true,
  'profile-capacity': true,
  'repository-capacity': true,
  fork: true,
  repository: true,
  event: true,
  'back-off': true,
  dispatched: true,
  'no-slot': true,
  'host-unknown': true,
  'host-full': true,
  'id-taken': true,
};
const phases: Readonly<Record<Phase, true>> = {
  launching: true,
  'waiting-for-job': true,
  busy: true,
  stopping: true,
  finalizing: true,
};

export function createGauges(registry: Registry, waitedMs: FactCounts['waitedMs']): (snapshot: Snapshot, clock: Clock) => void {
  const shows = [
    createServiceGauges(registry),
    createJobGauges(registry, waitedMs),
    createRunnerGauges(registry),
    createForgeGauges(registry),
    createHostGauges(registry),
    createProcessGauges(registry),
  ];
  return (snapshot, clock) => {
    for (const show of shows) show(snapshot, clock);
  };
}

type Show = (snapshot: Snapshot, clock: Clock) => void;

function createServiceGauges(registry: Registry): Show {
  const build = gaugeOf({
    registry,
    name: 'build_info',
    help: 'Which program this is; always 1.',
    labels: ['version', 'node', 'controller_id'],
  });
  const draining = gaugeOf({ registry, name: 'draining', help: '1 while nothing more is started because somebody asked for it.' });
  const tickAge = gaugeOf({ registry, name: 'tick_age_seconds', help: 'How long ago the last look at the world ended.' });
  const tickTime = gaugeOf({ registry, name: 'tick_duration_seconds', help: 'How long the last look at the world took.' });
  const leftovers = gaugeOf({
    registry,
    name: 'leftovers',
    help: 'Things on the host under our mark that belong to nothing, as the last audit found them.',
  });
  const quarantined = gaugeOf({ registry, name: 'quarantined_records', help: 'Records that could not be read and were put aside.' });
  return (snapshot, clock) => {
    build.reset();
    build.set({ version: snapshot.version, node: process.version, controller_id: snapshot.controllerId }, 1);
    draining.set(snapshot.draining ? 1 : 0);
    tickAge.set(secondsSince(snapshot.tickAt ?? snapshot.startedAt, clock));
    tickTime.set((snapshot.tickMs ?? 0) / 1000);
    leftovers.set(snapshot.leftovers.length);
    quarantined.set(snapshot.quarantined.length);
  };
}

function createJobGauges(registry: Registry, waitedMs: FactCounts['waitedMs']): Show {
  const waiting = gaugeOf({
    registry,
    name: 'jobs_waiting',
    help: 'Jobs that wait and are not being started, by reason.',
    labels: ['reason'],
  });
  const longest = gaugeOf({
    registry,
    name: 'jobs_waiting_longest_seconds',
    help: 'How long the job that has waited longest has been seen waiting, by its reason now.',
    labels: ['reason'],
  });
  const backOffs = gaugeOf({ registry, name: 'jobs_resting', help: 'Jobs that are tried again later because a machine did not get them.' });
  return ({ denials, backOffs: resting }) => {
    const found = new Map(Object.keys(reasons).map((reason) => [reason, { count: 0, ms: 0 }]));
    for (const { job, reason } of denials) {
      const of = found.get(reason);
      if (of === undefined) continue;
      of.count += 1;
      of.ms = Math.max(of.ms, waitedMs(job));
    }
    for (const [reason, { count, ms }] of found) {
      waiting.set({ reason }, count);
      longest.set({ reason }, ms / 1000);
    }
    backOffs.set(resting.length);
  };
}

function createRunnerGauges(registry: Registry): Show {
  const runners = gaugeOf({
    registry,
    name: 'runners',
    help: 'Runners by where they are in their life; busy ones run a job.',
    labels: ['phase'],
  });
  const slots = gaugeOf({
    registry,
    name: 'slots',
    help: 'How many machines there may be at once (total), how many places of these are taken (used) and not (free).',
    labels: ['state'],
  });
  const profiles = gaugeOf({ registry, name: 'profile_runners', help: 'Runners by profile.', labels: ['profile'] });
  const machines = gaugeOf({ registry, name: 'machines', help: 'Machines of ours that the host lists, ended ones included.' });
  const warm = gaugeOf({ registry, name: 'warm_machines', help: 'Machines that wait for jobs, by profile.', labels: ['profile'] });
  const wanted = gaugeOf({ registry, name: 'warm_machines_wanted', help: 'How many are to wait, by profile.', labels: ['profile'] });
  const dispatched = gaugeOf({
    registry,
    name: 'dispatched_runners',
    help: 'Runners that were dispatched by an order: without a job (waiting), with one (busy).',
    labels: ['state'],
  });
  return ({ runners: views, capacity, host, warm: waiting }) => {
    const orders = views.filter(({ dispatch }) => dispatch !== undefined);
    dispatched.set({ state: 'waiting' }, orders.filter(({ pickedAt }) => pickedAt === undefined).length);
    dispatched.set({ state: 'busy' }, orders.filter(({ pickedAt }) => pickedAt !== undefined).length);
    for (const phase of Object.keys(phases)) runners.set({ phase }, views.filter((view) => view.phase === phase).length);
    slots.set({ state: 'total' }, capacity.max);
    slots.set({ state: 'used' }, capacity.used);
    slots.set({ state: 'free' }, Math.max(0, capacity.max - capacity.used));
    profiles.reset();
    for (const { name, used } of capacity.profiles) profiles.set({ profile: name }, used);
    machines.set(host.machines);
    warm.reset();
    wanted.reset();
    for (const { name, warm: of } of capacity.profiles) {
      if (of === undefined) continue;
      warm.set({ profile: name }, waiting.filter(({ profile, state }) => profile === name && state === 'idle').length);
      wanted.set({ profile: name }, of.min);
    }
  };
}

function createForgeGauges(registry: Registry): Show {
  const labels = ['forge'] as const;
  const up = gaugeOf({ registry, name: 'forge_up', help: '1 while the forge answers and can be worked with.', labels });
  const fault = gaugeOf({
    registry,
    name: 'forge_error',
    help: 'What is wrong with a forge, by code: 1 for each; FORGE_UNAUTHORIZED means that it refuses the token.',
    labels: ['forge', 'code'],
  });
  const age = gaugeOf({ registry, name: 'forge_poll_age_seconds', help: 'How long ago the last good answer to a poll came.', labels });
  const unpolled = gaugeOf({
    registry,
    name: 'forge_unpolled',
    help: '1 for a forge that is asked when something happened, and else every ten minutes alone.',
    labels,
  });
  const took = gaugeOf({ registry, name: 'forge_poll_duration_seconds', help: 'How long the last good poll took.', labels });
  const listed = gaugeOf({ registry, name: 'forge_jobs', help: 'Jobs that the forge lists.', labels: ['forge', 'state'] });
  const showOne = (forge: ForgeView, snapshot: Snapshot, clock: Clock): void => {
    const { name, error, lastGoodPollAt, lastPollMs, waiting, running } = forge;
    up.set({ forge: name }, error === undefined && lastGoodPollAt !== undefined ? 1 : 0);
    if (error !== undefined) fault.set({ forge: name, code: error.code }, 1);
    age.set({ forge: name }, secondsSince(lastGoodPollAt ?? snapshot.startedAt, clock));
    if (forge.unpolled === true) unpolled.set({ forge: name }, 1);
    if (lastPollMs !== undefined) took.set({ forge: name }, lastPollMs / 1000);
    listed.set({ forge: name, state: 'waiting' }, waiting);
    listed.set({ forge: name, state: 'running' }, running);
  };
  return (snapshot, clock) => {
    for (const gauge of [up, fault, age, unpolled, took, listed]) gauge.reset();
    for (const forge of snapshot.forges) showOne(forge, snapshot, clock);
  };
}

function createHostGauges(registry: Registry): Show {
  const up = gaugeOf({ registry, name: 'host_up', help: '1 while the host can be read and can run machines.' });
  const full = gaugeOf({
    registry,
    name: 'host_full',
    help: '1 while nothing is started because too little room is free, or nobody can say how much.',
  });
  const free = gaugeOf({ registry, name: 'host_free_bytes', help: 'Free space where machines and records lie.', labels: ['path'] });
  const inodes = gaugeOf({ registry, name: 'host_free_inodes', help: 'Free inodes where machines and records lie.', labels: ['path'] });
  const floor = gaugeOf({
    registry,
    name: 'host_free_floor_bytes',
    help: 'With less free space than this nothing is started; 0 is no floor.',
  });
  return ({ host }) => {
    up.set(host.error === undefined ? 1 : 0);
    full.set(host.full === undefined ? 0 : 1);
    free.reset();
    inodes.reset();
    if (host.room !== undefined) free.set({ path: host.room.path }, host.room.bytes);
    if (host.room?.inodes !== undefined) inodes.set({ path: host.room.path }, host.room.inodes);
    floor.set(host.floor?.bytes ?? 0);
  };
}

function secondsSince(at: number, clock: Clock): number {
  return Math.max(0, clock.now() - at) / 1000;
}
