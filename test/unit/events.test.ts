// One stream of facts: what the log says is what followers hear, redacted and numbered, and whoever was away can go on.

import { expect, test } from 'vitest';
import { createEvents, type Fact } from '../../src/events.ts';
import { createLog, createRedactor } from '../../src/log.ts';

test('a follower hears each fact once, in order, with a number that grows, until it stops', () => {
  const events = createEvents(() => 5_000);
  const heard: Fact[] = [];
  const stop = events.follow((fact) => void heard.push(fact));
  events.publish({ level: 'info', event: 'launch', facts: { runner: 'j1' } });
  events.publish({ level: 'warn', event: 'retry', facts: {}, message: 'again' });
  stop();
  events.publish({ level: 'info', event: 'finalize', facts: {} });
  expect(heard).toEqual([
    { id: 1, at: 5_000, level: 'info', event: 'launch', facts: { runner: 'j1' } },
    { id: 2, at: 5_000, level: 'warn', event: 'retry', facts: {}, message: 'again' },
  ]);
  expect(events.last()).toBe(3);
});

test('the last thousand are kept, and given from any number on', () => {
  const events = createEvents(() => 0);
  for (let n = 0; n < 1_500; n += 1) events.publish({ level: 'info', event: 'launch', facts: { n } });
  expect(events.after(1_498).map(({ id }) => id)).toEqual([1_499, 1_500]);
  expect(events.after(0)).toHaveLength(1_000);
  expect(events.after(0)[0]?.id).toBe(501);
});

test('I7 the log taps what it says, redacted, from level info on, also what its level leaves out', () => {
  const redactor = createRedactor();
  const said: unknown[] = [];
  const lines: string[] = [];
  const log = createLog({
    level: 'error',
    redactor,
    destination: { write: (line) => void lines.push(line) },
    tap: (fact) => void said.push(fact),
  });
  log.conceal('hush-hush-1234');
  log.debug('poll', {}, 'nobody hears this');
  log.info('launch', { runner: 'j1', note: 'hush-hush-1234' }, 'with hush-hush-1234');
  expect(said).toEqual([{ level: 'info', event: 'launch', facts: { runner: 'j1', note: '[secret]' }, message: 'with [secret]' }]);
  expect(lines).toEqual([]);
});
