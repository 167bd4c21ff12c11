// Promises the deletion of what nobody uses at the forges while the service is stopped: registrations with our mark that no machine and no
// record has, told first and deleted only when that is confirmed. It is the reconciler's own judgement; nothing else is touched or started.

import type { Config } from './config/config.ts';
import type { Action, World } from './core/model.ts';
import { openParts } from './daemon-parts.ts';
import { isControllerError } from './errors.ts';
import type { Forge } from './forge/forge.ts';
import type { Log } from './log.ts';
import type { Reconciler } from './reconciler/reconciler.ts';

export type SweepOptions = {
  /** False: only tell. */
  readonly confirmed: boolean;
  readonly log: Log;
  readonly mask: (text: string) => string;
  /** One line for a person. */
  readonly say: (line: string) => void;
};

type Unused = Extract<Action, { readonly kind: 'sweep-registration' }>;

/** True when it was only told, or when all of them are gone. Rejects with STATE_LOCKED while the service runs. */
export async function sweep(config: Config, version: string, options: SweepOptions): Promise<boolean> {
  const { log, mask } = options;
  const parts = await openParts(config, { version, log, mask });
  try {
    const forges = parts.settingsOf(config).forges.map(({ forge }) => forge);
    return await sweepOf(parts.reconciler('draining'), forges, options);
  } finally {
    await parts.close();
  }
}

export async function sweepOf(
  reconciler: Pick<Reconciler, 'foresee'>,
  forges: readonly Forge[],
  { confirmed, log, say }: Omit<SweepOptions, 'mask'>,
): Promise<boolean> {
  const { world, actions } = await reconciler.foresee();
  // Without them nobody knows what has a machine (I2).
  if (world.machines.state !== 'known') {
    say(`left: all, for the machines of this host cannot be listed: ${world.machines.reason}`);
    return false;
  }
  const machines = new Set<string>(world.machines.value.map(({ id }) => id));
  const unused = actions.filter((action): action is Unused => action.kind === 'sweep-registration');
  const [held, free] = [
    unused.filter((one) => machines.has(one.registration.name)),
    unused.filter((one) => !machines.has(one.registration.name)),
  ];
  for (const one of held) say(`${nameOf(one)} has a machine: the service sees to both when it runs, end-all --yes ends both`);
  for (const action of actions)
    if (action.kind === 'finalize')
      say(`runner ${action.id} has a record and no machine at work: the service removes what is left of it when it starts`);
  const unknown = unknownsOf(world);
  for (const line of unknown) say(`left: ${line}`);
  if (!confirmed) {
    for (const one of free) say(`${nameOf(one)}, which no machine and no record has`);
    say(`${countOf(free)} would be deleted. Nothing was changed; say it again with --yes to do it.`);
    return true;
  }
  let deleted = 0;
  for (const one of free) if (await remove(one, forges, { log, say })) deleted += 1;
  say(`${deleted} of ${countOf(free)} ${deleted === 1 ? 'was' : 'were'} deleted.`);
  return deleted === free.length && unknown.length === 0;
}

async function remove(
  { forge, registration }: Unused,
  forges: readonly Forge[],
  { log, say }: Pick<SweepOptions, 'log' | 'say'>,
): Promise<boolean> {
  const { id, name } = registration;
  try {
    const asked = forges.find((each) => each.name === forge);
    if (asked === undefined) throw new Error(`a registration of a forge that nobody asked: ${forge}`);
    await asked.unregister(id);
  } catch (error) {
    if (!isControllerError(error)) throw error;
    say(`left: registration ${name} at forge ${forge}: ${error.message} (${error.code})`);
    return false;
  }
  const facts = { by: 'operator (sweep)', runner: name, forge, registration: id, reason: 'no-record' };
  log.info('sweep', facts, 'a registration of ours that no record speaks of was deleted');
  return true;
}

function nameOf({ forge, registration }: Unused): string {
  return `registration ${registration.name} at forge ${forge}`;
}

function countOf({ length }: readonly unknown[]): string {
  return `${length} registration${length === 1 ? '' : 's'}`;
}

/** What cannot be seen is not taken for empty (I2). */
function unknownsOf({ registrations }: World): readonly string[] {
  return [...registrations].flatMap(([forge, reading]) =>
    reading.state === 'unknown' ? [`the registrations at forge ${forge} cannot be listed: ${reading.reason}`] : [],
  );
}
