// Promises the three lists: what runs with the orders that can be given to it, who waits and why, and what ended with its cause.

import type { Status } from '../../http/wire.ts';
import { now } from './clock.ts';
import { button, element, mark, part, quoted, rowsIn, say, type Row } from './dom.ts';
import { keyOf, pickedOf, type Done } from './spans.ts';
import type { Picture } from './watch.ts';
import { ageOf, countOf, durationOf, shown, sizeOf, timeOf } from './words.ts';

type Live = Status['runners'][number];
type Waiting = Status['waiting_jobs'][number];

export type Doors = { readonly log: (runner: string) => void; readonly stop: (runner: Live) => void };

export type Lists = { draw(picture: Picture): void; tick(): void };

/** What a person looks through; the rest is counted. */
const waitingShown = 100;
const endedShown = 30;

export function createLists(doors: Doors): Lists {
  let picture: Picture | undefined;
  const clock = (): number => now() + (picture?.skewMs ?? 0);
  const running = rowsIn<Live>(place('running'), keyOf, () => liveRow(doors, clock), place('running-title'));
  const waiting = rowsIn<Waiting>(
    place('waiting'),
    ({ forge, job_id: id, handle }) => `${forge} ${id} ${handle}`,
    () => waitingRow(clock),
    place('waiting-title'),
  );
  const ended = rowsIn<Done>(place('ended'), keyOf, () => doneRow(doors), place('ended-title'));

  function tick(): void {
    if (picture === undefined) return;
    const { status, done } = picture;
    running(status.runners.toSorted((a, b) => a.scheduled_at.localeCompare(b.scheduled_at)));
    say(place('running-none'), status.runners.length === 0 ? 'Nothing runs.' : '');
    const inLine = status.waiting_jobs.toSorted((a, b) => (a.position ?? Infinity) - (b.position ?? Infinity) || a.job_id - b.job_id);
    waiting(inLine.slice(0, waitingShown));
    const unseen = Math.max(0, inLine.length - waitingShown) + status.waiting_jobs_left_out;
    say(place('waiting-none'), inLine.length === 0 ? 'Nothing waits.' : unseen === 0 ? '' : `${unseen} more wait.`);
    // Those that are told here may be older than what the timeline shows.
    const all = new Map([...done, ...status.recent].map((each) => [keyOf(each), each]));
    const newest = [...all.values()].toSorted((a, b) => b.ended_at.localeCompare(a.ended_at));
    ended(newest.slice(0, endedShown));
    say(
      place('ended-none'),
      newest.length === 0 ? 'Nothing has ended yet.' : newest.length > endedShown ? `${newest.length - endedShown} more ended.` : '',
    );
  }

  return {
    tick,
    draw(next) {
      picture = next;
      tick();
    },
  };
}

const phases: Readonly<Record<string, string>> = {
  launching: 'starting',
  'waiting-for-job': 'waits for its job',
  busy: 'running',
  stopping: 'being stopped',
  finalizing: 'cleaning up',
};

function placeOf({ forge, repository_id: repository, attempt, job_id: job }: Waiting | Live | Done): string {
  if (job === 0) return `dispatched, no job known · ${forge}`;
  return `job ${job}${attempt > 1 ? `, attempt ${attempt}` : ''} · repository ${repository} at ${forge}`;
}

