// Promises `jobs`, `explain` and `plan`: what waits and why, what runs, what is done and how it ended, and what the service would do now.

import type { Explain, Jobs, Plan } from '../http/wire-v1.ts';
import { ControllerError } from '../errors.ts';
import { draw, rawOf, type Answer, type Ask } from './client.ts';
import { print, type Command, type Context, type Given } from './command.ts';
import { between, bytesOf, guessed, line, paint, table, type Cell, type Look } from './render.ts';

export const jobsCommand: Command = {
  name: 'jobs',
  says: 'jobs that wait with the reason, that run, and that are done with their result and resources',
  flags: {
    state: { value: 'STATE', says: 'only those that are waiting, running or done' },
    limit: { value: 'N', says: 'at most so many of each, up to 1000; 100 unless said otherwise' },
  },
  async run(context, given) {
    const ask = query('/api/v1/jobs', { state: given.text('state'), limit: given.text('limit') });
    return show(context, await context.client.ask<Jobs>({ path: ask, schema: 'jobs' }), jobLines);
  },
};

export const explainCommand: Command = {
  name: 'explain',
  says: 'why a job waits or what became of it, or who would serve a set of labels',
  flags: {
    labels: { value: 'A,B', says: 'the labels of a runs-on' },
    job: { value: 'ID', says: 'the number of a job' },
  },
  async run(context, given) {
    return show(context, await context.client.ask<Explain>(explainAsk(given)), explainLines);
  },
};

export const planCommand: Command = {
  name: 'plan',
  says: 'what the service would do now and why; does nothing',
  async run(context) {
    return show(context, await context.client.ask<Plan>({ path: '/api/v1/plan', schema: 'plan' }), planLines);
  },
};

async function show<T>(context: Context, answer: Answer<T>, lines: (look: Look, value: T) => readonly string[]): Promise<number> {
  print(context, context.json ? [rawOf(answer)] : await draw(context.client, answer, (value) => lines(context.look(), value)));
  return 0;
}

function explainAsk(given: Given): Ask {
  const [labels, job] = [given.text('labels'), given.text('job')];
  if ((labels === undefined) === (job === undefined))
    throw new ControllerError('CONFIG_INVALID', '`explain` needs --labels A,B or --job ID, one of the two');
  return { path: query('/api/v1/explain', { labels, job }), schema: 'explain' };
}

function query(path: string, said: Readonly<Record<string, string | undefined>>): string {
  const pairs = Object.entries(said).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]));
  return pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
}

type Job = Jobs['jobs'][number];

/** The tables of `jobs`. */
export function jobLines(look: Look, { jobs, total }: Jobs): readonly string[] {
  const part = (state: Job['state'], title: string, rows: readonly string[]): readonly string[] => {
    const shown = jobs.filter((job) => job.state === state).length;
    const most = total[state] > shown && shown > 0 ? `, ${shown} of them shown` : '';
    return rows.length === 0 ? [] : ['', line(look, paint(`${title}: ${total[state]}${most}`, 'bold')), ...rows];
  };
  const lines = [
    ...part('waiting', 'Waiting', waitingRows(look, jobs)),
    ...part('running', 'Running', runningRows(look, jobs)),
    ...part('done', 'Done', doneRows(look, jobs)),
  ];
  return lines.length === 0 ? ['No such jobs.'] : lines.slice(1);
}

function waitingRows(look: Look, jobs: readonly Job[]): readonly string[] {
  const rows = jobs.flatMap((job): Cell[][] =>
    job.state === 'waiting'
      ? [[numberOf(job), job.job_name, job.labels.join(', '), job.position, guessed(job.estimate), job.sentence]]
      : [],
  );
  return table(look, ['JOB', 'NAME', 'LABELS', 'PLACE', 'START', 'WHY IT WAITS'], rows);
}

function runningRows(look: Look, jobs: readonly Job[]): readonly string[] {
  const rows = jobs.flatMap((job): Cell[][] =>
    job.state === 'running' ? [[numberOf(job), job.runner, job.profile, job.phase, timeOf(job.picked_at), job.job_name]] : [],
  );
  return table(look, ['JOB', 'RUNNER', 'PROFILE', 'PHASE', 'PICKED', 'NAME'], rows);
}

function doneRows(look: Look, jobs: readonly Job[]): readonly string[] {
  const rows = jobs.flatMap((job): Cell[][] => (job.state === 'done' ? [doneRow(job)] : []));
  return table(look, ['JOB', 'RUNNER', 'ENDED', 'START', 'RAN', 'CPU', 'MEMORY', 'NAME', 'END'], rows);
}

function doneRow(job: Extract<Job, { state: 'done' }>): Cell[] {
  const { exit } = job;
  return [
    numberOf(job),
    job.runner,
    timeOf(job.ended_at),
    between(job.scheduled_at, job.picked_at),
    between(job.picked_at, job.ended_at),
    exit === null || exit.cpu_seconds === null ? null : `${exit.cpu_seconds} s`,
    exit === null || exit.memory_peak_bytes === null ? null : bytesOf(exit.memory_peak_bytes),
    job.job_name,
    job.reason === 'finished' ? job.reason : paint(job.cause ?? job.reason, 'warn'),
  ];
}

/** The sentences of `explain`. */
export function explainLines(look: Look, explained: Explain): readonly string[] {
  if (explained.about === 'job')
    return [
      line(look, paint(`job ${explained.job_id}: ${explained.state}`, 'bold')),
      ...explained.sentences.map((sentence) => line(look, '- ', sentence)),
    ];
  const { labels, served_by: served, sentence, nearest, missing } = explained;
  return [
    line(look, paint(labels.join(', '), 'bold'), ': ', paint(sentence, served.length > 0 ? 'good' : 'warn')),
    ...(nearest === null ? [] : [line(look, `nearest profile: ${nearest}; missing: ${missing.join(', ')}`)]),
  ];
}

/** The tables of `plan`. */
export function planLines(look: Look, plan: Plan): readonly string[] {
  const { actions, not_started: denied, not_started_left_out: more, under_way: underWay, unknown } = plan;
  const waiting = denied.map((job): Cell[] => [numberOf(job), job.job_name, job.sentence]);
  return [
    ...(actions.length === 0 ? ['Nothing is to be done now.'] : []),
    ...table(
      look,
      ['ACTION', 'OF', 'JOB', 'PROFILE', 'WHY'],
      actions.map((action) => [action.kind, action.id, action.job_id, action.profile, action.why]),
    ),
    ...(underWay.length === 0 ? [] : ['', line(look, `Under way, and left alone until it has ended: ${underWay.join(', ')}`)]),
    ...(waiting.length === 0 ? [] : ['', line(look, paint(`Not started: ${waiting.length + more}`, 'bold'))]),
    ...table(look, ['JOB', 'NAME', 'WHY IT WAITS'], waiting),
    ...(more === 0 ? [] : [`and ${more} more`]),
    ...unknown.map((sentence) => line(look, paint('unknown: ', 'bad'), sentence)),
  ];
}

function numberOf({ forge, job_id: id }: { readonly forge: string; readonly job_id: number }): string {
  return id === 0 ? `${forge}, none` : `${forge} ${id}`;
}

/** Date and time of day of an ISO time, in UTC. */
function timeOf(iso: string | null): string | null {
  return iso === null ? null : `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}
