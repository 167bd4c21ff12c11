// Promises orders to the service: each is explained and confirmed in a dialog, which asks for the token. The token lives in this closure until the
// page is left or it is forgotten by hand: in no storage, no cookie, no address. A refusal is told as it is.

import type { Status } from '../../http/wire.ts';
import { order, Trouble } from './api.ts';
import { part, say } from './dom.ts';

export type Orders = {
  draw(status: Status): void;
  stop(runner: Status['runners'][number]): void;
};

type Order = { readonly path: string; readonly title: string; readonly what: string; readonly press: string; readonly danger?: boolean };

const drain: Order = {
  path: 'api/v1/drain',
  title: 'Drain the service',
  what: 'Running jobs go on to their end, nothing more is started, and the service ends when nothing of it is left. Resume takes it back.',
  press: 'Drain',
  danger: true,
};
const resume: Order = {
  path: 'api/v1/resume',
  title: 'Resume',
  what: 'The drain is taken back: waiting jobs are started again.',
  press: 'Resume',
};
const poll: Order = { path: 'api/v1/poll', title: 'Poll now', what: 'Every forge is asked for jobs at once.', press: 'Poll now' };

export function createOrders(refresh: () => void): Orders {
  const dialog = part('order', HTMLDialogElement);
  const [title, what, answer, held] = [
    part('order-title', HTMLElement),
    part('order-what', HTMLElement),
    part('order-answer', HTMLElement),
    part('order-held', HTMLElement),
  ];
  const [asking, input] = [part('order-asking', HTMLElement), part('order-token', HTMLInputElement)];
  const [give, cancel] = [part('order-give', HTMLButtonElement), part('order-cancel', HTMLButtonElement)];
  const [drainOrResume, pollNow] = [part('drain', HTMLButtonElement), part('poll', HTMLButtonElement)];
  let token = '';
  let draining = false;
  let asked: Order = poll;
  let given = 0;

  function show(): void {
    asking.hidden = token !== '';
    held.hidden = token === '';
  }

  function ask(next: Order): void {
    asked = next;
    given += 1;
    say(title, next.title);
    say(what, next.what);
    say(answer, '');
    answer.className = '';
    say(give, next.press);
    say(cancel, 'Cancel');
    give.className = next.danger === true ? 'danger' : 'main';
    give.hidden = false;
    give.disabled = false;
    show();
    if (!dialog.open) dialog.showModal();
    (token === '' ? input : give).focus();
  }

  async function send(): Promise<void> {
    const mine = given;
    const said = input.value.trim();
    input.value = '';
    if (said !== '') token = said;
    give.disabled = true;
    const told = await order(asked.path, token).then(
      (sentence) => ({ sentence, status: 200 }),
      (error: unknown) => {
        if (error instanceof Trouble) return { sentence: error.message, status: error.status };
        throw error;
      },
    );
    if (told.status === 401) token = '';
    refresh();
    // Meanwhile it may have been closed and another one opened.
    if (mine !== given || !dialog.open) return;
    give.disabled = false;
    give.hidden = told.status === 200;
    answer.className = told.status === 200 ? 'good' : 'trouble';
    say(
      answer,
      told.status === 401
        ? `Not done, because the token was not accepted: ${told.sentence}`
        : told.status === 200
          ? told.sentence
          : `Not done: ${told.sentence}`,
    );
    show();
    if (told.status === 200) say(cancel, 'Close');
    (told.status === 200 ? cancel : token === '' ? input : give).focus();
  }

  function submit(event: Event): void {
    event.preventDefault();
    // Nothing else can stand in a header.
    if (/^[!-~]*$/.test(input.value.trim())) return void send();
    answer.className = 'trouble';
    say(answer, 'That is no token: it has spaces or letters that none has.');
  }

  part('order-form', HTMLFormElement).addEventListener('submit', submit);
  cancel.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => {
    input.value = '';
  });
  part('order-forget', HTMLButtonElement).addEventListener('click', () => {
    token = '';
    show();
    input.focus();
  });
  drainOrResume.addEventListener('click', () => ask(draining ? resume : drain));
  pollNow.addEventListener('click', () => ask(poll));
  return {
    draw(status) {
      draining = status.draining;
      say(drainOrResume, draining ? 'Resume…' : 'Drain…');
      drainOrResume.className = draining ? 'main' : 'danger';
      for (const each of [drainOrResume, pollNow]) each.disabled = false;
    },
    stop({ id, job_name: name, job_id: job }) {
      ask({
        path: `api/v1/runners/${encodeURIComponent(id)}/stop`,
        title: `Stop runner ${id}`,
        what:
          job === 0
            ? 'It goes, and a job that it may have fails.'
            : `Job ${job} (${name}) ends with it and fails; if it has not begun, it waits again.`,
        press: 'Stop it',
        danger: true,
      });
    },
  };
}
