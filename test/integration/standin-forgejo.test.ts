// Promises the behaviour of the stand-in Forgejo that no single recorded exchange shows: life cycles of jobs and registrations, rights,
// workflows that start by a commit, and its control from this and from another process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Code, ConnectError } from '@connectrpc/connect';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { buildForgejo } from '../support/forgejo/build.ts';
import { controlAt, startForgejo, type Control, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { guestRunner, rest } from '../support/forgejo-guest.ts';
import { Result } from '../support/gen/runner/v1/messages_pb.ts';

const repository = 'acme/demo';
const scope = '/repos/acme/demo';
const labels = ['docker'];

let forgejo: ForgejoStandIn;
let control: Control;

async function open(options?: Parameters<typeof startForgejo>[0]): Promise<void> {
  forgejo = await startForgejo(options);
  ({ control } = forgejo);
  await control.addOrganization({ name: 'acme', owners: [forgejo.admin] });
  await control.addRepository({ repository });
}

beforeEach(() => open());
afterEach(() => forgejo.close());

const runner = (more: { ephemeral?: boolean; requestKey?: string; scope?: string } = {}) =>
  guestRunner(forgejo, { scope, labels, ...more });
const listed = async (path = scope): Promise<readonly Readonly<Record<string, unknown>>[]> => {
  const { json } = await rest(forgejo, 'GET', `${path}/actions/runners/jobs`);
  return (json as readonly Readonly<Record<string, unknown>>[] | null) ?? [];
};
const success = { result: Result.SUCCESS };

describe('picking', () => {
  test('a runner gets the oldest job that its labels serve', async () => {
    await control.queueJob({ repository, labels: ['gpu'] });
    const { handle } = await control.queueJob({ repository, labels });
    await control.queueJob({ repository, labels });
    const { task } = await (await runner()).fetchSingleTask({});
    expect(task).toBeDefined();
    expect(await control.fetches()).toMatchObject({ '': { asked: 1 }, [handle]: { given: 1 } });
  });

  test('a handle is a filter: a job of that handle whose labels do not fit is not given', async () => {
    const { handle } = await control.queueJob({ repository, labels: ['gpu'] });
    await control.queueJob({ repository, labels });
    expect((await (await runner()).fetchSingleTask({ handle })).task).toBeUndefined();
    expect(await control.fetches()).toEqual({ [handle]: { asked: 1, given: 0 } });
  });

  test('registrations of the organization and of the instance reach its repositories, those of a user do not', async () => {
    for (const [place, reaches] of [
      ['/orgs/acme', true],
      ['/admin', true],
      ['/user', false],
    ] as const) {
      const { handle } = await control.queueJob({ repository, labels });
      const { task } = await (await runner({ scope: place })).fetchSingleTask({ handle });
      expect([place, task !== undefined]).toEqual([place, reaches]);
    }
  });

  test('a request key that comes again brings the same task with a new token', async () => {
    const { handle } = await control.queueJob({ repository, labels });
    const own = await runner({ requestKey: 'again' });
    const first = await own.fetchSingleTask({ handle });
    const second = await own.fetchSingleTask({ handle });
    expect(second.task?.id).toBe(first.task?.id);
    expect(second.task?.secrets['FORGEJO_TOKEN']).not.toBe(first.task?.secrets['FORGEJO_TOKEN']);
    expect(await control.fetches()).toEqual({ [handle]: { asked: 2, given: 1 } });
  });

  test('a job that its concurrency group holds back is listed as waiting and given to nobody until the group is free', async () => {
    const first = await control.queueJob({ repository, labels, group: 'deploy' });
    const second = await control.queueJob({ repository, labels, group: 'deploy' });
    const early = await runner();
    expect((await early.fetchSingleTask({ handle: second.handle })).task).toBeUndefined();
    expect((await listed()).map((job) => job['status'])).toEqual(['waiting', 'waiting']);
    const own = await runner();
    const { task } = await own.fetchSingleTask({ handle: first.handle });
    expect((await early.fetchSingleTask({ handle: second.handle })).task).toBeUndefined();
    await own.updateTask({ state: { id: task?.id ?? 0n, ...success } });
    expect((await early.fetchSingleTask({ handle: second.handle })).task).toBeDefined();
  });

  test('a job that needs another is not listed before that one is done, and is told its result and outputs', async () => {
    const workflow = 'jobs: { a: { runs-on: docker, steps: [] }, b: { needs: a, runs-on: docker, steps: [] } }';
    const [a, b] = await control.queueWorkflow({ repository, workflow });
    expect((await listed()).map((job) => job['id'])).toEqual([a?.jobId]);
    const own = await runner();
    const { task } = await own.fetchSingleTask({});
    await own.updateTask({ state: { id: task?.id ?? 0n, ...success }, outputs: { colour: 'blue' } });
    expect((await listed()).map((job) => [job['id'], job['handle']])).toEqual([[b?.jobId, b?.handle]]);
    const next = await (await runner()).fetchSingleTask({});
    expect(next.task?.needs['a']).toMatchObject({ result: Result.SUCCESS, outputs: { colour: 'blue' } });
  });

  test('a job whose need failed is skipped, unless it says always()', async () => {
    const workflow = `jobs:
  a: { runs-on: docker, steps: [] }
  b: { needs: a, runs-on: docker, steps: [] }
  c: { needs: a, if: always(), runs-on: docker, steps: [] }`;
    const [, b, c] = await control.queueWorkflow({ repository, workflow });
    const own = await runner();
    const { task } = await own.fetchSingleTask({});
    await own.updateTask({ state: { id: task?.id ?? 0n, result: Result.FAILURE } });
    expect([(await control.job(b?.jobId ?? 0)).status, (await control.job(c?.jobId ?? 0)).status]).toEqual(['skipped', 'waiting']);
  });
});

describe('ending', () => {
  test('the ephemeral registration is gone in the very call that ends its task', async () => {
    const { jobId } = await control.queueJob({ repository, labels });
    const own = await runner();
    const { task } = await own.fetchSingleTask({});
    const row = { time: { seconds: 1_800_000_000n, nanos: 0 }, content: 'hello' };
    expect((await own.updateLog({ taskId: task?.id ?? 0n, index: 0n, rows: [row], noMore: true })).ackIndex).toBe(1n);
    const { state } = await own.updateTask({ state: { id: task?.id ?? 0n, ...success } });
    expect(state?.result).toBe(Result.SUCCESS);
    expect(await control.registrations()).toEqual([]);
    await expect(own.updateTask({ state: { id: task?.id ?? 0n } })).rejects.toMatchObject({
      code: Code.Unauthenticated,
      rawMessage: 'unregistered runner',
    });
    expect(await control.job(jobId)).toMatchObject({
      status: 'success',
      logClosed: true,
      log: [expect.stringMatching(/^2027-.*Z hello$/)],
    });
  });

  test('log rows that are known are dropped, a gap is not filled, and a closed log takes no more', async () => {
    await control.queueJob({ repository, labels });
    const own = await runner();
    const { task } = await own.fetchSingleTask({});
    const taskId = task?.id ?? 0n;
    const rows = [{ content: 'a' }, { content: 'b' }];
    expect((await own.updateLog({ taskId, index: 0n, rows })).ackIndex).toBe(2n);
    expect((await own.updateLog({ taskId, index: 1n, rows })).ackIndex).toBe(3n);
    expect((await own.updateLog({ taskId, index: 9n, rows })).ackIndex).toBe(3n);
    expect((await own.updateLog({ taskId, index: 3n, rows: [], noMore: true })).ackIndex).toBe(3n);
    expect((await own.updateLog({ taskId, index: 3n, rows: [{ content: 'c' }], noMore: true })).ackIndex).toBe(4n);
    const late = own.updateLog({ taskId, index: 4n, rows: [{ content: 'd' }] });
    await expect(late).rejects.toMatchObject({ code: Code.AlreadyExists });
  });

  test('a cancel takes the registration away from under a busy ephemeral runner', async () => {
    const { runId, jobId } = await control.queueJob({ repository, labels });
    const own = await runner();
    const { task } = await own.fetchSingleTask({});
    expect((await rest(forgejo, 'POST', `${scope}/actions/runs/${runId}/cancel`)).status).toBe(204);
    const error: unknown = await own.updateTask({ state: { id: task?.id ?? 0n } }).catch((reason: unknown) => reason);
    expect(ConnectError.from(error).code).toBe(Code.Unauthenticated);
    expect([(await control.job(jobId)).status, await listed()]).toEqual(['cancelled', []]);
  });

  test('a rerun keeps the id and has a new handle, the next attempt and no task', async () => {
    const { runId, jobId, handle } = await control.queueJob({ repository, labels });
    await control.cancel(runId);
    const [again] = await control.rerun({ runId });
    expect(again).toMatchObject({ runId, jobId });
    expect(again?.handle).not.toBe(handle);
    expect(await listed()).toMatchObject([{ id: jobId, attempt: 2, handle: again?.handle, task_id: 0, status: 'waiting' }]);
    expect((await (await runner()).fetchSingleTask({ handle })).task).toBeUndefined();
  });

  test('what has not ended cannot be rerun', async () => {
    const { runId } = await control.queueJob({ repository, labels });
    await expect(control.rerun({ runId })).rejects.toThrow('not done');
  });

  test('the job of a deleted busy registration stays running until nobody was heard of for ten minutes', async () => {
    const { jobId } = await control.queueJob({ repository, labels });
    const own = await runner();
    await own.fetchSingleTask({});
    expect((await rest(forgejo, 'DELETE', `${scope}/actions/runners/${own.id}`)).status).toBe(204);
    await control.advance(9 * 60_000);
    expect((await control.job(jobId)).status).toBe('running');
    await control.advance(2 * 60_000);
    expect((await control.job(jobId)).status).toBe('failure');
  });

  test('a runner that reports does not become a zombie, and one that falls silent loses its job and its registration', async () => {
    const { jobId } = await control.queueJob({ repository, labels });
    const own = await runner();
    const { task } = await own.fetchSingleTask({});
    await control.advance(9 * 60_000);
    await own.updateTask({ state: { id: task?.id ?? 0n } });
    await control.advance(9 * 60_000);
    expect((await control.job(jobId)).status).toBe('running');
    await control.advance(2 * 60_000);
    expect([(await control.job(jobId)).status, await control.registrations()]).toEqual(['failure', []]);
  });

  test('a third process that holds uuid and token may end the job', async () => {
    const { jobId } = await control.queueJob({ repository, labels });
    const own = await runner();
    const { task } = await own.fetchSingleTask({});
    await own.updateTask({ state: { id: task?.id ?? 0n, result: Result.FAILURE, steps: [{ id: 0n, result: Result.FAILURE }] } });
    expect(await control.job(jobId)).toMatchObject({ status: 'failure', steps: [{ id: 0, result: 'failure' }] });
  });
});

describe('rights', () => {
  const table = readFileSync(new URL('../support/recorded/scopes.txt', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .slice(1);

  test.each(table)('a token may do what was recorded and no more: %s', async (line) => {
    const end = line.indexOf(' | ');
    const [granted, cells] = [line.slice(0, end), line.slice(end + 3)];
    const token = await control.addToken({ user: forgejo.admin, scopes: [granted] });
    const paths: Readonly<Record<string, string>> = { admin: '/admin', org: '/orgs/acme', user: '/user', repo: scope };
    const seen: string[] = [];
    for (const [place, path] of Object.entries(paths)) {
      const base = `${path}/actions/runners`;
      const jobs = await rest(forgejo, 'GET', `${base}/jobs`, undefined, token);
      const list = await rest(forgejo, 'GET', base, undefined, token);
      const made = await rest(forgejo, 'POST', base, { name: 'x' }, token);
      const id = (made.json as { id?: number }).id;
      const gone = id === undefined ? '-' : (await rest(forgejo, 'DELETE', `${base}/${id}`, undefined, token)).status;
      seen.push(`${place}: jobs ${jobs.status} list ${list.status} POST ${made.status} DEL ${gone}`);
    }
    expect(seen.join(' | ')).toBe(cells);
  });

  test('a repository is not there for who may not see it, and when its Actions are off', async () => {
    await control.addUser({ name: 'dev' });
    await control.addRepository({ repository: 'acme/hidden', private: true });
    const token = await control.addToken({ user: 'dev', scopes: ['all'] });
    expect((await rest(forgejo, 'GET', '/repos/acme/hidden/actions/runners/jobs', undefined, token)).status).toBe(404);
    await control.setActions({ repository, actions: false });
    expect((await rest(forgejo, 'GET', `${scope}/actions/runners/jobs`)).json).toMatchObject({ message: "The target couldn't be found." });
  });
});

describe('starting by a commit', () => {
  const path = `${scope}/contents/.forgejo/workflows/ci.yml`;
  const workflow = `on: { push: { branches: [main] }, workflow_dispatch: {} }
jobs:
  build:
    runs-on: [docker, gpu]
    timeout-minutes: 5
    steps: [{ run: echo hello }]
  each:
    runs-on: \${{ matrix.on }}
    strategy: { matrix: { on: [docker, gpu] } }
    steps: [{ run: echo each }]`;
  const body = { content: Buffer.from(workflow).toString('base64'), message: 'add ci' };

  test('a demo makes an organization, a repository and a workflow over REST, and its jobs wait', async () => {
    expect((await rest(forgejo, 'POST', '/orgs', { username: 'shop' })).status).toBe(201);
    const made = await rest(forgejo, 'POST', '/orgs/shop/repos', { name: 'web', auto_init: true, default_branch: 'main' });
    expect([made.status, (made.json as { full_name: string }).full_name]).toEqual([201, 'shop/web']);
    expect((await rest(forgejo, 'POST', '/user/repos', { name: 'own' })).json).toMatchObject({ full_name: 'root1/own' });
    const file = '/repos/shop/web/contents/.forgejo/workflows/ci.yml';
    expect((await rest(forgejo, 'POST', file, body)).status).toBe(201);
    const jobs = await listed('/orgs/shop');
    expect(jobs.map((job) => [job['name'], job['runs_on']])).toEqual([
      ['each (gpu)', ['gpu']],
      ['each (docker)', ['docker']],
      ['build', ['docker', 'gpu']],
    ]);
    const { json } = await rest(forgejo, 'GET', `/repositories/${String(jobs[0]?.['repo_id'])}`);
    expect(json).toMatchObject({ full_name: 'shop/web' });
  });

  test('a file that is there is changed with its sha only', async () => {
    const { json } = await rest(forgejo, 'POST', path, body);
    const { sha } = (json as { content: { sha: string } }).content;
    expect((await rest(forgejo, 'POST', path, body)).status).toBe(422);
    expect((await rest(forgejo, 'PUT', path, body)).status).toBe(422);
    expect((await rest(forgejo, 'PUT', path, { ...body, sha: '0'.repeat(40) })).status).toBe(409);
    expect((await rest(forgejo, 'PUT', path, { ...body, sha })).status).toBe(200);
    expect((await rest(forgejo, 'GET', `${scope}/actions/runs`)).json).toMatchObject({ total_count: 2 });
  });

  test('the payload has one job, its matrix resolved and its time-out as written', async () => {
    await rest(forgejo, 'POST', path, body);
    const own = await guestRunner(forgejo, { scope, labels: ['docker', 'gpu'] });
    const { task } = await own.fetchSingleTask({});
    const text = Buffer.from(task?.workflowPayload ?? []).toString();
    expect(text).toContain('timeout-minutes: 5');
    expect(text).not.toContain('each');
    expect(task?.context).toMatchObject({ job: 'build', event_name: 'push', repository });
  });

  test('a dispatch starts the workflow by hand and says which run it is', async () => {
    await rest(forgejo, 'POST', path, body);
    const wish = { ref: 'main', inputs: {}, return_run_info: true };
    const { status, json } = await rest(forgejo, 'POST', `${scope}/actions/workflows/ci.yml/dispatches`, wish);
    expect([status, json]).toEqual([201, { id: 2, run_number: 2, jobs: ['build', 'each', 'each'] }]);
  });

  test('a commit to a workflow of another branch starts nothing', async () => {
    const other = Buffer.from(workflow.replace('[main]', '[release/*]')).toString('base64');
    await rest(forgejo, 'POST', path, { ...body, content: other });
    expect(await listed()).toEqual([]);
  });

  test('with a listing delay the jobs come later than the commit', async () => {
    await forgejo.close();
    await open({ listingDelayMs: 400 });
    await rest(forgejo, 'POST', path, body);
    expect(await listed()).toEqual([]);
    await control.untilJob({ id: 1, states: ['waiting'] });
    expect(await listed()).toHaveLength(3);
  });
});

describe('control', () => {
  test('another process controls it by the same calls, and a call that fails rejects with its words', async () => {
    const far = controlAt(forgejo.controlUrl);
    const { jobId, runId } = await far.queueJob({ repository, labels, script: 'echo far' });
    const ended = far.untilJob({ id: jobId, states: ['cancelled'] });
    await far.cancel(runId);
    expect(await ended).toMatchObject({ id: jobId, repository, status: 'cancelled' });
    await expect(far.queueJob({ repository: 'no/where', labels })).rejects.toThrow('no repository no/where');
  });

  test('requests are counted by route', async () => {
    await listed();
    await listed('/orgs/acme');
    await listed('/orgs/acme');
    const route = 'GET /api/v1/orgs/{org}/actions/runners/jobs';
    await control.untilRequests({ route, count: 2 });
    expect(await control.requests()).toEqual({ [route]: 2, 'GET /api/v1/repos/{owner}/{repo}/actions/runners/jobs': 1 });
    await control.clearRequests();
    expect(await control.requests()).toEqual({});
  });

  test('many jobs are queued at once, each in a run of its own', async () => {
    const jobs = await control.queueJobs({ repository, labels, count: 3 });
    expect(jobs.map((job) => job.runId)).toEqual([1, 2, 3]);
    expect((await listed()).map((job) => job['handle'])).toEqual(jobs.map((job) => job.handle).toReversed());
  });

  test('the program is one file, prints where it listens and ends well on SIGTERM', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'standin-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const program = join(folder, 'forgejo.mjs');
    await buildForgejo(program);
    const child = spawn(process.execPath, [program, '--admin', 'boss'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const said = JSON.parse(line) as Readonly<Record<'url' | 'control' | 'admin' | 'token', string>>;
    expect(said.admin).toBe('boss');
    expect((await rest(said, 'GET', '/user')).json).toMatchObject({ login: 'boss', is_admin: true });
    expect(await controlAt(said.control).jobs()).toEqual([]);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });
});
