// Promises that what many ask for at one moment is done by few runs, in which nobody's trouble is somebody else's.

import { expect, test } from 'vitest';
import type { RunResult } from '../../src/driver/exec.ts';
import { gathered } from '../../src/driver/gathering.ts';

const done: RunResult = { code: 0, stdout: '', stderr: '' };
const failed: RunResult = { code: 1, stdout: '', stderr: 'no' };

/** Runs that end when they are told to. */
function held() {
  const runs: { readonly items: readonly string[]; readonly end: (result: RunResult) => void }[] = [];
  const begun: (() => void)[] = [];
  const ask = gathered<string>(
    (items) =>
      new Promise((end) => {
        runs.push({ items, end });
        for (const wake of begun.splice(0)) wake();
      }),
  );
  const until = async (count: number): Promise<void> => {
    while (runs.length < count) await new Promise<void>((wake) => begun.push(wake));
  };
  return { runs, ask, until };
}

test('the first is served at once and alone, those that come meanwhile together and after it', async () => {
  const { runs, ask, until } = held();
  const first = ask('a');
  await until(1);
  const others = ['b', 'c', 'd'].map(ask);
  runs[0]?.end(done);
  await first;
  await until(2);
  runs[1]?.end(done);
  expect(await Promise.all(others)).toEqual([done, done, done]);
  expect(runs.map(({ items }) => items)).toEqual([['a'], ['b', 'c', 'd']]);
});

test('nobody waits for the end of a run that takes long', async () => {
  const { runs, ask, until } = held();
  void ask('endless');
  await until(1);
  const other = ask('b');
  await until(2);
  runs[1]?.end(done);
  expect(await other).toEqual(done);
});

test('a run that fails is done again for each alone: only the one that cannot be done has failed', async () => {
  const asked: string[][] = [];
  const ask = gathered<string>(async (items) => {
    asked.push([...items]);
    if (items.length > 1 && items.includes('thrown')) throw new Error('not even begun');
    return items.includes('bad') ? failed : done;
  });
  expect(await Promise.all(['a', 'b', 'bad', 'c'].map(ask))).toEqual([done, done, failed, done]);
  expect(asked).toEqual([['a', 'b', 'bad', 'c'], ['a'], ['b'], ['bad'], ['c']]);
  expect(await Promise.all(['thrown', 'd'].map(ask))).toEqual([done, done]);
});

test('a hundred at once are done in a few runs, each once', async () => {
  const sizes: number[] = [];
  const seen: string[] = [];
  const ask = gathered<string>(async (items) => {
    sizes.push(items.length);
    seen.push(...items);
    return done;
  });
  const names = Array.from({ length: 100 }, (_, index) => `m${index}`);
  await Promise.all(names.map(ask));
  expect(seen).toEqual(names);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(25);
  expect(sizes.length).toBeLessThan(10);
});
