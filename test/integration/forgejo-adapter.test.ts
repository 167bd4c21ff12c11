// Promises what the Forgejo adapter reads: jobs, registrations and the check of a server, one promise per quirk of the API that it meets.

import { expect, test } from 'vitest';
import { leftOutLabel } from '../../src/core/match.ts';
import type { Scope } from '../../src/core/model.ts';
import { forgejoUnderTest, jobRow, refusalFrom, repository, runnerRow, secretToken, uuidOf } from '../support/forgejo-under-test.ts';
import type { Script } from '../support/scripted-server.ts';

const jobsPath = '/api/v1/repos/acme/demo/actions/runners/jobs';
const plain404 = { status: 404, text: '404 page not found\n' };
const answering =
  (json: unknown): Script =>
  () => ({ status: 200, json });

const scopes: readonly (readonly [Scope, string])[] = [
  [repository, '/repos/acme/demo'],
  [{ kind: 'organization', name: 'acme' }, '/orgs/acme'],
  [{ kind: 'user' }, '/user'],
  [{ kind: 'instance' }, '/admin'],
];

test.each(scopes)('jobs of scope $kind are asked for at its own path, without a labels filter', async (scope, path) => {
  const { forge, server } = await forgejoUnderTest(answering([jobRow(1)]), { scope });
  await expect(forge.jobs()).resolves.toHaveLength(1);
  expect(server.asked()).toEqual([`GET /api/v1${path}/actions/runners/jobs`]);
  expect(server.heard[0]?.headers.authorization).toBe(`token ${secretToken}`);
});

test('a server under a sub-path is asked below that path, with or without a slash at its end', async () => {
  for (const subPath of ['/git', '/git/']) {
    const { forge, server } = await forgejoUnderTest(answering(null), { subPath });
    await forge.jobs();
    expect(server.asked()).toEqual([`GET /git${jobsPath}`]);
  }
});

test('names with odd characters stay one part of the path', async () => {
  const { forge, server } = await forgejoUnderTest(answering(null), { scope: { kind: 'organization', name: 'a/b?c d' } });
  await forge.jobs();
  expect(server.asked()).toEqual(['GET /api/v1/orgs/a%2Fb%3Fc%20d/actions/runners/jobs']);
});

test('null, which Forgejo sends when nothing waits, is an empty list', async () => {
  const { forge } = await forgejoUnderTest(answering(null));
  await expect(forge.jobs()).resolves.toEqual([]);
});

test('jobs come oldest first, though Forgejo lists the newest first', async () => {
  const { forge } = await forgejoUnderTest(answering([jobRow(30), jobRow(20), jobRow(9)]));
  expect((await forge.jobs()).map(({ id }) => id)).toEqual([9, 20, 30]);
});

test('a job carries our words and drops fields that nobody knows', async () => {
  const row = jobRow(7, {
    handle: 'h',
    attempt: 2,
    repo_id: 3,
    owner_id: 4,
    runs_on: ['a', 'b'],
    task_id: 5,
    status: 'running',
    novelty: {},
  });
  const { forge } = await forgejoUnderTest(answering([row]));
  const job = { forge: 'home', id: 7, handle: 'h', attempt: 2, repositoryId: 3, ownerId: 4, name: 'build', labels: ['a', 'b'] };
  await expect(forge.jobs()).resolves.toEqual([{ ...job, taskId: 5, runId: 7, state: 'running' }]);
});

test('waiting, queued and pending all wait, running runs, and any other status is not listed', async () => {
  const words = ['waiting', 'queued', 'pending', 'running', 'success', 'blocked', 'constructor', ''];
  const { forge } = await forgejoUnderTest(answering(words.map((status, index) => jobRow(index + 1, { status }))));
  expect((await forge.jobs()).map(({ state }) => state)).toEqual(['waiting', 'waiting', 'waiting', 'running']);
});

test('runs_on null means no labels', async () => {
  const { forge } = await forgejoUnderTest(answering([jobRow(1, { runs_on: null })]));
  expect((await forge.jobs())[0]?.labels).toEqual([]);
});

test('an empty handle, as on rows from before an upgrade to 15, is kept as it is', async () => {
  const { forge } = await forgejoUnderTest(answering([jobRow(1, { handle: '' })]));
  expect((await forge.jobs())[0]?.handle).toBe('');
});

test.each(['handle', 'attempt'])('a job without %s comes from a server that is too old, and the error says so', async (field) => {
  const row = jobRow(1);
  delete row[field];
  const { forge } = await forgejoUnderTest(answering([row]));
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_INCOMPATIBLE', message: expect.stringContaining('Forgejo 15') });
});

test('an id that has lost digits on its way is refused rather than used', async () => {
  const { forge } = await forgejoUnderTest(() => ({
    status: 200,
    text: `[${JSON.stringify(jobRow(1)).replace('"id":1,', '"id":9007199254740993,')}]`,
  }));
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
});

test.each([0, -1, 1.5, '1', null])('a job with the id %j is refused', async (id) => {
  const { forge } = await forgejoUnderTest(answering([jobRow(2), jobRow(1, { id })]));
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE', message: expect.stringContaining('1.id') });
});

test('one row in which a field of the server has another shape makes the whole list unknown, and the error says where', async () => {
  const { forge } = await forgejoUnderTest(answering([jobRow(2), jobRow(1, { task_id: '5' })]));
  const error = await refusalFrom(forge.jobs());
  expect(error.message).toContain('1.task_id');
  expect(error.details).toMatchObject({ method: 'GET', path: jobsPath, status: 200 });
});

