// Promises the failure report of the Forgejo adapter: a job whose runner is dead ends at once, with the reason in its log, and no job of
// anybody else ever does.

import { expect, test } from 'vitest';
import { createForgejo } from '../../src/forge/forgejo.ts';
import { systemClock } from '../../src/clock.ts';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
