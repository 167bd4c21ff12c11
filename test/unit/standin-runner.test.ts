// Promises the pure parts of the stand-in runner: the default schedule of the final report, Go's durations, labels, logfmt, the quick config
// reader, expressions, the HTTP reader and the binary messages.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import * as schema from '../support/gen/runner/v1/messages_pb.ts';
import { parseArguments } from '../support/runner/cli.ts';
import { parseDurationMs } from '../support/runner/duration.ts';
import { parseEnvFile } from '../support/runner/env-file.ts';
import { condition, evaluate, interpolate } from '../support/runner/expression.ts';
import { parseReply } from '../support/runner/http1.ts';
import { parseLabel } from '../support/runner/labels.ts';
import { logLine } from '../support/runner/log-line.ts';
import { parsePlainMapping } from '../support/runner/plain-mapping.ts';
import { randomUuid } from '../support/runner/random.ts';
import { createMask } from '../support/runner/reporter.ts';
import { defaultRetryPolicy, retry, retryDelaysMs } from '../support/runner/retry.ts';
import { readFetchResponse, Result, writeUpdateLogRequest, writeUpdateTaskRequest } from '../support/runner/wire.ts';

const fine = { failed: false, cancelled: false };

test('the default final report is tried ten times and gives up after 51.5 seconds, with jitter in the middle', async () => {
  expect(retryDelaysMs(defaultRetryPolicy)).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600]);
  let waitedMs = 0;
  let tries = 0;
  const attempt = (): Promise<void> => Promise.reject(new Error(`no ${(tries += 1)}`));
  const wait = (ms: number): Promise<void> => Promise.resolve(void (waitedMs += ms));
  const failure = await retry(defaultRetryPolicy, attempt, wait, () => 0.5);
  expect(tries).toBe(10);
  expect(waitedMs).toBe(51_550);
  expect(failure).toMatch(/^All attempts fail:\n#1: no 1\n/);
});

test('two tries of the final report wait 0.15 seconds, and a cap bounds every wait', async () => {
  expect(retryDelaysMs({ maxRetries: 2, initialDelayMs: 100, maxDelayMs: 0 })).toEqual([100]);
  expect(retryDelaysMs({ maxRetries: 5, initialDelayMs: 100, maxDelayMs: 300 })).toEqual([100, 200, 300, 300]);
});

test('durations are read as Go writes them', () => {
  expect(['2s', '100ms', '1h30m', '1.5s', '0'].map(parseDurationMs)).toEqual([2000, 100, 5_400_000, 1500, 0]);
  expect(['', '2', '2 s', 's', '-1s'].map(parseDurationMs)).toEqual([undefined, undefined, undefined, undefined, undefined]);
});

test('a label is name, schema and argument; a plain name means docker', () => {
  expect(parseLabel('debian:host')).toEqual({ name: 'debian', schema: 'host' });
  expect(parseLabel('debian')).toEqual({ name: 'debian', schema: 'docker' });
  expect(parseLabel('d:docker://node:22')).toEqual({ name: 'd', schema: 'docker' });
  expect(() => parseLabel('a:host:x')).toThrow('schema: host does not have arguments');
  expect(() => parseLabel('a:kubernetes://x')).toThrow('unsupported schema: kubernetes');
});

test('flags may come as --a b and --a=b, --label repeats and is not split at commas', () => {
  const words = ['-c', 'cfg.yml', 'one-job', '--url=http://f', '--label', 'a:host', '--label', 'b,c', '-w', '--fetch-interval', '5s'];
  expect(parseArguments(words)).toMatchObject({
    config: 'cfg.yml',
    url: 'http://f',
    labels: ['a:host', 'b,c'],
    wait: true,
    fetchIntervalMs: 5000,
  });
  expect(() => parseArguments(['daemon', '--handle', 'x'])).toThrow('unknown flag: --handle');
  expect(() => parseArguments(['one-job', '--url'])).toThrow('flag needs an argument: --url');
});

test('a log line quotes what is not a plain word', () => {
  const at = new Date('2026-11-21T10:13:52.789Z');
  expect(logLine(at, 'info', 'Starting job')).toBe('time="2026-11-21T10:13:52Z" level=info msg="Starting job"');
  expect(logLine(at, 'error', 'gone', 'a "b"')).toBe('time="2026-11-21T10:13:52Z" level=error msg=gone error="a \\"b\\""');
});

test('the quick config reader says what the YAML library says, or nothing', () => {
  const plain =
    'log:\n  level: info\n# why\ncache:\n  enabled: false\n\nrunner:\n  fetch_interval: 5s\n  report_retry:\n    max_retries: 2\n  timeout: 3h\n';
  expect(parsePlainMapping(plain)).toEqual(parse(plain));
  const others = ['a: [1]', 'a: {b: 1}', '- a', 'a: "b"', 'a: b # c', 'a:\n    b: 1\n  c: 2', 'a: ~', 'a: null', 'a: |\n  x', 'a: 0x1'];
  expect(others.filter((text) => parsePlainMapping(text) !== undefined)).toEqual([]);
});