test.each([
  ['no label list', { runs_on: 'docker' }, [leftOutLabel]],
  ['a label that is no text', { runs_on: ['docker', 5] }, ['docker', leftOutLabel]],
  [
    '10,000 labels',
    { runs_on: Array.from({ length: 10_000 }, (_, index) => `label-number-${index}`) },
    expect.arrayContaining([leftOutLabel]),
  ],
  ['a label of 1 MB', { runs_on: ['docker', 'x'.repeat(1_000_000)] }, ['docker', leftOutLabel]],
  ['one label 10,000 times', { runs_on: Array.from({ length: 10_000 }, () => 'docker') }, ['docker']],
  ['no name', { name: null }, ['docker']],
  ['a name of 1 MB', { name: '\ud83d\ude00'.repeat(500_000) }, ['docker']],
])('what the author of a workflow wrote cannot make the list of everybody unreadable: %s', async (_, fields, labels) => {
  const { forge } = await forgejoUnderTest(answering([jobRow(2, fields), jobRow(1)]));
  const jobs = await forge.jobs();
  expect(jobs).toMatchObject([
    { id: 1, labels: ['docker'] },
    { id: 2, labels },
  ]);
  expect(JSON.stringify(jobs[1]).length).toBeLessThan(4_096);
});

test.each([{}, { jobs: [] }, 'null', 0, true])('a list that is %j is not taken for an empty one', async (json) => {
  const { forge } = await forgejoUnderTest(answering(json));
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
});

test('registrations are read in one go, since Forgejo sends all when no page is named', async () => {
  const rows = Array.from({ length: 120 }, (_, index) => runnerRow(120 - index));
  const { forge, server } = await forgejoUnderTest(() => ({ status: 200, json: rows, headers: { 'x-total-count': '120' } }));
  const found = await forge.registrations();
  expect(found.map(({ id }) => id)).toEqual(rows.map((_, index) => index + 1));
  expect(found[0]).toEqual({ id: 1, uuid: uuidOf(1), name: 'j1', description: 'ours', ephemeral: true, status: 'offline' });
  expect(server.asked()).toEqual(['GET /api/v1/repos/acme/demo/actions/runners']);
});

/** Serves rows in pages whether a page is asked for or not; `order` may change between requests, as heartbeats change it. */
function paging(size: number, order: (nth: number) => readonly Record<string, unknown>[]): Script {
  return ({ path }, nth) => {
    const page = Number(new URL(path, 'http://x').searchParams.get('page') ?? 1);
    const rows = order(nth);
    return { status: 200, json: rows.slice((page - 1) * size, page * size), headers: { 'x-total-count': String(rows.length) } };
  };
}

test('a list that the server pages is read to its end', async () => {
  const rows = Array.from({ length: 95 }, (_, index) => runnerRow(index + 1));
  const { forge } = await forgejoUnderTest(paging(30, () => rows));
  expect((await forge.registrations()).map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
});

test('rows that move between pages while they are read are neither lost nor doubled', async () => {
  const rows = Array.from({ length: 9 }, (_, index) => runnerRow(index + 1));
  const turned = (nth: number): readonly Record<string, unknown>[] => [
    ...rows.slice(nth % 2 === 0 ? 4 : 0),
    ...rows.slice(0, nth % 2 === 0 ? 4 : 0),
  ];
  const { forge } = await forgejoUnderTest(paging(4, turned));
  expect((await forge.registrations()).map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
});

test('a list that never becomes whole is unknown, not short', async () => {
  const { forge, server } = await forgejoUnderTest(() => ({ status: 200, json: [runnerRow(1)], headers: { 'x-total-count': '3' } }));
  const error = await refusalFrom(forge.registrations());
  expect(error).toMatchObject({ code: 'FORGE_UNREACHABLE', details: { total: 3, found: 1 } });
  expect(server.heard.length).toBeLessThan(12);
});

test('an empty list of registrations is empty', async () => {
  const { forge } = await forgejoUnderTest(() => ({ status: 200, json: [], headers: { 'x-total-count': '0' } }));
  await expect(forge.registrations()).resolves.toEqual([]);
});

test('a registration status that nobody has heard of counts as busy', async () => {
  const rows = ['offline', 'idle', 'active', 'hibernating'].map((status, index) => runnerRow(index + 1, { status }));
  const { forge } = await forgejoUnderTest(answering(rows));
  expect((await forge.registrations()).map(({ status }) => status)).toEqual(['offline', 'idle', 'active', 'active']);
});

test('a registration that the forge says does not exist is undefined', async () => {
  const gone = { status: 404, json: { message: 'runner with ID 5: resource does not exist', url: '' } };
  const { forge } = await forgejoUnderTest(({ path }) => (path.includes('?page=') ? { status: 200, json: [] } : gone));
  await expect(forge.registration(5)).resolves.toBeUndefined();
});

test('a registration is not taken for gone when it is the repository that cannot be seen', async () => {
  const { forge } = await forgejoUnderTest(() => ({
    status: 404,
    json: { message: "The target couldn't be found.", url: '', errors: [] },
  }));
  await expect(refusalFrom(forge.registration(5))).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
});

test('a registration is not taken for gone on the 404 of somebody who is no Forgejo', async () => {
  const { forge } = await forgejoUnderTest(() => ({ status: 404, text: '<h1>Not Found</h1>' }));
  await expect(refusalFrom(forge.registration(5))).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
});

test('a server that knows no runners route is called older than Forgejo 15', async () => {
  const { forge } = await forgejoUnderTest(() => plain404);
  await expect(refusalFrom(forge.registrations())).resolves.toMatchObject({
    code: 'FORGE_INCOMPATIBLE',
    message: expect.stringContaining('Forgejo 15'),
  });
});
