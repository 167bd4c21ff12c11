// Promises POST /api/v1/dispatch over real sockets, with the real loop behind it: who may, what may stand in the body, what the answer says, and
// what is in the journal. The command line asks the same.

import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dispatchedSchema } from '../../src/http/wire-v1.ts';
import { problemSchema } from '../../src/http/wire.ts';
import { aProfile } from '../support/build.ts';
import { answering, type Answering } from '../support/cli-service.ts';
import { runs } from '../support/cli-run.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const profiles = [
  aProfile(),
  aProfile({ name: 'short', labels: ['short'], timeouts: { startMs: 60_000, pickMs: 30_000, jobMs: 60_000, stopMs: 10_000 } }),
  aProfile({ name: 'guarded', labels: ['guarded'], refusesForks: true }),
];
let rig: Rig;
let service: Answering;
beforeEach(async () => {
  rig = createRig({ dispatch: { labels: ['debian', 'short', 'guarded'] }, maxConcurrent: 3, profiles });
  service = await serving(rig);
});
afterEach(() => service.close());

function serving({ reconciler, clock, log }: Rig): Promise<Answering> {
  const snapshot = (): ReturnType<typeof reconciler.snapshot> => reconciler.snapshot();
  return answering(snapshot, { dispatch: (wish, by) => reconciler.dispatch(wish, by) }, { clock, log });
}

const authorization = `Bearer ${'t'.repeat(40)}`;
const json = { 'content-type': 'application/json', authorization };

/** The loop goes on until the question is answered. */
async function turning<T>(question: Promise<T>): Promise<T> {
  const answered = question.then((answer) => ({ answer }));
  for (;;) {
    // Ticks never overlap.
    const step = rig.step(0);
    const either = await Promise.race([answered, step]);
    await step;
    if (either !== undefined) return either.answer;
  }
}

const post = (body: string, headers: Readonly<Record<string, string>> = json): Promise<Response> =>
  turning(fetch(`${service.url}/api/v1/dispatch`, { method: 'POST', headers, body }));
const ask = (body: unknown): Promise<Response> => post(JSON.stringify(body));
async function problemOf(response: Response): Promise<readonly unknown[]> {
  const { code, parameter } = problemSchema.parse(await response.json());
  return [response.status, code, parameter];
}

describe('a dispatch', () => {
  test('is answered with who was accepted, until when, and who not and why; what was accepted is on the disk and in the journal', async () => {
    const response = await ask({ labels: ['debian'], count: 5, ttl: '20m', forge: 'main' });
    expect(response.status).toBe(200);
    const answer = dispatchedSchema.parse(await response.json());
    expect(answer).toMatchObject({
      forge: 'main',
      labels: ['debian'],
      requested: 5,
      accepted: 3,
      refused: 2,
      reason: 'capacity',
      ttl_clamped: false,
    });
    expect(answer.sentence).toMatch(/^3 of 5 accepted: all 3 places are taken/);
    expect(answer.runners.map(({ id }) => id)).toEqual([...rig.store.records.keys()]);
    for (const { profile, ttl_seconds: seconds } of answer.runners) expect([profile, seconds]).toEqual(['default', 1_200]);
    const [line, ...others] = rig.log.lines.filter(({ event }) => event === 'order');
    expect(line?.facts).toMatchObject({
      by: 'operator (http 127.0.0.1)',
      order: 'dispatch',
      wanted: 5,
      accepted: 3,
      reason: 'capacity',
      ttlMs: 1_200_000,
    });
    expect(others).toEqual([]);
  });

  test('needs labels alone: one runner, of the only forge, for as long as its profile allows', async () => {
    const answer = dispatchedSchema.parse(await (await ask({ labels: ['short:host'] })).json());
    expect(answer).toMatchObject({ forge: 'main', labels: ['short'], requested: 1, accepted: 1, ttl_clamped: false });
    expect(answer.runners).toMatchObject([{ profile: 'short', ttl_seconds: 60 }]);
  });

  test('that asks for more time than the profile allows gets as much as that, and is told', async () => {
    const answer = dispatchedSchema.parse(await (await ask({ labels: ['short'], ttl: '1h30m' })).json());
    expect(answer).toMatchObject({ accepted: 1, ttl_clamped: true, runners: [{ ttl_seconds: 60 }] });
    expect(answer.sentence).toContain('profile short allows no more than 60 s');
  });

  test('is refused in whole while draining, with the reason', async () => {
    rig.reconciler.drain(true, 'test');
    expect(await (await ask({ labels: ['debian'] })).json()).toMatchObject({ accepted: 0, refused: 1, reason: 'draining', runners: [] });
  });

  test('where nothing may be dispatched is 403, and says what to write', async () => {
    await service.close();
    rig = createRig();
    service = await serving(rig);
    const response = await ask({ labels: ['debian'] });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ code: 'DISPATCH_OFF', detail: expect.stringContaining('dispatch.labels') });
  });
});

