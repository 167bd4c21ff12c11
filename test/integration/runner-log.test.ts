// What a machine wrote, as it is asked for over the API: while it runs, as it comes, and when it has gone.

import { expect, test } from 'vitest';
import type { Console, Kept } from '../../src/archive/archive.ts';
import type { EndedView, RunnerView } from '../../src/core/snapshot.ts';
import { linesOf } from '../../src/driver/exec.ts';
import { createRunnerLogs, type RunnerLogOptions } from '../../src/http/runner-log.ts';
import { aJob, aRunner } from '../support/build.ts';
import { createTestClock } from '../support/clock.ts';
import { flushed } from '../support/reconciler-rig.ts';

const { credentials: _none, ...bare } = aRunner(aJob(1));
const runner: RunnerView = { ...bare, phase: 'busy', attempts: 0, retryAt: 0 };
const { id } = runner;
const ended: EndedView = {
  id,
  forge: 'main',
  job: runner.job,
  profile: 'default',
  createdAt: 0,
  endedAt: 9,
  reason: 'machine-failed',
  cause: 'killed: memory limit 256 MiB',
};
const mask = (text: string): string => text.replaceAll('hush-hush', '[secret]');

function scene(over: Partial<RunnerLogOptions> = {}) {
  const clock = createTestClock();
  const world: { runners: RunnerView[]; ended: EndedView[]; kept: Kept | undefined } = { runners: [runner], ended: [], kept: undefined };
  const logs = createRunnerLogs({
    snapshot: () => world,
    archive: { find: () => Promise.resolve(world.kept) },
    console: () => Promise.resolve({ lines: ['one', 'says hush-hush'], cut: false }),
    follow: async function* (_, signal) {
      yield 'one';
      yield 'says hush-hush';
      await clock.sleep(1_000_000_000, signal);
    },
    clock,
    mask,
    ...over,
  });
  return { clock, world, logs };
}

async function streamOf(logs: ReturnType<typeof createRunnerLogs>) {
  const opened = await logs.open(id, true);
  if (typeof opened === 'string' || !('stream' in opened)) throw new Error('wanted a stream');
  const reader = opened.stream.pipeThrough(new TextDecoderStream()).getReader();
  return { reader, next: async () => (await reader.read()).value };
}

test('of a machine that runs it is what the journal has, masked', async () => {
  expect(await scene().logs.open(id, false)).toEqual({ text: 'one\nsays [secret]\n' });
});

test('of one that has gone it is what the archive kept, with its cause as last line, however it is asked for', async () => {
  const { world, logs } = scene();
  world.runners = [];
  world.kept = { ended, console: { lines: ['last words'], cut: true } };
  const text = '(earlier lines are left out)\nlast words\n(the machine ended: killed: memory limit 256 MiB)\n';
  expect([await logs.open(id, false), await logs.open(id, true)]).toEqual([{ text }, { text }]);
});

test('of one that could not be archived it is what the journal still has', async () => {
  const { world, logs } = scene();
  world.runners = [];
  world.ended = [ended];
  expect(await logs.open(id, false)).toEqual({ text: 'one\nsays [secret]\n(the machine ended: killed: memory limit 256 MiB)\n' });
});

test('of one that nobody knows it is nothing', async () => {
  const { world, logs } = scene();
  world.runners = [];
  expect(await logs.open(id, false)).toBe('unknown');
});

test('a follower gets each line as it comes, a sign of life while none comes, and the cause when the machine has gone', async () => {
  const { clock, world, logs } = scene();
  const { next } = await streamOf(logs);
  expect([await next(), await next()]).toEqual(['one\n', 'says [secret]\n']);
  const quiet = next();
  for (let second = 0; second < 5; second += 1) {
    await flushed();
    clock.advance(1_000);
  }
  expect(await quiet).toBe('\r');
  world.runners = [];
  world.ended = [ended];
  const last = next();
  await flushed();
  clock.advance(1_000);
  expect(await last).toBe('(the machine ended: killed: memory limit 256 MiB)\n');
  expect(await next()).toBeUndefined();
});

test('only so many may follow, and whoever leaves makes room and ends what was started for it', async () => {
  const signals: AbortSignal[] = [];
  const { logs } = scene({
    most: 1,
    follow: async function* (_, signal) {
      signals.push(signal);
      yield 'one';
    },
  });
  const { reader, next } = await streamOf(logs);
  expect(await next()).toBe('one\n');
  expect(await logs.open(id, true)).toBe('too-many');
  await reader.cancel();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
  expect(await logs.open(id, true)).toMatchObject({ stream: expect.anything() });
});

test('only so many may read at once, also of machines that have gone, and a read that fails makes room', async () => {
  const pending: PromiseWithResolvers<Console>[] = [];
  const { world, logs } = scene({
    most: 2,
    console: () => {
      const read = Promise.withResolvers<Console>();
      pending.push(read);
      return read.promise;
    },
  });
  world.ended = [{ ...ended, id: 'j0000009abc' }];
  const [first, second] = [logs.open(id, false), logs.open('j0000009abc', true)];
  await flushed();
  expect([await logs.open(id, false), pending.length]).toEqual(['too-many', 2]);
  pending[0]?.resolve({ lines: ['one'], cut: false });
  pending[1]?.reject(new Error('no journal'));
  expect(await first).toEqual({ text: 'one\n' });
  await expect(second).rejects.toThrow('no journal');
  const third = logs.open(id, false);
  await flushed();
  pending[2]?.resolve({ lines: ['two'], cut: false });
  expect(await third).toEqual({ text: 'two\n' });
});

test('one whose stream fails makes room, too', async () => {
  const { logs } = scene({
    most: 1,
    // oxlint-disable-next-line require-yield -- it fails before it has said anything
    follow: async function* () {
      throw new Error('no journal');
    },
  });
  const { next } = await streamOf(logs);
  await expect(next()).rejects.toThrow('no journal');
  expect(await logs.open(id, true)).toMatchObject({ stream: expect.anything() });
});

test('a program is followed line by line, and ended with its reader', async () => {
  const stop = new AbortController();
  const lines: string[] = [];
  for await (const line of linesOf('sh', ['-c', 'echo $$; echo two; exec sleep 600'], stop.signal)) {
    lines.push(line);
    if (line === 'two') stop.abort();
  }
  expect(lines).toHaveLength(2);
  expect(() => process.kill(Number(lines[0]), 0)).toThrow('ESRCH');
});
