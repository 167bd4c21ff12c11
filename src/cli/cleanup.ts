// Promises the two emergency tools: registrations that nobody uses are deleted, and everything of this controller is ended. Both touch what
// bears our own mark alone, and only tell unless --yes is said.

import { ControllerError, isControllerError } from '../errors.ts';
import type { Sweep } from '../http/wire-v1.ts';
import { draw, rawOf, type Answer } from './client.ts';
import { print, type Command, type Context, type Given } from './command.ts';
import { configOf, flagsOf, wordsOf } from './program.ts';
import { line } from './render.ts';

const lookMs = 500;
/** A maintenance asks each forge; after that its deletions are tried again later, and whoever waits is told. */
const mostLooks = 60;
/** Of the service's program: it runs. */
const held = 4;

export const cleanupRegistrationsCommand: Command = {
  name: 'cleanup-forgejo-runners',
  says: 'tells which registrations of this controller are offline and have no container; --yes deletes them',
  flags: flagsOf('sweep'),
  async run(context, given) {
    if (given.text('config') !== undefined) return withProgram(context, given);
    let seen: Answer<Sweep>;
    try {
      seen = await sweep(context, true);
    } catch (error) {
      if (!isDown(error) || given.is('json') || given.text('url') !== undefined || given.text('socket') !== undefined) throw error;
      context.note('the service does not run: its program looks itself');
      return withProgram(context, given);
    }
    return given.is('yes') ? deleteAll(context, seen) : tell(context, given, seen);
  },
};

export const cleanupAllCommand: Command = {
  name: 'cleanup-all-containers',
  says: 'tells every container, record and registration of this controller; --yes ends all, running jobs and the service too',
  flags: flagsOf('end-all'),
  async alone(local, given) {
    const code = await local.program(['end-all', ...configOf('end-all', given, local.usualConfig), ...wordsOf('end-all', given)]);
    if (code === held)
      local.note(
        'nothing was changed: a service that runs would start anew what is ended beside it, and this one takes no orders from here. Stop it first (systemctl stop forgejo-runner-controller); its jobs run on meanwhile',
      );
    return code;
  },
};

/** A configuration that is named says which controller is meant, and its service may not be the one that would be asked. */
async function withProgram(context: Context, given: Given): Promise<number> {
  const place = ['url', 'socket', 'token-file'].find((flag) => given.text(flag) !== undefined);
  if (place !== undefined)
    throw new ControllerError('CONFIG_INVALID', `give --config, for a service that is stopped, or --${place}, for one that runs`);
  const code = await context.program(['sweep', ...configOf('sweep', given, context.usualConfig), ...wordsOf('sweep', given)]);
  if (code === held) context.note('nothing was changed: the service runs and does it itself, when it is asked without --config');
  return code;
}

function sweep({ client }: Context, dryRun: boolean): Promise<Answer<Sweep>> {
  return client.ask<Sweep>({ method: 'POST', path: `/api/v1/sweep?dry_run=${String(dryRun)}`, schema: 'sweep' });
}

/** Nobody is there at all; one that is slow or refuses is there. */
function isDown(error: unknown): boolean {
  const code = isControllerError(error, 'API_UNREACHABLE') ? error.details['code'] : undefined;
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}

type Unused = { readonly id: string; readonly why: string };

function unusedOf({ sweep: actions }: Sweep): readonly Unused[] {
  return actions.filter(({ kind }) => kind === 'sweep-registration');
}

async function tell(context: Context, given: Given, seen: Answer<Sweep>): Promise<number> {
  const lines = await draw(context.client, seen, (answer) => {
    const unused = unusedOf(answer);
    return [
      ...rowsOf(context, answer, unused),
      `${countOf(unused.length)} would be deleted. Nothing was changed; say it again with --yes to do it.`,
    ];
  });
  print(context, given.is('json') ? [rawOf(seen)] : lines);
  return 0;
}

/** Deletes, and looks until none of those that were seen is left. */
async function deleteAll(context: Context, seen: Answer<Sweep>): Promise<number> {
  const { client, clock, ending } = context;
  const before = await draw(client, seen, (answer) => {
    if (!context.json) print(context, rowsOf(context, answer, unusedOf(answer)));
    return unusedOf(answer);
  });
  const begun = await sweep(context, false);
  let left = before;
  for (let look = 0; look < mostLooks && left.length > 0; look += 1) {
    if (look > 0) await clock.sleep(lookMs, ending);
    const now = await draw(client, await sweep(context, true), (answer) => ({
      known: answer.unknown.length === 0,
      unused: unusedOf(answer),
    }));
    const still = new Set(now.unused.map(({ id }) => id));
    // What cannot be read is not gone.
    if (now.known) left = before.filter(({ id }) => still.has(id));
  }
  const gone = before.length - left.length;
  const sum = `${gone} of ${countOf(before.length)} ${gone === 1 ? 'was' : 'were'} deleted.`;
  print(context, context.json ? [rawOf(begun)] : [...left.map((one) => line(context.look(), `left: ${nameOf(one)}`)), sum]);
  return left.length === 0 && (before.length > 0 || seen.value.unknown.length === 0) ? 0 : 1;
}

function rowsOf(context: Context, { unknown }: Sweep, unused: readonly Unused[]): readonly string[] {
  return [...unused.map(nameOf), ...unknown.map((what) => `not known: ${what}`)].map((text) => line(context.look(), text));
}

/** `id` is that of the forge and its number there. */
function nameOf({ id, why }: Unused): string {
  return `registration ${id}: ${why}`;
}

function countOf(length: number): string {
  return `${length} registration${length === 1 ? '' : 's'}`;
}
