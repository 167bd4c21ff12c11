// The timeline of the page as data: what a bar is made of, and that bars neither jump nor lie on each other. The words it uses, too.

import { expect, test } from 'vitest';
import { laneSpans, spansOf, type Done, type Span } from '../../src/page/browser/spans.ts';
import { ageOf, consoleLine, countOf, durationOf, shown, sizeOf } from '../../src/page/browser/words.ts';
import { endedOf, runnerOf } from '../../src/http/status.ts';
import { busy } from '../support/snapshot-fixture.ts';

const now = Date.UTC(2030, 0, 1, 12);
const iso = (at: number): string => new Date(at).toISOString();
const [ended] = busy.ended.map((each) => endedOf(each, iso));
const [live] = busy.runners.map((each) => runnerOf(each, iso));
if (ended === undefined || live === undefined) throw new Error('the fixture is empty');

const minute = 60_000;
/** In minutes before now. */
function done(id: string, from: number, to: number, over: Partial<Done> = {}): Done {
  const times = {
    scheduled_at: iso(now - from * minute),
    assigned_at: null,
    picked_at: null,
    cleaning_at: null,
    ended_at: iso(now - to * minute),
  };
  return { ...ended, ...times, id, ...over } as Done;
}
const phasesOf = (span: Span | undefined) => span?.phases.map(({ name, from, to }) => [name, (now - from) / minute, (now - to) / minute]);

test('a runner goes through its phases one behind the other, and one that was not seen takes no time', () => {
  const at = (minutes: number) => iso(now - minutes * minute);
  const [whole] = spansOf([], [done('a', 10, 1, { assigned_at: at(9), picked_at: at(8), cleaning_at: at(2) })], now);
  expect(phasesOf(whole)).toEqual([
    ['starting', 10, 9],
    ['pickup', 9, 8],
    ['running', 8, 2],
    ['cleaning', 2, 1],
  ]);
  const [unpicked] = spansOf([], [done('b', 10, 1, { assigned_at: at(9), cleaning_at: at(2), reason: 'unpicked' })], now);
  expect(phasesOf(unpicked)?.map(([name]) => name)).toEqual(['starting', 'pickup', 'cleaning']);
  // Over before anybody saw it run.
  const [quick] = spansOf([], [done('q', 10, 1, { assigned_at: at(9), cleaning_at: at(2), reason: 'finished' })], now);
  expect(phasesOf(quick)?.map(([name]) => name)).toEqual(['starting', 'running', 'cleaning']);
  const [killed] = spansOf([], [done('c', 10, 1, { assigned_at: at(9), picked_at: at(9), reason: 'machine-failed' })], now);
  expect(phasesOf(killed)?.map(([name]) => name)).toEqual(['starting', 'bad']);
  // A clock that was set back: nothing runs backwards.
  const [odd] = spansOf([], [done('d', 10, 5, { assigned_at: at(12), picked_at: at(1), cleaning_at: at(3) })], now);
  expect(phasesOf(odd)).toEqual([['pickup', 10, 5]]);
});

test('what goes on lasts until now, is not shown twice once it has ended, and what ended an hour ago is gone', () => {
  const runner = { ...live, scheduled_at: iso(now - 5 * minute), assigned_at: null, picked_at: null, phase: 'launching' };
  expect(spansOf([runner], [], now).map(({ to, end }) => [to, end])).toEqual([[now, undefined]]);
  expect(spansOf([runner], [done(runner.id, 5, 1)], now)).toHaveLength(1);
  expect(spansOf([], [done('a', 70, 59), done('b', 90, 60)], now).map(({ job }) => job.id)).toEqual(['a']);
  const cleaning = { ...runner, phase: 'finalizing' };
  const [span] = spansOf([cleaning], [], now, new Map([[`${runner.id} ${runner.scheduled_at}`, now - minute]]));
  expect(phasesOf(span)).toEqual([
    ['starting', 5, 1],
    ['cleaning', 1, 0],
  ]);
});

test('lanes are as few as fit, no two bars lie on each other, and who has a lane keeps it', () => {
  const lanes = new Map<string, number>();
  const laneOf = (jobs: readonly Done[]): Record<string, number> => {
    const spans = spansOf([], jobs, now);
    laneSpans(spans, lanes);
    return Object.fromEntries(spans.map(({ key, job }) => [job.id, lanes.get(key) ?? -1]));
  };
  const [a, b, c] = [done('a', 50, 30), done('b', 40, 20), done('c', 30, 10)];
  expect(laneOf([a, b, c])).toEqual({ a: 0, b: 1, c: 0 });
  // The oldest is gone, and nothing moves up.
  expect(laneOf([b, c, done('d', 25, 5)])).toEqual({ b: 1, c: 0, d: 2 });
  expect(lanes.size).toBe(3);
});

test('durations, sizes and counts are written as people say them', () => {
  expect([0, 4, 400, 9_960, 12_400, 185_000, 7_800_000, 100_000_000].map(durationOf)).toEqual([
    '0 s',
    '4 ms',
    '0.4 s',
    '10 s',
    '12 s',
    '3 min 5 s',
    '2 h 10 min',
    '1 d 3 h',
  ]);
  expect([-5, 900, 9_900, 61_000].map(ageOf)).toEqual(['0 s', '0 s', '9 s', '1 min 1 s']);
  expect([0, 5, 1_536, 2 ** 28].map(sizeOf)).toEqual(['0 B', '5 B', '1.5 KiB', '256 MiB']);
  expect([countOf(1, 'job'), countOf(2, 'job')]).toEqual(['1 job', '2 jobs']);
});

test("a stranger's text hides nothing, and a console's loses its colours alone", () => {
  expect(shown('a\u202eb\n\u200bc')).toBe(String.raw`a\u202eb\u000a\u200bc`);
  expect(consoleLine('\u001b[1;31mred\u001b[0m\u001b]0;title\u0007 \r50%\ttab\u0008')).toBe(String.raw`red 50%    tab\u0008`);
});
