// Promises the traces of jobs, from the facts of a real loop to a real collector on a socket: one tree for each runner, true times, failures
// called so, no secret; and that a collector that is away costs jobs nothing and the log one line.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createEvents } from '../../src/events.ts';
import { createLog } from '../../src/log.ts';
import { createTraces, type Traces } from '../../src/traces/traces.ts';
import type { FakeMachine } from '../contract/fake-driver.ts';
import { aPolicy } from '../support/build.ts';
import { startCollector, type Collector, type Span } from '../support/collector.ts';
import { createRig, flushed, type Rig } from '../support/reconciler-rig.ts';

type Scene = { readonly rig: Rig; readonly collector: Collector; readonly traces: Traces; readonly lines: readonly string[] };

/** The loop on a clock of the test's own, followed by traces whose spans go to a collector. */
async function aScene(
  over: Parameters<typeof createRig>[0] = {},
  wanted: { readonly endpoint?: string; readonly headersFile?: string } = {},
) {
  const collector = await startCollector();
  onTestFinished(() => collector.close());
  const lines: string[] = [];
  const clocks: { of?: Rig } = {};
  const events = createEvents(() => clocks.of?.clock.source.wall() ?? 0);
  const log = createLog({ level: 'debug', destination: { write: (line) => void lines.push(line) }, tap: (said) => events.publish(said) });
  const rig = createRig(over, {}, { log });
  clocks.of = rig;
  const options = { endpoint: collector.endpoint, ...wanted };
  const traces = createTraces({ ...options, controllerId: 'ci-1', version: '1.2.3', log, now: rig.clock.source.monotonic, gatherMs: 10 });
  events.follow((fact) => traces.take(fact));
  return { rig, collector, traces, lines };
}

function only(rig: Rig): FakeMachine {
  const [machine, ...others] = rig.driver.machines.values();
  if (machine === undefined || others.length > 0) throw new Error(`wanted one machine, there are ${rig.driver.machines.size}`);
  return machine;
}

/** One verb of the driver takes that long. */
async function slowly(rig: Rig, verb: 'start' | 'assign' | 'remove', ms: number, during: () => Promise<void>): Promise<void> {
  const release = rig.driver.hold(verb);
  const began = rig.driver.calls.filter((call) => call.verb === verb).length;
  const done = during();
  while (rig.driver.calls.filter((call) => call.verb === verb).length === began) await flushed();
  rig.clock.advance(ms);
  release();
  await done;
}

/** From a machine that has its job to its end, `ms` later, by the exit. */
async function run({ rig }: Pick<Scene, 'rig'>, handle: string, ms: number, exit: Parameters<Rig['driver']['end']>[1] = {}): Promise<void> {
  rig.forge.pick(only(rig).assignment?.uuid ?? '', handle);
  await rig.step(500);
  rig.clock.advance(ms);
  if (exit.result === undefined) rig.forge.end(handle);
  rig.driver.end(only(rig).spec.id, exit);
  await rig.step(0);
}

function rootOf(spans: readonly Span[], index = 0): Span {
  const found = spans.filter(({ parent }) => parent === '').toSorted((a, b) => a.from - b.from)[index];
  if (found === undefined) throw new Error(`no root ${index} among ${spans.map(({ name }) => name).join(', ')}`);
  return found;
}

/** The children in order: name, when it began and ended after the root began, and its failure if it is one. */
function partsOf(spans: readonly Span[], root: Span): readonly (readonly unknown[])[] {
  return spans
    .filter(({ parent, trace }) => parent === root.id && trace === root.trace)
    .toSorted((a, b) => a.from - b.from || a.to - b.to)
    .map(({ name, from, to, status }) => [name, from - root.from, to - root.from, ...(status.code === 2 ? [status.message] : [])]);
}

