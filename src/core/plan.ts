// Promises the whole decision of a tick as data: pure, at most one action per id, none for ids with an action under way (I3). Printing it
// is a free dry run.

import { admissionsOf } from './admission.ts';
import { claimsOf, isJobless, suspectOf } from './dispatch.ts';
import { sightingOf, stepOf } from './lifecycle.ts';
import { isMachineId, isOurRegistration, jobKeyOf } from './naming.ts';
import { warmMachinesOf } from './warm.ts';
import type { Action, Job, Machine, Plan, Policy, World } from './model.ts';

/** What to do now, and for every waiting job that is not started, why. Ends and sweeps come before launches. */
export function plan(world: World, policy: Policy, now: number): Plan {
  const admissions = admissionsOf(world, policy, now);
  const actions = [...stepsOf(world, policy, now), ...machineSweepsOf(world, policy, now), ...registrationSweepsOf(world, policy, now)];
  return { ...admissions, actions: [...actions, ...admissions.actions].filter((action) => !world.inFlight.has(action.id)) };
}

/** Each forge's jobs by key, so that many runners do not each walk a long list. */
function indexesOf(world: World): Map<string, ReadonlyMap<string, Job>> {
  const indexes = new Map<string, ReadonlyMap<string, Job>>();
  if (world.runners.length === 0) return indexes;
  for (const [forge, reading] of world.jobs) {
    if (reading.state === 'known') indexes.set(forge, new Map(reading.value.jobs.map((job) => [jobKeyOf(job), job])));
  }
  return indexes;
}

function stepsOf(world: World, policy: Policy, now: number): Action[] {
  if (world.machines.state !== 'known') return [];
  const machines = new Map<string, Machine>(world.machines.value.map((machine) => [machine.id, machine]));
  const indexes = indexesOf(world);
  const claims = claimsOf(world.runners);
  return world.runners.flatMap((runner) => {
    const sighting = sightingOf(runner, world.jobs.get(runner.forge), indexes.get(runner.forge));
    const suspect = isJobless(runner) ? suspectOf(runner, world, claims, now) : undefined;
    const action = stepOf(runner, machines.get(runner.machine), world, policy, now, sighting, suspect);
    return action === undefined ? [] : [action];
  });
}

/** Machines with our mark that were given a job and have no record. */
export function strayWorkersOf(world: World): ReadonlySet<string> {
  if (world.machines.state !== 'known') return new Set();
  const recorded = new Set(world.runners.map((runner) => runner.machine));
  return new Set(
    world.machines.value.filter(({ id, state }) => state === 'running' && !recorded.has(id) && isMachineId(id)).map(({ id }) => id),
  );
}

/**
 * Machines with our mark that no record speaks of, but for those that wait for a job: whoever ends everything spares these neither. One that was given a job may be at work although its record is lost (I9): it goes only
 * when every forge was asked and none says that it reports, or when an operator ends everything; the unit's own RuntimeMaxSec bounds it
 * all the same.
 */
function machineSweepsOf(world: World, policy: Policy, now: number): Action[] {
  if (world.machines.state !== 'known') return [];
  const recorded = new Set(world.runners.map((runner) => runner.machine));
  if (policy.mode !== 'ending') for (const { id } of warmMachinesOf(world)) recorded.add(id);
  const idle = policy.mode === 'ending' ? () => true : idleEverywhereOf(world);
  return world.machines.value
    .filter(
      ({ id, state }) =>
        isMachineId(id) && !recorded.has(id) && (state !== 'running' || idle(id)) && (world.retries.get(id)?.at ?? 0) <= now,
    )
    .map(({ id }) => ({ kind: 'sweep-machine', id }));
}

/** True for ids that no forge lists as reporting; never true while a forge was not asked, did not answer (I2) or has just come back. */
function idleEverywhereOf(world: World): (id: string) => boolean {
  const readings = [...world.registrations.values()];
  if (world.fresh.size > 0 || readings.length < world.jobs.size || readings.some(({ state }) => state !== 'known')) return () => false;
  const reporting = new Set(
    readings.flatMap((reading) =>
      reading.state === 'known' ? reading.value.filter(({ status }) => status === 'active').map(({ name }) => name) : [],
    ),
  );
  return (id) => !reporting.has(id);
}

/**
 * Registrations with our mark that no record speaks of, but for those at work; one whose record has no credentials yet belongs to a launch
 * that will look itself. A forge calls a runner active for a while after its machine is gone: whoever ends everything does not wait for that.
 */
function registrationSweepsOf(world: World, policy: Policy, now: number): Action[] {
  const byId = new Map(world.runners.map((runner) => [runner.id, runner]));
  const machines =
    policy.mode === 'ending' && world.machines.state === 'known' ? new Set(world.machines.value.map(({ id }) => id)) : undefined;
  const gone = (name: string): boolean => machines?.has(name) === false;
  const strays = strayWorkersOf(world);
  const actions: Action[] = [];
  for (const [forge, reading] of world.registrations) {
    if (reading.state !== 'known') continue;
    for (const registration of reading.value) {
      const mayReport = registration.status === 'active' || (world.fresh.has(forge) && strays.has(registration.name));
      const atWork = mayReport && !gone(registration.name);
      if (!isOurRegistration(registration, policy) || atWork || world.inFlight.has(registration.name)) continue;
      const owner = byId.get(registration.name);
      if (owner !== undefined && owner.forge === forge && (owner.credentials === undefined || owner.credentials.id === registration.id))
        continue;
      const id = `${forge}/${registration.id}`;
      if ((world.retries.get(id)?.at ?? 0) <= now) actions.push({ kind: 'sweep-registration', id, forge, registration });
    }
  }
  return actions;
}
