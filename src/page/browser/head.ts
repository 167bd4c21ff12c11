// Promises the top of the page: whether the service is well and if not why, what it is, its forges, and how fresh all of this is.

import type { Status } from '../../http/wire.ts';
import { now } from './clock.ts';
import { element, mark, part, quoted, rowsIn, say, type Row } from './dom.ts';
import type { Connection, Picture } from './watch.ts';
import { ageOf, countOf, durationOf, timeOf } from './words.ts';

type Forge = Status['forges'][number];

export type Head = {
  draw(picture: Picture): void;
  connected(connection: Connection): void;
  /** What only time changes. */
  tick(): void;
};

export function createHead(): Head {
  const [health, notice, age, restarted] = [place('health'), place('notice'), place('age'), place('restarted')];
  const reasons = rowsIn<string>(place('reasons'), (reason) => reason, reasonRow, place('main'));
  const forges = rowsIn<Forge>(place('forges'), ({ name }) => name, forgeRow, place('main'));
  let picture: Picture | undefined;
  let connection: Connection | undefined;
  let first: Status | undefined;

  function tick(): void {
    const away = connection?.kind === 'away';
    const taken = picture?.takenAt;
    say(age, away && taken !== undefined ? `What is shown is ${ageOf(now() - taken)} old.` : '');
    // What was so then is not known to be so now.
    if (picture === undefined || away) return;
    const { status, skewMs } = picture;
    say(place('uptime'), `up ${ageOf(now() + skewMs - Date.parse(status.started_at))}`);
    const polled = status.observed_at === null ? undefined : now() + skewMs - Date.parse(status.observed_at);
    say(place('observed'), polled === undefined ? 'the first look at the world has not ended' : `looked at the world ${ageOf(polled)} ago`);
  }

  return {
    tick,
    connected(next) {
      connection = next;
      mark(document.body, 'data-connection', next.kind);
      say(place('connection'), connectionWords[next.kind]);
      if (next.kind === 'away') drawHealth(health, undefined);
      else if (picture !== undefined) drawHealth(health, picture.health);
      if (next.kind === 'live') say(notice, '');
      else if (next.kind === 'asking') say(notice, `${next.why}. It is asked every few seconds instead.`);
      else
        say(
          notice,
          `${next.why}${picture === undefined ? '' : ` since ${timeOf(picture.takenAt, now())}`}. It is asked again until it does.`,
        );
      tick();
    },
    draw(next) {
      const before = picture?.status.started_at;
      picture = next;
      const { status, health: verdict } = next;
      first ??= status;
      drawHealth(health, verdict);
      reasons(verdict.reasons);
      say(place('controller'), status.controller_id);
      say(place('version'), `version ${status.version}`);
      forges(status.forges);
      const { used, max } = status.capacity;
      const waiting = status.waiting_jobs.length + status.waiting_jobs_left_out;
      const warm = status.warm_containers.length;
      const ready = warm === 0 ? '' : `, ${countOf(warm, 'machine')} warm`;
      const summary = `${used} of ${countOf(max, 'slot')} in use, ${countOf(waiting, 'job')} waiting${ready}`;
      say(place('summary'), summary);
      document.title = `${used}/${max}${waiting === 0 ? '' : `, ${waiting} waiting`} · ${status.controller_id}`;
      say(place('drain-state'), drainSentence(status));
      if (before !== undefined && before !== status.started_at)
        say(
          restarted,
          `The service was started again at ${timeOf(Date.parse(status.started_at) - next.skewMs, now())}; this page goes on.`,
        );
      if (first.version !== status.version) say(restarted, `The service is version ${status.version} now: load this page again.`);
      tick();
    },
  };
}

const connectionWords: Readonly<Record<Connection['kind'], string>> = {
  live: 'live',
  asking: 'asks every few seconds',
  away: 'does not answer',
};

/** Undefined = nobody knows. */
function drawHealth(node: HTMLElement, health: Picture['health'] | undefined): void {
  const verdict = health === undefined ? 'unknown' : health.status !== 'ok' ? 'not well' : health.starting ? 'starting' : 'well';
  mark(node, 'data-verdict', verdict.replace(' ', '-'));
  say(node, `${verdict}${health?.draining === true ? ', draining' : ''}`);
}

function drainSentence({ drain, draining }: Status): string {
  if (drain === null) return draining ? 'It drains: nothing more is started.' : '';
  return `It drains since ${timeOf(Date.parse(drain.since), now())} (${drain.by}): nothing more is started, ${drain.left} still to go.`;
}

function reasonRow(reason: string): Row<string> {
  return { node: element('li', {}, quoted(reason)), update: () => undefined };
}

function forgeRow(): Row<Forge> {
  const [name, what, trouble] = [element('strong'), element('span', { class: 'quiet' }), element('span', { class: 'trouble' })];
  const node = element('li', {}, name, ' ', what, trouble);
  return {
    node,
    update(forge) {
      const { waiting, running, version, scope, error, last_good_poll: polled, poll_ms: tookMs } = forge;
      mark(node, 'data-trouble', error === null ? undefined : error.code);
      say(name, forge.name);
      const known = version === null ? 'version unknown' : `Forgejo ${version}`;
      const took = tookMs === null ? '' : `, answers in ${durationOf(tookMs)}`;
      say(what, `${known}, ${scope}: ${waiting} waiting, ${running} running${polled === null ? ', never polled well' : took}`);
      say(trouble, error === null ? '' : ` ${error.message} (${error.code}, since ${timeOf(Date.parse(error.since), now())})`);
    },
  };
}

function place(id: string): HTMLElement {
  return part(id, HTMLElement);
}
