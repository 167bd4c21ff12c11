// Promises `status` and `watch`: the whole picture as tables, once or drawn anew every second. Exit code 0 when the service is well, 1 when
// it says that it is not.

import type { Health, Status } from '../http/wire.ts';
import { ControllerError, isControllerError } from '../errors.ts';
import { draw, rawOf, type Answer } from './client.ts';
import { print, type Command, type Context } from './command.ts';
import { between, bytesOf, clip, guessed, line, paint, table, type Cell, type Look } from './render.ts';

const frameMs = 1_000;

export const statusCommand: Command = {
  name: 'status',
  says: 'what runs, what waits and why, and whether the service is well (the default)',
  run: showStatus,
};

export const watchCommand: Command = {
  name: 'watch',
  says: 'the same, drawn anew every second until Ctrl-C; once, where there is no terminal',
  run: watch,
};

type Picture = { readonly health: Answer<Health>; readonly status: Answer<Status> };

async function look({ client }: Context): Promise<Picture> {
  const [health, status] = await Promise.all([
    client.ask<Health>({ path: '/health', schema: 'health', also: 503 }),
    client.ask<Status>({ path: '/status', schema: 'status' }),
  ]);
  return { health, status };
}

async function showStatus(context: Context): Promise<number> {
  const { health, status } = await look(context);
  if (context.json) print(context, [rawOf(status)]);
  else print(context, await linesOf(context, { health, status }));
  return draw(context.client, health, exitOf);
}

function exitOf({ status }: Health): number {
  // A word that is neither is no answer of the service.
  if (status !== 'ok' && status !== 'stale') throw new ControllerError('API_UNREACHABLE', 'the service does not say whether it is well');
  return status === 'ok' ? 0 : 1;
}

async function watch(context: Context): Promise<number> {
  const { screen, ending, clock } = context;
  if (!screen.isTTY || context.json) return showStatus(context);
  // The other screen, without a cursor, and long lines cut instead of wrapped: the window is afterwards as it was.
  screen.write('\u001b[?1049h\u001b[?25l\u001b[?7l');
  try {
    while (!ending.aborted) {
      const lines = await frameOf(context);
      if (ending.aborted) break;
      screen.write(`\u001b[H${within(lines, screen.rows()).join('\u001b[K\n')}\u001b[K\u001b[J`);
      await clock.sleep(frameMs, ending);
    }
  } finally {
    screen.write('\u001b[?7h\u001b[?25h\u001b[?1049l');
  }
  return 0;
}

/** A service that is away for a moment is waited for. */
async function frameOf(context: Context): Promise<readonly string[]> {
  try {
    return await linesOf(context, await look(context));
  } catch (error) {
    if (context.ending.aborted) return [];
    if (!isControllerError(error) || error.code === 'API_FORBIDDEN') throw error;
    const room = context.screen.columns() ?? Infinity;
    return [line(context.look(), paint(clip(error.message, room), 'bad')), 'Asking again every second; Ctrl-C ends this.'];
  }
}

function within(lines: readonly string[], rows: number | undefined): readonly string[] {
  if (rows === undefined || lines.length <= rows) return lines;
  return [...lines.slice(0, rows - 1), `… and ${lines.length - rows + 1} more lines`];
}

function linesOf(context: Context, { health, status }: Picture): Promise<readonly string[]> {
  return draw(context.client, health, (verdict) =>
    draw(context.client, status, (picture) => statusLines(context.look(), verdict, picture)),
  );
}

/** The tables of `status`. Ages are those at the moment of the picture. */
function statusLines(look: Look, health: Health, status: Status): readonly string[] {
  const part = (title: string, rows: readonly string[]): readonly string[] =>
    rows.length === 0 ? [] : ['', line(look, paint(title, 'bold')), ...rows];
  const { capacity, waiting_jobs: waiting, waiting_jobs_left_out: leftOut, runners } = status;
  return [
    ...headLines(look, health, status),
    ...part('Forges', forgeRows(look, status)),
    ...part('Profiles', profileRows(look, status)),
    ...part(`Runners: ${capacity.used} of ${capacity.max} machines in use`, runnerRows(look, status)),
    ...(runners.length === 0 ? ['', `No runners; ${capacity.used} of ${capacity.max} machines in use.`] : []),
    ...part('Warm: machines that wait for jobs', warmRows(look, status)),
    ...part(`Waiting: ${waiting.length + leftOut}`, waitingRows(look, waiting)),
    ...(leftOut > 0 ? [`and ${leftOut} more`] : []),
    ...part('To be looked at', odd(look, status)),
  ];
}

