// Promises the last hour as a picture: a lane for each slot in use, a bar for each runner with its phases in colour and texture. Each bar is a
// button: hover and focus tell all of it in words, the arrow keys go from one to the next, Enter opens what it wrote.

import { now } from './clock.ts';
import { element, mark, part, rowsIn, say, type Row } from './dom.ts';
import { hourMs, laneSpans, spansOf, type Phase, type PhaseName, type Span } from './spans.ts';
import type { Picture } from './watch.ts';
import { durationOf, shown, sizeOf, timeOf } from './words.ts';

export type Timeline = { draw(picture: Picture): void; tick(): void };

type Lane = { readonly number: number; readonly spans: readonly Span[] };

/** With more than that, lanes that nobody used within the hour are left out. */
const lanesShown = 12;

export function createTimeline(open: (runner: string) => void): Timeline {
  const [list, detail, rest] = [part('lanes', HTMLElement), part('detail', HTMLElement), part('lanes-rest', HTMLElement)];
  const lanes = new Map<string, number>();
  const bars = new Map<HTMLElement, Span>();
  let picture: Picture | undefined;
  let told: string | undefined;
  let from = 0;

  const tell = (span: Span | undefined): void => {
    told = span?.key;
    say(detail, span === undefined ? 'Point at a bar, or move to it by keyboard, to read what it stands for.' : sentenceOf(span));
  };
  const rows = rowsIn<Lane>(list, ({ number }) => String(number), laneRow, part('slots-title', HTMLElement));

  function laneRow(): Row<Lane> {
    const [name, track] = [element('span', { class: 'lane-name' }), element('div', { class: 'track' })];
    const spans = rowsIn<Span>(track, ({ key }) => key, barRow, part('slots-title', HTMLElement));
    return {
      node: element('li', { class: 'lane' }, name, track),
      update({ number, spans: held }) {
        say(name, String(number + 1));
        spans(held);
      },
    };
  }

  function barRow(first: Span): Row<Span> {
    const node = element('button', { type: 'button', class: 'bar', tabindex: '-1' });
    const label = element('span', { class: 'bar-label', 'aria-hidden': 'true' });
    const phases = element('span', { class: 'phases', 'aria-hidden': 'true' });
    node.append(phases, label);
    const draw = rowsIn<Phase>(phases, ({ name }) => name, phaseRow, list);
    const current = (): Span => bars.get(node) ?? first;
    for (const event of ['pointerenter', 'focus']) node.addEventListener(event, () => tell(current()));
    node.addEventListener('click', () => open(current().job.id));
    return {
      node,
      update(span) {
        bars.set(node, span);
        mark(node, 'data-end', span.end === undefined ? 'none' : span.end.reason === 'finished' ? 'good' : 'bad');
        mark(node, 'aria-label', shown(sentenceOf(span)));
        say(label, span.job.job_name);
        place(node, Math.max(span.from, from), span.to, from, hourMs);
        draw(span.phases);
        for (const [index, phase] of span.phases.entries()) {
          const bar = phases.children[index];
          const begin = Math.max(span.from, from);
          if (bar instanceof HTMLElement) place(bar, Math.max(phase.from, begin), Math.max(phase.to, begin), begin, span.to - begin);
        }
      },
    };
  }

  function tick(): void {
    if (picture === undefined) return;
    const { status, done, cleaningFrom, takenAt, skewMs } = picture;
    const stale = document.body.getAttribute('data-connection') === 'away';
    // Nobody knows how those that ran go on while the service is away.
    const until = (stale ? takenAt : now()) + skewMs;
    from = now() + skewMs - hourMs;
    const spans = spansOf(status.runners, done, until, cleaningFrom);
    laneSpans(spans, lanes);
    const needed = spans.reduce((most, { key }) => Math.max(most, (lanes.get(key) ?? 0) + 1), 0);
    const count = Math.max(needed, Math.min(status.capacity.max, lanesShown));
    rows(Array.from({ length: count }, (_, number) => ({ number, spans: spans.filter(({ key }) => lanes.get(key) === number) })));
    const left = status.capacity.max - count;
    say(rest, left > 0 ? `${left} more were not needed within the hour.` : '');
    for (const node of bars.keys()) if (!node.isConnected) bars.delete(node);
    const span = spans.find(({ key }) => key === told);
    tell(span);
    rove(list, bars);
  }

  list.addEventListener('keydown', (event) => {
    const next = neighbourOf(bars, document.activeElement, event.key, lanes);
    if (next === undefined) return;
    event.preventDefault();
    for (const bar of bars.keys()) bar.tabIndex = bar === next ? 0 : -1;
    next.focus();
    next.scrollIntoView({ block: 'nearest' });
  });
  return {
    tick,
    draw(next) {
      picture = next;
      tick();
    },
  };
}

