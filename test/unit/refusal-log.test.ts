// Promises that refusals are told a few times a minute for each address and counted beyond that, and that ever new addresses take neither
// ever more memory nor ever more lines.

import { expect, test } from 'vitest';
import { createRefusalLog } from '../../src/http/refusal-log.ts';
import { createMemoryLog } from '../support/reconciler-rig.ts';

function aLog() {
  const log = createMemoryLog();
  const clock = { at: 1_000_000, now: () => clock.at };
  const refusals = createRefusalLog(clock, log);
  let told = 0;
  const refuse = (address: string, times = 1): number => {
    const before = told;
    for (let time = 0; time < times; time += 1) refusals.tell(address, () => void (told += 1));
    return told - before;
  };
  return { clock, refusals, refuse, said: () => log.lines.map(({ facts, message }) => [facts['by'], facts['leftOut'], message]) };
}

test('of one address five a minute are told, and the next minute how many were left out', () => {
  const { clock, refusals, refuse, said } = aLog();
  expect(refuse('10.0.0.1', 1_000)).toBe(5);
  expect([refuse('10.0.0.2'), said()]).toEqual([1, []]);
  clock.at += 59_999;
  expect(refuse('10.0.0.1')).toBe(0);
  clock.at += 1;
  refusals.settle();
  expect(said()).toEqual([['10.0.0.1', 996, '996 more were refused than were told']]);
  expect(refuse('10.0.0.1', 3)).toBe(3);
  refusals.settle();
  expect(said()).toHaveLength(1);
});

test('what was left out is said also when nobody is refused any more: at the next request that comes', () => {
  const { clock, refusals, refuse, said } = aLog();
  refuse('10.0.0.1', 6);
  clock.at += 3_600_000;
  refusals.settle();
  refusals.settle();
  expect(said()).toEqual([['10.0.0.1', 1, '1 more were refused than were told']]);
});

test('a hundred thousand addresses are told a few hundred times, and none but the first has a place of its own', () => {
  const { clock, refusals, refuse, said } = aLog();
  const lines = Array.from({ length: 100_000 }, (_, index) => refuse(`2001:db8::${index.toString(16)}`)).reduce((sum, one) => sum + one, 0);
  expect(lines).toBe(64 + 5);
  clock.at += 60_000;
  refusals.settle();
  expect(said()).toEqual([['others', 100_000 - 69, '99931 more were refused than were told']]);
});
