// Promises that two controllers which run on one host never give out the same addresses, also before either has a machine: a claim
// bears the pool in its name.

import { claim, claimedNames } from '../claim.ts';
import { addressToNumber, type Pool } from '../core/subnets.ts';
import { ControllerError } from '../errors.ts';

const mark = 'forgejo-runner-controller-pool';
const claims = new RegExp(`^${mark}:([a-z0-9-]+):([0-9.]+)-([0-9.]+)$`);

/** Gives the claim back. Rejects with DRIVER_UNAVAILABLE while another controller's pool overlaps: then both of them may refuse. */
export async function claimPool(controllerId: string, { first, last }: Pick<Pool, 'first' | 'last'>): Promise<() => void> {
  // Held already is held by this controller: the id is in the name, and its state directory is locked by now.
  const release = await claim(`${mark}:${controllerId}:${first}-${last}`);
  try {
    // Looked at after it is held: of two that start at once at least one sees the other.
    const rival = rivalIn(claimedNames(), controllerId, first, last);
    if (rival === undefined) return () => release?.();
    throw new ControllerError(
      'DRIVER_UNAVAILABLE',
      `The address pool ${first}-${last} overlaps with ${rival.pool} of the controller \`${rival.id}\`, which runs on this host: give each its own network.pool.`,
    );
  } catch (error) {
    release?.();
    throw error;
  }
}

function rivalIn(
  names: readonly string[],
  controllerId: string,
  first: string,
  last: string,
): { readonly id: string; readonly pool: string } | undefined {
  for (const name of names) {
    const [, id, from = '', to = ''] = claims.exec(name) ?? [];
    if (id === undefined || id === controllerId) continue;
    const shared = addressToNumber(to) >= addressToNumber(first) && addressToNumber(from) <= addressToNumber(last);
    if (shared) return { id, pool: `${from}-${to}` };
  }
  return undefined;
}