describe('what is refused before anything is done', () => {
  test.each([
    [{}, 'labels'],
    [{ labels: [] }, 'labels'],
    [{ labels: 'debian' }, 'labels'],
    [{ labels: [''] }, 'labels'],
    [{ labels: [7] }, 'labels'],
    [{ labels: ['a'.repeat(2_100)] }, 'labels'],
    [{ labels: ['arm'] }, 'labels'],
    [{ labels: ['debian', 'short'] }, 'labels'],
    [{ labels: ['guarded'] }, 'labels'],
    [{ labels: ['debian'], count: 0 }, 'count'],
    [{ labels: ['debian'], count: 101 }, 'count'],
    [{ labels: ['debian'], count: 1.5 }, 'count'],
    [{ labels: ['debian'], count: '2' }, 'count'],
    [{ labels: ['debian'], ttl: '' }, 'ttl'],
    [{ labels: ['debian'], ttl: '9s' }, 'ttl'],
    [{ labels: ['debian'], ttl: '169h' }, 'ttl'],
    [{ labels: ['debian'], ttl: '20 minutes' }, 'ttl'],
    [{ labels: ['debian'], ttl: -5 }, 'ttl'],
    [{ labels: ['debian'], forge: '' }, 'forge'],
    [{ labels: ['debian'], forge: 'other' }, 'forge'],
    [{ labels: ['debian'], handle: 'x' }, 'handle'],
    [[], 'body'],
    [null, 'body'],
  ])('%j names the field %s', async (body, field) => {
    expect(await problemOf(await ask(body))).toEqual([400, 'PARAMETER_INVALID', field]);
    expect(rig.store.records.size).toBe(0);
  });

  test.each([
    ['without a token', 'POST', { 'content-type': 'application/json' }, '{}', 401, 'TOKEN_MISSING'],
    ['with a wrong token', 'POST', { ...json, authorization: 'Bearer nonsense-nonsense-nonsense-nonsense' }, '{}', 401, 'TOKEN_WRONG'],
    ['by a page of another site', 'POST', { ...json, 'sec-fetch-site': 'cross-site' }, '{}', 403, 'ORIGIN_REFUSED'],
    ['as a form', 'POST', { ...json, 'content-type': 'application/x-www-form-urlencoded' }, 'labels=debian', 415, 'CONTENT_TYPE_REFUSED'],
    ['that is no JSON', 'POST', json, '{"labels":', 400, 'PARAMETER_INVALID'],
    ['that is too long', 'POST', json, JSON.stringify({ labels: ['x'.repeat(20_000)] }), 413, 'BODY_REFUSED'],
    ['by another method', 'PUT', json, '{}', 405, 'METHOD_NOT_ALLOWED'],
  ])('one %s', async (_, method, headers, body, status, code) => {
    const response = await fetch(`${service.url}/api/v1/dispatch`, { method, headers, body });
    expect((await problemOf(response)).slice(0, 2)).toEqual([status, code]);
    expect(rig.store.records.size).toBe(0);
  });

  test('one whose body grows and grows without a length is cut off, and one that is not whole is no bug', async () => {
    const { port } = new URL(service.url);
    const socket = connect(Number(port), '127.0.0.1');
    const head = `POST /api/v1/dispatch HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\nauthorization: ${authorization}\r\n`;
    socket.write(`${head}transfer-encoding: chunked\r\n\r\n4000\r\n${' '.repeat(0x4000)}\r\n1\r\n \r\n`);
    const [first] = (await once(socket, 'data')) as [Buffer];
    expect(first.toString()).toContain('413');
    socket.destroy();
    const cut = connect(Number(port), '127.0.0.1');
    cut.write(`${head}content-length: 100\r\n\r\n{"labels`);
    cut.resume().end();
    await once(cut, 'close');
    expect(rig.log.lines.filter(({ level }) => level === 'error')).toEqual([]);
    expect(rig.store.records.size).toBe(0);
  });
});

const ordered = (...words: readonly string[]) => turning(runs(['dispatch', ...words, '--socket', service.socket]));

describe('runner-status dispatch', () => {
  test('prints what became of it and the runners, and ends with 1 when not all were accepted', async () => {
    const first = await ordered('--labels', 'debian', '--count', '2', '--ttl', '20m', '--forge', 'main');
    expect(first).toMatchObject({ code: 0, err: '' });
    for (const id of rig.store.records.keys()) expect(first.out).toMatch(new RegExp(`${id} +default +until `));
    expect(first.out).toContain('2 of 2 accepted');
    const second = await ordered('--labels', 'debian', '--count', '2', '--json');
    expect(second.code).toBe(1);
    expect(dispatchedSchema.parse(JSON.parse(second.out))).toMatchObject({ accepted: 1, refused: 1 });
    expect((await runs(['status', '--socket', service.socket])).out).toMatch(
      /main, none yet .*dispatched for debian until \d\d:\d\d:\d\d UTC/,
    );
  });

  test.each([
    [[], 'needs --labels'],
    [['--labels', 'debian', '--count', 'two'], '--count wants a whole number'],
    [['--labels', 'arm'], '"arm" is not among those that may be dispatched'],
    [['--labels', 'debian', '--ttl', 'soon'], 'such as 20m'],
  ])('%j is a mistake of who typed it: exit code 2, and why', async (words, why) => {
    const { code, out, err } = await ordered(...words);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(why);
    expect(rig.store.records.size).toBe(0);
  });
});
