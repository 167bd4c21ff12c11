// Promises every name of ours, derived and never stored: which runner id a job gets, which registrations and machines bear our mark. What
// does not match exactly is foreign and is never touched (I6).

import { createHash } from 'node:crypto';
import type { ForgeName, Job, MachineId, Policy, Registration, Runner, RunnerId, Scope } from './model.ts';

const idPattern = /^[jw][0-9a-z]{10}$/;
const controllerIdPattern = /^[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?$/;

/** What tells one attempt of a job from every other: its handle, or id and attempt on rows that have none. */
export function jobKeyOf(job: Pick<Job, 'id' | 'handle' | 'attempt'> & { readonly forge: ForgeName }): string {
  return job.handle === '' ? `${job.forge}#${job.id}.${job.attempt}` : job.handle;
}

/** `j`, the last 7 digits of the job id, 3 base-36 characters hashed from controller, forge and attempt: readable, and the same every time. */
export function runnerIdOf(controllerId: string, job: Pick<Job, 'id' | 'handle' | 'attempt'> & { readonly forge: ForgeName }): RunnerId {
  const digits = String(job.id % 10_000_000).padStart(7, '0');
  const digest = createHash('sha256')
    .update(`${controllerId}\n${job.forge}\n${jobKeyOf(job)}`)
    .digest();
  const tail = (digest.readUInt32BE(0) % 36 ** 3).toString(36).padStart(3, '0');
  return `j${digits}${tail}`;
}

/** `w`, 10 base-36 characters: of a machine that is started at that moment to wait for a job. A slot holds one machine at a time. */
export function warmIdOf(controllerId: string, slot: number, now: number): MachineId {
  const digest = createHash('sha256').update(`${controllerId}\n${slot}\n${now}`).digest();
  return `w${digest.readUIntBE(0, 6).toString(36).padStart(10, '0')}`;
}

/** `jd`, 9 base-36 characters: of a runner that a person asked for, and of its machine. No job's has a letter there. */
export function dispatchIdOf(controllerId: string, slot: number, now: number): RunnerId {
  const digest = createHash('sha256').update(`${controllerId}\ndispatch\n${slot}\n${now}`).digest();
  return `jd${(digest.readUIntBE(0, 6) % 36 ** 9).toString(36).padStart(9, '0')}`;
}

/** True for ids of runners that a person asked for. */
export function isDispatchId(id: string): boolean {
  return id.startsWith('jd');
}

/** True for ids of machines that were started before they had a job, and of the runners that they became. */
export function isWarmId(id: string): boolean {
  return id.startsWith('w');
}

/** True for ids of runners and machines that this program could have made. 11 characters, so `fr-<id>` fits Linux's 15. */
export function isMachineId(text: string): text is MachineId {
  return idPattern.test(text);
}

/** Tells one scope of one server from every other. */
export function placeOf(url: string, scope: Scope): string {
  return `${url} ${Object.values(scope).join(' ')}`;
}

/**
 * The record as it is to be seen by a configuration in which each forge's name leads to `places`: one that was made in another place keeps its
 * machine to its end, but no list of the new place says anything about its job (I9).
 */
export function inItsPlace(runner: Runner, places: ReadonlyMap<ForgeName, string>): Runner {
  const place = places.get(runner.forge);
  const moved = place !== undefined && runner.place !== undefined && place !== runner.place;
  return moved ? { ...runner, forge: `${runner.forge} (${runner.place})` } : runner;
}

/** True for what may stand as a controller id: it becomes part of unit, namespace and table names. */
export function isControllerId(text: string): boolean {
  return controllerIdPattern.test(text);
}

/** The mark on our registrations. `hostKey` tells two hosts apart that were given the same controller id by mistake. */
export function descriptionOf(controllerId: string, hostKey: string): string {
  return `forgejo-runner-controller ${controllerId}@${hostKey}`;
}

/** Identity before deletion: name, description and ephemeral must all be ours. */
export function isOurRegistration(registration: Registration, policy: Pick<Policy, 'description'>): boolean {
  return registration.ephemeral && isMachineId(registration.name) && registration.description === policy.description;
}

/** True for a registration that another host made under our controller id: two controllers must not share one. */
export function isNamesake(registration: Registration, policy: Pick<Policy, 'description' | 'controllerId'>): boolean {
  return (
    registration.description !== policy.description &&
    registration.description.startsWith(`forgejo-runner-controller ${policy.controllerId}@`)
  );
}