function liveRow(doors: Doors, clock: () => number): Row<Live> {
  const [name, phase, facts, trouble] = [
    element('strong'),
    element('span', { class: 'chip' }),
    element('p', { class: 'quiet' }),
    element('p', { class: 'trouble' }),
  ];
  let current: Live | undefined;
  const log = button('Log', {}, () => current !== undefined && doors.log(current.id));
  const stop = button('Stop…', { class: 'danger' }, () => current !== undefined && doors.stop(current));
  const node = element(
    'li',
    {},
    element('p', { class: 'name' }, name, ' ', phase),
    facts,
    trouble,
    element('p', { class: 'orders' }, log, stop),
  );
  return {
    node,
    update(runner) {
      current = runner;
      mark(node, 'data-phase', runner.phase);
      say(name, runner.job_id === 0 ? 'whatever comes' : runner.job_name);
      say(phase, phases[runner.phase] ?? runner.phase);
      const since = Date.parse(runner.picked_at ?? runner.assigned_at ?? runner.scheduled_at);
      say(
        facts,
        `${placeOf(runner)} · ${runner.labels.join(', ')} · profile ${runner.profile} · runner ${runner.id} · for ${ageOf(clock() - since)}`,
      );
      const { stop: ordered, last_error: error, attempts } = runner;
      const told = [
        ...(ordered === null ? [] : [`is being ended: ${ordered.reason}`]),
        ...(error === null ? [] : [`${error.message} (${error.code}, tried ${countOf(attempts, 'time')})`]),
      ];
      say(trouble, told.join('; '));
      for (const [each, what] of [
        [log, 'Log'],
        [stop, 'Stop'],
      ] as const)
        mark(each, 'aria-label', shown(`${what} of ${runner.job_name}, runner ${runner.id}`));
    },
  };
}

function waitingRow(clock: () => number): Row<Waiting> {
  const [name, labels, facts, why] = [element('strong'), element('span'), element('p', { class: 'quiet' }), element('p', { class: 'why' })];
  const node = element('li', {}, element('p', { class: 'name' }, name, ' ', labels), why, facts);
  return {
    node,
    update(job) {
      mark(node, 'data-reason', job.reason);
      say(name, job.job_name);
      say(why, job.sentence);
      const inLine = job.position === null ? '' : ` · number ${job.position} in line`;
      const startsIn = job.estimate.start_at === null ? undefined : Date.parse(job.estimate.start_at) - clock();
      const guess = startsIn === undefined ? '' : startsIn < 1_000 ? ' · may start any moment' : ` · may start in about ${ageOf(startsIn)}`;
      say(facts, placeOf(job) + inLine + guess);
      const wanted = job.labels.map((label) => element('span', { class: 'chip' }, quoted(label)));
      if (labels.textContent !== wanted.map((each) => each.textContent).join('')) labels.replaceChildren(...wanted);
    },
  };
}

function doneRow(doors: Doors): Row<Done> {
  const [name, end, facts] = [element('strong'), element('span', { class: 'chip' }), element('p', { class: 'quiet' })];
  let current: Done | undefined;
  const log = button('Log', {}, () => current !== undefined && doors.log(current.id));
  const node = element('li', {}, element('p', { class: 'name' }, name, ' ', end), facts, element('p', { class: 'orders' }, log));
  return {
    node,
    update(done) {
      current = done;
      mark(node, 'data-end', done.reason === 'finished' ? 'good' : 'bad');
      say(name, done.job_id === 0 ? 'no job came' : done.job_name);
      say(end, done.cause ?? done.reason);
      mark(log, 'aria-label', shown(`Log of ${done.job_name}, runner ${done.id}`));
      const { exit, ended_at: ended } = done;
      const picked = pickedOf(done);
      const ran = picked === null ? 'never ran' : `ran ${durationOf(Date.parse(done.cleaning_at ?? ended) - Date.parse(picked))}`;
      const memory = exit?.memory_peak_bytes ?? undefined;
      const used = [
        ...(typeof exit?.cpu_seconds === 'number' ? [`${durationOf(exit.cpu_seconds * 1000)} of processor`] : []),
        ...(memory === undefined ? [] : [`${sizeOf(memory)} of memory`]),
      ];
      say(
        facts,
        [placeOf(done), `profile ${done.profile}`, `runner ${done.id}`, `ended ${timeOf(Date.parse(ended), now())}`, ran, ...used].join(
          ' · ',
        ),
      );
    },
  };
}

function place(id: string): HTMLElement {
  return part(id, HTMLElement);
}
