// Promises that a service that runs leaves alone the network which a doctor of its host has made, for as long as that doctor lives, and takes
// it for a leftover afterwards.

import { claim, claimedNames } from '../claim.ts';
import type { MachineId } from '../core/model.ts';
import { ControllerError } from '../errors.ts';

/** What its network is called. No job has number 0. */
export const doctorsId = 'j0000000doc' as MachineId;

const nameOf = (controllerId: string): string => `forgejo-runner-controller-doctor:${controllerId}`;

/** Gives the claim back. Rejects with DRIVER_FAILED while another doctor has it. */
export async function claimDoctor(controllerId: string): Promise<() => void> {
  const release = await claim(nameOf(controllerId));
  if (release !== undefined) return release;
  throw new ControllerError('DRIVER_FAILED', `Another doctor of \`${controllerId}\` is at work: ask again when it is through.`);
}

export function isDoctorAtWork(controllerId: string): boolean {
  return claimedNames().includes(nameOf(controllerId));
}
