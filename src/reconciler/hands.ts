// Promises what the steps of a runner work with: the ports, the records, and the words by which forge, job and log know a runner. Does nothing
// by itself.

import type { Clock } from '../clock.ts';
import { isJobless } from '../core/dispatch.ts';
import { jobKeyOf } from '../core/naming.ts';
import type { ForgeName, Policy, Runner, RunnerId } from '../core/model.ts';
import type { Driver } from '../driver/driver.ts';
import { ControllerError } from '../errors.ts';
import type { Forge } from '../forge/forge.ts';
import type { Facts, Log } from '../log.ts';
import type { Ledger } from './ledger.ts';

export type Hands = {
  readonly forges: ReadonlyMap<ForgeName, Forge>;
  readonly driver: Driver;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: () => Policy;
  /** True while the forge has not answered for long enough to know who is at work. */
  readonly fresh: (forge: ForgeName) => boolean;
  /** True for a runner that is to be ended, whatever was planned for it before. */
  readonly condemned: (id: RunnerId) => boolean;
};

/** The names under which every log line speaks of a runner. */
export function factsOf(runner: Runner): Facts {
  const { id, handle, repositoryId, name } = runner.job;
  const { forge, profile } = runner;
  const dispatched = runner.dispatch === undefined ? {} : { dispatched: true };
  if (isJobless(runner)) return { runner: runner.id, forge, profile, ...dispatched };
  return { runner: runner.id, forge, repository: repositoryId, job: id, handle, name, profile, ...dispatched };
}

export function forgeOf(hands: Hands, name: ForgeName): Forge {
  const forge = hands.forges.get(name);
  if (forge !== undefined) return forge;
  throw new ControllerError(
    'FORGE_UNREACHABLE',
    `forge \`${name}\` is in the records but not in the configuration; put it back, or its runners are only removed from the host`,
  );
}

export function keyOf(runner: Runner): string {
  return jobKeyOf({ forge: runner.forge, ...runner.job });
}