describe('the trace of a job', () => {
  test('one tree from when it was first seen to when it was gone: every phase with its time, its facts, and nothing secret', async () => {
    const { rig, collector, traces } = await aScene({ maxConcurrent: 0 });
    const begun = rig.clock.now();
    const job = rig.forge.queue(7, { repositoryId: 9, name: 'build' });
    await rig.step(1_000); // seen, and denied: there is no place
    rig.clock.advance(5_000);
    rig.reconciler.configure({
      forges: [{ forge: rig.forge, url: 'http://forge.test', pollIntervalMs: 1_000 }],
      policy: aPolicy({ maxConcurrent: 1 }),
    });
    await slowly(rig, 'start', 40, () => slowly(rig, 'assign', 7, () => rig.step(1_000)));
    await run({ rig }, job.handle, 60_000);
    await traces.close();
    const root = rootOf(collector.spans);
    expect(partsOf(collector.spans, root)).toEqual([
      ['wait', 0, 6_000],
      ['record', 6_000, 6_000],
      ['start', 6_000, 6_040],
      ['register', 6_040, 6_040],
      ['assign', 6_040, 6_047],
      ['pick', 6_047, 6_547],
      ['run', 6_547, 66_547],
      ['clean-up', 66_547, 66_547],
    ]);
    expect([root.name, root.from, root.to, root.status.code]).toEqual(['job', begun + 1_000, begun + 67_547, 0]);
    expect(new Set(collector.spans.map(({ trace }) => trace))).toEqual(new Set([root.trace]));
    expect(root.attributes).toEqual({
      'cicd.pipeline.task.name': 'build',
      'cicd.pipeline.task.run.id': '7',
      'cicd.worker.name': expect.stringMatching(/^j0000007/),
      'forgejo.forge': 'main',
      'forgejo.job.id': 7,
      'forgejo.job.handle': job.handle,
      'forgejo.repository.id': 9,
      'runner.profile': 'default',
      'runner.slot': 0,
      'runner.end.reason': 'finished',
    });
    expect(root.resource).toMatchObject({
      'service.name': 'forgejo-runner-controller',
      'service.version': '1.2.3',
      'service.instance.id': 'ci-1',
    });
    expect(collector.requests.map(({ body }) => body).join('\n')).not.toContain('secret-token');
  });

  test('a wall clock that is set bends no span', async () => {
    const { rig, collector, traces } = await aScene();
    const job = rig.forge.queue(1);
    await rig.step();
    rig.clock.setWall(-3_600_000);
    await run({ rig }, job.handle, 60_000);
    await traces.close();
    const root = rootOf(collector.spans);
    expect(root.to - root.from).toBe(60_500);
    expect(partsOf(collector.spans, root)).toContainEqual(['run', 500, 60_500]);
  });

  test('a machine that dies under its job is a failure, with what it used and how it was reported', async () => {
    const { rig, collector, traces } = await aScene();
    const job = rig.forge.queue(1);
    await rig.step();
    await run({ rig }, job.handle, 1_000, {
      result: 'oom-kill',
      code: 'killed',
      status: 'KILL',
      memoryPeakBytes: 512,
      oomKills: 2,
      cpuMs: 40,
    });
    await traces.close();
    const root = rootOf(collector.spans);
    expect(root.status).toEqual({ code: 2, message: 'its machine died' });
    expect(partsOf(collector.spans, root).filter(([, , , failure]) => failure !== undefined)).toEqual([
      ['run', 500, 1_500, 'its machine died'],
    ]);
    expect(root.attributes).toMatchObject({
      'runner.end.reason': 'machine-failed',
      'runner.memory_peak_bytes': 512,
      'runner.oom_kills': 2,
      'runner.cpu_ms': 40,
    });
    expect(root.events.map(({ name, attributes }) => [name, attributes])).toEqual([['report', { 'runner.reason': 'machine-failed' }]]);
  });

  test('a start that fails is a failed span with its error, and one that never succeeds fails the whole', async () => {
    const { rig, collector, traces } = await aScene();
    rig.forge.queue(1);
    rig.driver.fail('start');
    await rig.step();
    await rig.step(61_000); // beyond the start clock
    await rig.step(1_000);
    await traces.close();
    const root = rootOf(collector.spans);
    expect(root.status).toEqual({ code: 2, message: 'its machine could not be made' });
    expect(root.attributes['runner.end.reason']).toBe('start-failed');
    const [, , , failure] = partsOf(collector.spans, root).find(([name]) => name === 'start') ?? [];
    expect(failure).toBe('The fake driver was told to fail start.');
    expect(root.events[0]).toMatchObject({
      name: 'exception',
      attributes: {
        'exception.type': 'DRIVER_FAILED',
        'runner.action': 'launch',
        'exception.message': 'The fake driver was told to fail start.',
      },
    });
  });

  test('a job that its first machine did not get has a tree for each machine, the second one linked to the first', async () => {
    const { rig, collector, traces } = await aScene();
    const job = rig.forge.queue(1);
    await rig.step();
    await rig.step(31_000); // the un-picked clock is over: stop
    await rig.step(1_000); // gone
    await rig.step(31_000); // rested; a second machine
    await run({ rig }, job.handle, 2_000);
    await traces.close();
    const [first, second] = [rootOf(collector.spans, 0), rootOf(collector.spans, 1)];
    expect(first.status).toEqual({ code: 2, message: 'Forgejo did not hand it the job in time' });
    expect(partsOf(collector.spans, first).map(([name]) => name)).toEqual([
      'wait',
      'record',
      'start',
      'register',
      'assign',
      'pick',
      'clean-up',
    ]);
    expect(first.events.map(({ name }) => name)).toEqual(['stop']);
    expect([first.links, second.links]).toEqual([[], [first.trace]]);
    expect([second.status.code, second.from]).toEqual([0, first.to]);
  });

  test('of a job that an earlier process began, the end is told, and that the beginning is not known', async () => {
    const { rig, collector, traces } = await aScene();
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.pick(only(rig).assignment?.uuid ?? '', job.handle);
    await rig.step();
    const late = await aScene({}, { endpoint: collector.endpoint });
    const facts = late.traces;
    const end = {
      runner: 'j0000001abc',
      forge: 'main',
      job: 1,
      handle: job.handle,
      reason: 'finished',
      tookMs: 9_000,
      cleanMs: 1_000,
      ranMs: 5_000,
    };
    facts.take({ id: 1, at: 2_000_000, level: 'info', event: 'finalize', facts: end });
    await Promise.all([facts.close(), traces.close()]);
    const root = rootOf(collector.spans);
    expect([root.from, root.to, root.attributes['runner.resumed']]).toEqual([1_991_000, 2_000_000, true]);
    expect(partsOf(collector.spans, root)).toEqual([
      ['wait', 0, 0],
      ['run', 3_000, 8_000],
      ['clean-up', 8_000, 9_000],
    ]);
  });
});

