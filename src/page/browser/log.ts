// Promises the console of one runner, as it comes, for as long as its dialog is open: text and nothing else, whatever a job wrote, and no more
// of it than a browser can hold.

import { follow, Trouble } from './api.ts';
import { after } from './clock.ts';
import { element, part, say } from './dom.ts';
import { consoleLine } from './words.ts';

export type LogView = { open(runner: string): void };

const linesKept = 5_000;
const charactersOfLine = 10_000;
const gatherMs = 50;

export function createLogView(): LogView {
  const dialog = part('log', HTMLDialogElement);
  const [title, text, state] = [part('log-title', HTMLElement), part('log-text', HTMLElement), part('log-state', HTMLElement)];
  const keepUp = part('log-follow', HTMLInputElement);
  const coming: string[] = [];
  let reading = new AbortController();

  // Lines come by the thousand; the picture is drawn once for all that came together.
  function write(line: string): void {
    const shown = consoleLine(line);
    coming.push(shown.length > charactersOfLine ? `${shown.slice(0, charactersOfLine)}… (cut)` : shown);
    if (coming.length === 1) after(gatherMs, flush);
  }

  function flush(): void {
    const nodes = coming
      .splice(0)
      .slice(-linesKept)
      .flatMap((line) => [element('span', { class: 'line' }, line), '\n']);
    text.append(...nodes);
    // A line and its end.
    for (let more = text.childNodes.length - 2 * linesKept; more > 0; more -= 1) text.firstChild?.remove();
    if (keepUp.checked) text.scrollTop = text.scrollHeight;
  }

  async function read(runner: string, signal: AbortSignal, following = true): Promise<void> {
    const path = `api/v1/runners/${encodeURIComponent(runner)}/log?follow=${following}`;
    const live = following ? 'Live: new lines come as they are written.' : '';
    const over = following ? 'That is all: the log has ended.' : 'As many follow logs as may: this is what it has written until now.';
    try {
      await follow({ path, signal, heard: (opened) => opened && say(state, live), line: (line) => !signal.aborted && write(line) });
      if (signal.aborted) return;
      flush();
      say(state, over);
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      if (signal.aborted) return;
      if (following && error.status === 503) return read(runner, signal, false);
      say(state, error.status === undefined ? `${error.message}. Open the log again to go on.` : error.message);
    }
  }

  // Whoever scrolls up wants to read there.
  text.addEventListener('scroll', () => {
    keepUp.checked = text.scrollTop + text.clientHeight >= text.scrollHeight - 20;
  });
  keepUp.addEventListener('change', () => {
    if (keepUp.checked) text.scrollTop = text.scrollHeight;
  });
  part('log-close', HTMLButtonElement).addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => reading.abort());
  return {
    open(runner) {
      reading.abort();
      reading = new AbortController();
      say(title, `Log of runner ${runner}`);
      say(state, 'Asking for it…');
      coming.length = 0;
      text.replaceChildren();
      keepUp.checked = true;
      if (!dialog.open) dialog.showModal();
      void read(runner, reading.signal);
    },
  };
}