describe('expressions', () => {
  const names = { secrets: { A: 'x' }, github: { ref: 'main', n: 3 }, env: {} };
  test.each([
    ["secrets.A == 'x'", true],
    ["github['ref'] != 'main' || !false", true],
    ["(github.ref == 'MAIN') && 'yes' || 'no'", 'yes'],
    ['github.n == 3', true],
    ['env.missing', undefined],
    ["'it''s'", "it's"],
  ])('the expression %s has its value', (source, value) => {
    expect(evaluate(source, names, fine)).toEqual(value);
  });
  test('an unknown function or a broken text is an error, never a guess', () => {
    for (const source of ["hashFiles('x')", 'a +', '(a', "'open"])
      expect(() => evaluate(source, names, fine)).toThrow('the stand-in cannot');
  });
  test('success() is implied by an if without a status function', () => {
    const failed = { failed: true, cancelled: false };
    expect([
      condition(undefined, names, failed),
      condition('always()', names, failed),
      condition('${{ failure() }}', names, failed),
    ]).toEqual([false, true, true]);
    expect([condition(undefined, names, fine), condition(false, names, fine), condition('failure()', names, fine)]).toEqual([
      true,
      false,
      false,
    ]);
  });
  test('a missing value is the empty text', () => {
    expect(interpolate('a${{ secrets.A }}b${{ secrets.B }}c', names, fine)).toBe('axbc');
  });
});

test('a reply is complete by its length, its last chunk or its end, and not before', () => {
  const sized = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc');
  expect(parseReply(sized, false)?.reply.body.toString()).toBe('abc');
  expect(parseReply(sized.subarray(0, -1), false)).toBeUndefined();
  const chunked = Buffer.from('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n');
  expect(parseReply(chunked, false)?.reply.body.toString()).toBe('abcde');
  const early = Array.from({ length: chunked.length }, (_, cut) => cut).filter(
    (cut) => parseReply(chunked.subarray(0, cut), false) !== undefined,
  );
  expect(early).toEqual([]);
  const open = Buffer.from('HTTP/1.1 502 Bad Gateway\r\n\r\nx');
  expect(parseReply(open, false)).toBeUndefined();
  expect(parseReply(open, true)).toMatchObject({ reply: { status: 502, statusText: 'Bad Gateway' }, keep: false });
});

test('the hand-written codec and the generated one agree on a task with all its fields', () => {
  const task = {
    id: 7n,
    workflowPayload: Buffer.from('jobs: ü'),
    context: { text: 'a', flag: true, number: 1.5, nothing: null, list: [1, 'b'], inner: { deep: 'c' } },
    secrets: { A: 'x' },
    needs: { first: { outputs: { o: 'v' }, result: schema.Result.FAILURE } },
    vars: { V: 'w' },
  };
  const single = toBinary(schema.FetchSingleTaskResponseSchema, create(schema.FetchSingleTaskResponseSchema, { task, tasksVersion: 9n }));
  const expected = {
    tasksVersion: 9,
    task: { ...task, id: 7, payload: 'jobs: ü', workflowPayload: undefined, needs: { first: { outputs: { o: 'v' }, result: 2 } } },
  };
  expect(readFetchResponse(single, true)).toEqual(expected);
  const many = toBinary(schema.FetchTaskResponseSchema, create(schema.FetchTaskResponseSchema, { task, tasksVersion: 9n }));
  expect(readFetchResponse(many, false)).toEqual(expected);
});

test('the hand-written codec and the generated one agree on state and log', () => {
  const step = { id: 1, result: Result.skipped, startedAtMs: 1500, stoppedAtMs: 2000, logIndex: 3, logLength: 4 };
  const bytes = writeUpdateTaskRequest({ id: 5, result: Result.failure, startedAtMs: 1000, stoppedAtMs: 2001, steps: [step] }, { k: 'v' });
  const state = fromBinary(schema.UpdateTaskRequestSchema, bytes);
  expect(state).toMatchObject({
    outputs: { k: 'v' },
    state: { id: 5n, result: schema.Result.FAILURE, stoppedAt: { seconds: 2n, nanos: 1_000_000 } },
  });
  expect(state.state?.steps).toMatchObject([
    { id: 1n, result: schema.Result.SKIPPED, startedAt: { nanos: 500_000_000 }, logIndex: 3n, logLength: 4n },
  ]);
  const log = fromBinary(schema.UpdateLogRequestSchema, writeUpdateLogRequest(5, 2, [{ timeMs: 0, content: 'ü' }], true));
  expect(log).toMatchObject({ taskId: 5n, index: 2n, rows: [{ content: 'ü' }], noMore: true });
});

test('a mask hides the longest secret first, and every line of one', () => {
  const mask = createMask(['ab', 'abc', 'x1\ny2', '']);
  expect(mask.apply('abc ab y2')).toBe('*** *** ***');
});

test('environment files hold lines and blocks', () => {
  expect(parseEnvFile('a=1\nb<<E\nx\ny=z\nE\nc=d=e\n')).toEqual({ a: '1', b: 'x\ny=z', c: 'd=e' });
});

test('a request key is a version 4 UUID and never the same', () => {
  const keys = Array.from({ length: 100 }, randomUuid);
  expect(keys.filter((key) => !/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(key))).toEqual([]);
  expect(new Set(keys).size).toBe(100);
});