/** Exactly one bar can be reached by Tab: the one that had the focus last, else the newest. */
function rove(list: HTMLElement, bars: ReadonlyMap<HTMLElement, Span>): void {
  const all = [...bars].toSorted(([, a], [, b]) => a.from - b.from);
  const [kept = all.at(-1)?.[0], ...others] = all.map(([bar]) => bar).filter((bar) => bar.tabIndex === 0);
  if (kept !== undefined) kept.tabIndex = 0;
  for (const bar of others) bar.tabIndex = -1;
  mark(list, 'data-empty', all.length === 0 ? '' : undefined);
}

function neighbourOf(
  bars: ReadonlyMap<HTMLElement, Span>,
  focused: Element | null,
  key: string,
  lanes: ReadonlyMap<string, number>,
): HTMLElement | undefined {
  const all = [...bars].toSorted(([, a], [, b]) => a.from - b.from);
  const index = all.findIndex(([bar]) => bar === focused);
  const here = all[index]?.[1];
  if (here === undefined) return undefined;
  if (key === 'ArrowLeft') return all[index - 1]?.[0];
  if (key === 'ArrowRight') return all[index + 1]?.[0];
  if (key === 'Home') return all[0]?.[0];
  if (key === 'End') return all.at(-1)?.[0];
  const step = key === 'ArrowDown' ? 1 : key === 'ArrowUp' ? -1 : 0;
  if (step === 0) return undefined;
  const lane = ({ key: of }: Span): number => lanes.get(of) ?? 0;
  const beyond = all.filter(([, span]) => (lane(span) - lane(here)) * step > 0);
  const nearest = Math.min(...beyond.map(([, span]) => Math.abs(lane(span) - lane(here))));
  return beyond
    .filter(([, span]) => Math.abs(lane(span) - lane(here)) === nearest)
    .toSorted(([, a], [, b]) => Math.abs(middle(a) - middle(here)) - Math.abs(middle(b) - middle(here)))[0]?.[0];
}

function phaseRow(first: Phase): Row<Phase> {
  return { node: element('span', { class: `phase ${first.name}` }), update: () => undefined };
}

function place(node: HTMLElement, begin: number, end: number, from: number, length: number): void {
  const share = (ms: number): string => `${length <= 0 ? 0 : Number(((ms / length) * 100).toFixed(3))}%`;
  node.style.left = share(begin - from);
  node.style.width = share(end - begin);
}

const steps: Readonly<Record<PhaseName, string>> = {
  starting: 'started for',
  pickup: 'waited for its job for',
  running: 'ran for',
  bad: 'ran for',
  cleaning: 'was cleaned up for',
};

function sentenceOf({ job, from, to, phases, end }: Span): string {
  const attempt = job.attempt > 1 ? `, attempt ${job.attempt}` : '';
  const took = phases.map((phase) => `${steps[phase.name]} ${durationOf(phase.to - phase.from)}`).join(', ');
  const memory = end?.exit?.memory_peak_bytes ?? undefined;
  const most = memory === undefined ? '' : `, ${sizeOf(memory)} of memory at most`;
  const result = end === undefined ? 'goes on' : `ended at ${timeOf(to, now())}${most}: ${end.cause ?? end.reason}`;
  const what =
    job.job_id === 0 ? 'Dispatched, no job known' : `${job.job_name} (job ${job.job_id}${attempt}), repository ${job.repository_id}`;
  const who = `${what} at ${job.forge}, profile ${job.profile}, runner ${job.id}`;
  return `${who}. From ${timeOf(from, now())}: ${took === '' ? 'no step seen yet' : took}; ${result}.`;
}

function middle({ from, to }: Span): number {
  return (from + to) / 2;
}