function headLines(look: Look, health: Health, status: Status): readonly string[] {
  const at = status.observed_at;
  const verdict = health.status === 'ok' ? paint(health.starting ? 'starting' : 'well', 'good') : paint('not well', 'bad');
  const up = at === null ? 'no look at the world has ended yet' : `up ${between(status.started_at, at)}, last look ${clockOf(at)}`;
  const { drain } = status;
  return [
    line(
      look,
      paint(status.controller_id, 'bold'),
      ' is ',
      verdict,
      `: forgejo-runner-controller ${status.version}, ${up}; configuration ${status.config_hash}`,
    ),
    ...health.reasons.map((reason) => line(look, paint('not well: ', 'bad'), reason)),
    ...(drain === null
      ? []
      : [
          line(
            look,
            paint('draining', 'warn'),
            ` since ${clockOf(drain.since)} by ${drain.by}: ${drain.left} left, nothing new is started`,
          ),
        ]),
    ...(status.reload === null || status.reload.ok
      ? []
      : [line(look, paint('the configuration was refused', 'bad'), ` at ${clockOf(status.reload.at)}: ${status.reload.error ?? ''}`)]),
  ];
}

function forgeRows(look: Look, { forges, observed_at: at }: Status): readonly string[] {
  return table(
    look,
    ['FORGE', 'VERSION', 'SCOPE', 'WAITING', 'RUNNING', 'LAST POLL', 'STATE'],
    forges.map(({ name, version, scope, waiting, running, last_good_poll: last, polled, error }) => [
      name,
      version,
      scope,
      waiting,
      running,
      last === null ? null : `${between(last, at ?? last)} ago${polled ? '' : ', not polled'}`,
      error === null ? paint('answers', 'good') : paint(`${error.message} (${error.code})`, 'bad'),
    ]),
  );
}

function profileRows(look: Look, { capacity }: Status): readonly string[] {
  return table(
    look,
    ['PROFILE', 'IN USE', 'MOST', 'LABELS'],
    capacity.profiles.map(({ name, used, max, labels }) => [name, used, max, labels.join(', ')]),
  );
}

function runnerRows(look: Look, { runners, observed_at: at }: Status): readonly string[] {
  return table(
    look,
    ['RUNNER', 'JOB', 'PROFILE', 'PHASE', 'FOR', 'MACHINE', 'REGISTRATION', 'NAME'],
    runners.map((runner) => [
      runner.id,
      runner.job_id === 0 ? `${runner.forge}, none yet` : `${runner.forge} ${runner.job_id}`,
      runner.profile,
      phaseOf(runner),
      between(runner.picked_at ?? runner.assigned_at ?? runner.scheduled_at, at),
      runner.machine_state,
      runner.registration_id,
      [...namesOf(runner), ...troublesOf(runner)].join('; '),
    ]),
  );
}

function warmRows(look: Look, { warm_containers: warm, capacity, observed_at: at }: Status): readonly string[] {
  return table(
    look,
    ['MACHINE', 'PROFILE', 'STATE', 'FOR'],
    [
      ...warm.map(({ name, profile, state, since }) => [name, profile, state, between(since, at)]),
      ...capacity.profiles.flatMap(({ name, warm: wanted }) =>
        wanted?.rests_until == null ? [] : [[null, name, paint(`theirs died: next try at ${clockOf(wanted.rests_until)}`, 'warn'), null]],
      ),
    ],
  );
}

function namesOf({ job_name: name, labels, dispatched_until: until }: Status['runners'][number]): readonly string[] {
  return [...(name === '' ? [] : [name]), ...(until === null ? [] : [`dispatched for ${labels.join(', ')} until ${clockOf(until)}`])];
}

function phaseOf({ phase }: Status['runners'][number]): Cell {
  return phase === 'busy' ? paint(phase, 'good') : phase;
}

function troublesOf({ stop, attempts, last_error: error }: Status['runners'][number]): readonly string[] {
  return [
    ...(stop === null ? [] : [`is ended: ${stop.reason}`]),
    ...(error === null ? [] : [`failed ${attempts === 1 ? 'once' : `${attempts} times`}: ${error.message} (${error.code})`]),
  ];
}

function waitingRows(look: Look, waiting: Status['waiting_jobs']): readonly string[] {
  return table(
    look,
    ['JOB', 'NAME', 'LABELS', 'PLACE', 'START', 'WHY IT WAITS'],
    waiting.map((job) => [
      `${job.forge} ${job.job_id}`,
      job.job_name,
      job.labels.join(', '),
      job.position,
      guessed(job.estimate),
      job.sentence,
    ]),
  );
}

/** What somebody should look at: each is a sentence of the runbook. */
function odd(look: Look, { leftovers, quarantined, host }: Status): readonly string[] {
  return [
    ...leftovers.map(({ kind, name }) => `left over: ${kind} ${name}`),
    ...quarantined.map((name) => `in quarantine: ${name}`),
    ...(host.free_bytes === null || host.full === null ? [] : [`free on the state directory: ${bytesOf(host.free_bytes)}`]),
  ].map((text) => line(look, text));
}

/** The time of day of an ISO time, in UTC. */
function clockOf(iso: string): string {
  return `${iso.slice(11, 19)} UTC`;
}
