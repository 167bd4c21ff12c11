// Promises the failure report of the Forgejo adapter: a job whose runner is dead ends at once, with the reason in its log, and no job of
// anybody else ever does.

import { expect, test } from 'vitest';
import { createForgejo } from '../../src/forge/forgejo.ts';
import { systemClock } from '../../src/clock.ts';
import { ControllerError } from '../../src/errors.ts';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Credentials } from '../../src/core/model.ts';
import type { Forge } from '../../src/forge/forge.ts';
import { forgejoUnderTest, refusalFrom, secretToken, wholeTextOf } from '../support/forgejo-under-test.ts';
import { type ForgejoStandIn, startForgejo } from '../support/forgejo/forgejo.ts';
import { createMemoryLog } from '../support/reconciler-rig.ts';
import { quickConfig, startRunner } from '../support/runner/runner-process.ts';
import type { Scripted } from '../support/scripted-server.ts';

const repository = 'acme/demo';
const lines = ['the container died', '  memory: peak 1 MiB'];

async function aForgejo(): Promise<{ forgejo: ForgejoStandIn; forge: Forge }> {
  const forgejo = await startForgejo();
  onTestFinished(() => forgejo.close());
  await forgejo.control.addOrganization({ name: 'acme', owners: [forgejo.admin] });
  await forgejo.control.addRepository({ repository });
  const folder = await mkdtemp(join(tmpdir(), 'forgejo-report-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'token'), forgejo.token);
  const forge = createForgejo({
    name: 'home',
    url: forgejo.url,
    instanceUrl: forgejo.url,
    scope: { kind: 'repository', owner: 'acme', name: 'demo' },
    tokenFile: join(folder, 'token'),
    clock: systemClock,
    log: createMemoryLog(),
  });
  onTestFinished(() => forge.close());
  return { forgejo, forge };
}

/** A job whose runner was killed in the middle of its step. */
async function anOrphan(forgejo: ForgejoStandIn, forge: Forge): Promise<{ jobId: number; taskId: number; credentials: Credentials }> {
  const workflow = 'jobs:\n  long:\n    runs-on: debian\n    steps: [{ run: "echo begun; sleep 60" }]\n';
  const [job] = await forgejo.control.queueWorkflow({ repository, workflow });
  if (job === undefined) throw new Error('a job was expected');
  const credentials = await forge.register('j0000001abc', 'ours');
  const { uuid, token } = credentials;
  const words = ['--handle', job.handle, '--wait'];
  const runner = await startRunner({ url: forgejo.url, uuid, token, words, config: quickConfig });
  await expect.poll(async () => (await forgejo.control.job(job.jobId)).log.join('\n'), { timeout: 20_000 }).toContain('begun');
  runner.kill('SIGKILL');
  await runner.end;
  const [running] = await forge.jobs();
  if (running === undefined) throw new Error('the job must still be listed');
  return { jobId: job.jobId, taskId: running.taskId, credentials };
}

test('a job whose runner was killed fails at once, with the reason at the end of its log, and its registration is gone', async () => {
  const { forgejo, forge } = await aForgejo();
  const { jobId, taskId, credentials } = await anOrphan(forgejo, forge);
  expect((await forgejo.control.job(jobId)).status).toBe('running');
  expect(await forge.registered(credentials.id)).toBe(true);
  await expect(forge.reportFailure(credentials, taskId, lines)).resolves.toBe('reported');
  const ended = await forgejo.control.job(jobId);
  expect(ended).toMatchObject({ status: 'failure', logClosed: true });
  expect(ended.log.join('\n')).toMatch(/ begun\n(?:.*\n)*.* the container died\n.*   memory: peak 1 MiB$/);
  expect(await forge.registered(credentials.id)).toBe(false);
  await expect(forge.reportFailure(credentials, taskId, lines)).resolves.toBe('over');
});

test("a task of another runner stays as it is, and so does that runner's registration", async () => {
  const { forgejo, forge } = await aForgejo();
  const { jobId, taskId } = await anOrphan(forgejo, forge);
  const stranger = await forge.register('j0000002abc', 'ours');
  await expect(forge.reportFailure(stranger, taskId, lines)).resolves.toBe('foreign');
  const { status, log } = await forgejo.control.job(jobId);
  expect(status).toBe('running');
  expect(log.join('\n')).not.toContain('the container died');
});

test('a task that is not there any more is over', async () => {
  const { forge } = await aForgejo();
  const credentials = await forge.register('j0000003abc', 'ours');
  await expect(forge.reportFailure(credentials, 4711, lines)).resolves.toBe('over');
});

test('I9 a registration from which jobs are withheld is handed none, keeps the one that it has, and reports on it to its end', async () => {
  const { forgejo, forge } = await aForgejo();
  const queue = async (script: string) => {
    const steps = JSON.stringify([{ run: script }]);
    const workflow = `jobs:\n  one:\n    runs-on: debian\n    steps: ${steps}\n`;
    const [job] = await forgejo.control.queueWorkflow({ repository, workflow });
    if (job === undefined) throw new Error('a job was expected');
    return job;
  };
  const start = async ({ handle }: { readonly handle: string }, { uuid, token }: Credentials) =>
    startRunner({ url: forgejo.url, uuid, token, words: ['--handle', handle, '--wait', '--fetch-interval', '50ms'], config: quickConfig });
  const go = join(await mkdtemp(join(tmpdir(), 'forgejo-report-')), 'go');
  onTestFinished(() => rm(dirname(go), { recursive: true }));

  const busy = await forge.register('j0000004abc', 'ours');
  const taken = await queue(`echo begun; until test -e ${go}; do sleep 0.05; done; echo through`);
  const working = await start(taken, busy);
  await expect.poll(async () => (await forgejo.control.job(taken.jobId)).log.join('\n'), { timeout: 20_000 }).toContain('begun');
  await forge.withhold(busy);
  await writeFile(go, '');
  expect(await working.end).toMatchObject({ code: 0 });
  expect(await forgejo.control.job(taken.jobId)).toMatchObject({
    status: 'success',
    log: expect.arrayContaining([expect.stringContaining('through')]),
  });

  const idle = await forge.register('j0000005abc', 'ours');
  const later = await start({ handle: '00000000-0000-4000-8000-00000000dead' }, idle);
  await later.says('trying again');
  await forge.withhold(idle);
  const waiting = await queue('true');
  later.kill('SIGTERM');
  await later.end;
  await expect(handed(forgejo.url, idle, waiting.handle)).resolves.toBeUndefined();
  expect(await forgejo.control.job(waiting.jobId)).toMatchObject({ status: 'waiting' });
  await forge.unregister(idle.id);
  await expect(forge.withhold(idle)).resolves.toBeUndefined();
});

/** The task that a runner gets when it asks for a job by its handle, in Connect's JSON form. */
async function handed(url: string, { uuid, token }: Credentials, handle: string): Promise<unknown> {
  const answer = await fetch(`${url}${rpc}/FetchSingleTask`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-runner-uuid': uuid, 'x-runner-token': token },
    body: JSON.stringify({ tasksVersion: '0', handle }),
  });
  const said: unknown = await answer.json();
  return typeof said === 'object' && said !== null ? Reflect.get(said, 'task') : undefined;
}

test.each([
  ['a server that knows no such call', { status: 404, text: 'Not found.' }, undefined],
  ['a registration that is gone', { status: 401, json: { code: 'unauthenticated', message: 'unregistered runner' } }, undefined],
  ['a server in trouble', { status: 500, json: { code: 'internal', message: '' } }, 'FORGE_UNREACHABLE'],
  ["a proxy's own 401", { status: 401, text: 'who are you?' }, 'FORGE_UNAUTHORIZED'],
  ['a server that has done it', { status: 200, json: { runner: { id: '6', uuid: 'uuid-6', name: 'j', ephemeral: true } } }, undefined],
  ['a server that kept a label', { status: 200, json: { runner: { uuid: 'uuid-6', labels: ['debian'] } } }, 'FORGE_INCOMPATIBLE'],
  ['a server that speaks of another runner', { status: 200, json: { runner: { uuid: 'uuid-7' } } }, 'FORGE_INCOMPATIBLE'],
] as const)('what %s answers when jobs are withheld', async (_, answer, code) => {
  const { forge, server } = await forgejoUnderTest(() => answer);
  const said = await forge.withhold(credentials).catch((error: unknown) => (error instanceof ControllerError ? error.code : error));
  expect(said).toBe(code);
  expect(server.heard.map(({ path, body }) => [path, JSON.parse(body)])).toEqual([[`${rpc}/Declare`, { version: '', labels: [] }]]);
  expect(server.heard[0]?.headers).toMatchObject({ 'x-runner-uuid': credentials.uuid, 'x-runner-token': credentials.token });
});

const credentials: Credentials = { id: 6, uuid: 'uuid-6', token: 'f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0' };
const rpc = '/api/actions/runner.v1.RunnerService';

test('a log that its runner had closed is left as it is, and the job fails all the same', async () => {
  const { forge, server } = await forgejoUnderTest(({ path, body }) => {
    if (path.endsWith('UpdateTask')) return { status: 200, json: { state: { id: '7', result: 'RESULT_FAILURE' } } };
    if (JSON.parse(body).rows.length === 0) return { status: 200, json: { ackIndex: '3' } };
    return { status: 409, json: { code: 'already_exists', message: 'log file has been archived' } };
  });
  await expect(forge.reportFailure(credentials, 7, lines)).resolves.toBe('reported');
  expect(server.asked()).toEqual([`POST ${rpc}/UpdateLog`, `POST ${rpc}/UpdateLog`, `POST ${rpc}/UpdateTask`]);
  const messages = server.heard.map(({ body }) => JSON.parse(body));
  expect(messages[1]).toMatchObject({ taskId: '7', index: '3', noMore: true, rows: lines.map((content) => ({ content })) });
  expect(messages[2]).toEqual({ state: { id: '7', result: 'RESULT_FAILURE', stoppedAt: expect.stringMatching(/^2027-.*Z$/) } });
});

const notOurs = { status: 500, json: { code: 'internal', message: 'invalid runner for task' } };
const over = { status: 401, json: { code: 'unauthenticated', message: 'unregistered runner' } };
test.each([
  ['foreign', 1, notOurs],
  ['over', 1, over],
  ['foreign', 2, notOurs],
  ['over', 2, over],
] as const)('a task that turns out to be %s at call %i has nothing more asked of it', async (outcome, at, refusal) => {
  let calls = 0;
  const { forge, server } = await forgejoUnderTest(() => ((calls += 1) === at ? refusal : { status: 200, json: {} }));
  await expect(forge.reportFailure(credentials, 7, lines)).resolves.toBe(outcome);
  expect(server.heard).toHaveLength(at);
});

test('the report speaks with the credentials of the runner and never with the token of the controller', async () => {
  const { forge, server } = await forgejoUnderTest(() => ({ status: 200, json: {} }));
  await forge.reportFailure(credentials, 7, lines);
  expect(server.heard).toHaveLength(3);
  for (const { headers, body, path } of server.heard) {
    expect(headers['x-runner-uuid']).toBe('uuid-6');
    expect(headers['x-runner-token']).toBe(credentials.token);
    expect(JSON.stringify([headers, body, path])).not.toContain(secretToken);
  }
});

const refusals: readonly (readonly [string, Scripted, string])[] = [
  ['500 without words', { status: 500, json: { code: 'internal', message: '' } }, 'FORGE_UNREACHABLE'],
  ['Actions switched off', { status: 404, text: 'Not found.' }, 'FORGE_INCOMPATIBLE'],
  ["a proxy's own 401", { status: 401, text: 'who are you?' }, 'FORGE_UNAUTHORIZED'],
  ['a sign-in page', { status: 200, text: '<html>', headers: { 'content-type': 'text/html' } }, 'FORGE_INCOMPATIBLE'],
  ['a count that is none', { status: 200, json: { ackIndex: '-1' } }, 'FORGE_INCOMPATIBLE'],
];
test.each(refusals)('%s is an error, so that the report is tried again; it names no token', async (_, answer, code) => {
  const { forge } = await forgejoUnderTest(() => answer);
  const error = await refusalFrom(forge.reportFailure(credentials, 7, lines));
  expect(error.code).toBe(code);
  expect(wholeTextOf(error)).not.toContain(credentials.token);
});