/** A port that nobody listens on. */
async function deadEndpoint(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  await new Promise((resolve) => server.close(resolve));
  return `http://127.0.0.1:${port}`;
}

const toldOf = (lines: readonly string[]): readonly { readonly level: string; readonly msg: string; readonly reason?: string }[] =>
  lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'telemetry');

async function oneJob(rig: Rig, id: number): Promise<void> {
  const job = rig.forge.queue(id);
  await rig.step();
  await run({ rig }, job.handle, 1_000);
}

describe('the way to the collector', () => {
  test('what refuses costs one line for the whole outage, and one when it is over', async () => {
    const { rig, collector, traces, lines } = await aScene();
    collector.answer(401);
    await oneJob(rig, 1);
    await expect.poll(() => collector.requests.length, { timeout: 20_000 }).toBe(1);
    await oneJob(rig, 2);
    await expect.poll(() => collector.requests.length, { timeout: 20_000 }).toBe(2);
    await expect.poll(() => toldOf(lines), { timeout: 20_000 }).toMatchObject([{ level: 'warn', reason: '401 Unauthorized' }]);
    collector.answer(200);
    for (const id of [3, 4]) {
      const before = collector.spans.length;
      await oneJob(rig, id);
      await collector.until((spans) => spans.length > before);
    }
    await traces.close();
    expect(toldOf(lines)).toMatchObject([{ level: 'warn' }, { level: 'info', msg: 'spans can be sent again', lost: 18 }]);
    expect(toldOf(lines)).toHaveLength(2);
  });

  test('nobody there: jobs go on, one line is written, and closing comes to an end', async () => {
    const { rig, traces, lines } = await aScene({}, { endpoint: await deadEndpoint() });
    await oneJob(rig, 1);
    await oneJob(rig, 2);
    await traces.close();
    expect(rig.driver.machines.size).toBe(0);
    expect(toldOf(lines)).toMatchObject([{ level: 'warn', msg: 'spans cannot be sent, and are dropped; jobs are not touched by it' }]);
  }, 30_000);

  test('I7 headers come from their file, anew for each sending, and stand in no line', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'frc-traces-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const headersFile = join(folder, 'headers');
    await writeFile(headersFile, '# ours\nAuthorization: Bearer first-secret-word\nX-Scope: ci\n');
    const { rig, collector, traces, lines } = await aScene({}, { headersFile });
    await oneJob(rig, 1);
    await collector.until((spans) => spans.length > 0);
    expect(collector.requests[0]?.headers).toMatchObject({ authorization: 'Bearer first-secret-word', 'x-scope': 'ci' });
    await writeFile(headersFile, 'Authorization: Bearer second-secret-word\n');
    const before = collector.spans.length;
    await oneJob(rig, 2);
    await collector.until((spans) => spans.length > before);
    expect(collector.requests.at(-1)?.headers.authorization).toBe('Bearer second-secret-word');
    collector.answer(403, 'no second-secret-word here');
    await oneJob(rig, 4);
    await expect.poll(() => toldOf(lines), { timeout: 20_000 }).toMatchObject([{ reason: '403 no [secret] here' }]);
    collector.answer(200);
    await oneJob(rig, 5);
    await expect.poll(() => toldOf(lines), { timeout: 20_000 }).toHaveLength(2);
    await writeFile(headersFile, 'second-secret-word without a name\n');
    await oneJob(rig, 3);
    await expect.poll(() => toldOf(lines), { timeout: 20_000 }).toMatchObject([{}, {}, { reason: expect.stringContaining('line 1 of') }]);
    await traces.close();
    expect(lines.join('\n')).not.toMatch(/(?:first|second)-secret-word/);
  });
});
