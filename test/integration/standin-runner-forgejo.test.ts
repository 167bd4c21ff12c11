// Promises that the stand-in runner and the stand-in Forgejo, which were written apart from the same evidence, do a job's whole life together:
// registered over REST, fetched by handle, run, reported, registration gone.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';

import { runnerConfigOf } from '../../src/driver/root.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { type ForgejoStandIn, startForgejo } from '../support/forgejo/forgejo.ts';
import { quickConfig, type RunnerProcess, startRunner, until } from '../support/runner/runner-process.ts';

const repository = 'acme/demo';
let forgejo: ForgejoStandIn;

beforeEach(async () => {
  forgejo = await startForgejo();
  await forgejo.control.addOrganization({ name: 'acme', owners: [forgejo.admin] });
  await forgejo.control.addRepository({ repository });
});
afterEach(() => forgejo.close());

async function register(ephemeral: boolean): Promise<{ uuid: string; token: string }> {
  const response = await fetch(`${forgejo.url}/api/v1/repos/${repository}/actions/runners`, {
    method: 'POST',
    headers: { authorization: `token ${forgejo.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'r1', ephemeral }),
  });
  expect(response.status).toBe(201);
  return (await response.json()) as { uuid: string; token: string };
}

async function runnerFor(handle: string, config: string = quickConfig): Promise<RunnerProcess> {
  const credentials = await register(true);
  return startRunner({ url: forgejo.url, ...credentials, words: ['--handle', handle, '--wait'], config });
}

test('a job is fetched by its handle, its log and outputs arrive, its dependant sees them, and each registration is gone', async () => {
  const workflow = `jobs:
  first:
    runs-on: debian
    outputs: { word: "\${{ steps.say.outputs.word }}" }
    steps: [{ id: say, run: "echo hello; echo word=carried >> $GITHUB_OUTPUT" }]
  second:
    runs-on: debian
    needs: [first]
    steps: [{ run: "echo got \${{ needs.first.outputs.word }}" }]
`;
  const [first, second] = await forgejo.control.queueWorkflow({ repository, workflow });
  if (first === undefined || second === undefined) throw new Error('two jobs were expected');
  const one = await runnerFor(first.handle);
  expect(await one.end).toMatchObject({ code: 0 });
  const done = await forgejo.control.job(first.jobId);
  expect(done).toMatchObject({ status: 'success', logClosed: true, outputs: { word: 'carried' } });
  expect(done.log.join('\n')).toMatch(/ hello$/m);
  const next = await forgejo.control.untilJob({ id: second.jobId, states: ['waiting'] });
  await (
    await runnerFor(next.handle)
  ).end;
  const last = await forgejo.control.job(second.jobId);
  expect(last.status).toBe('success');
  expect(last.log.join('\n')).toMatch(/ got carried$/m);
  expect(await forgejo.control.registrations()).toEqual([]);
});

test('a failed step is a failed job, and its token is masked in the log', async () => {
  const { handle, jobId } = await forgejo.control.queueJob({ repository, labels: ['debian'], script: 'echo "t=$GITHUB_TOKEN"; exit 4' });
  expect(await (await runnerFor(handle)).end).toMatchObject({ code: 0 });
  const job = await forgejo.control.job(jobId);
  expect(job).toMatchObject({ status: 'failure', steps: [{ id: 0, result: 'failure' }] });
  expect(job.log.join('\n')).toMatch(/ t=\*\*\*$/m);
});

test('a cancelled run takes the ephemeral registration away, and the runner does its job to the end without noticing', async () => {
  const script = 'touch $HOME/started; sleep 1; touch $HOME/ended';
  const { handle, jobId, runId } = await forgejo.control.queueJob({ repository, labels: ['debian'], script });
  const runner = await runnerFor(handle);
  await until('the step has started', () => existsSync(join(runner.home, 'started')));
  await forgejo.control.cancel(runId);
  expect(await forgejo.control.registrations()).toEqual([]);
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(existsSync(join(runner.home, 'ended'))).toBe(true);
  expect(runner.stderr()).toContain('unable to send final job logs and status');
  expect(await forgejo.control.job(jobId)).toMatchObject({ status: 'cancelled' });
});

test('a runner stopped by SIGTERM leaves a failed job, one that was killed leaves a running one', async () => {
  for (const [signal, status] of [
    ['SIGTERM', 'failure'],
    ['SIGKILL', 'running'],
  ] as const) {
    const { handle, jobId } = await forgejo.control.queueJob({ repository, labels: ['debian'], script: 'touch $HOME/started; sleep 2' });
    const runner = await runnerFor(handle);
    await until('the step has started', () => existsSync(join(runner.home, 'started')));
    runner.kill(signal);
    await runner.end;
    expect(await forgejo.control.job(jobId)).toMatchObject({ status });
  }
});

test('a spent registration is refused at the start with exit 1', async () => {
  const { handle } = await forgejo.control.queueJob({ repository, labels: ['debian'], script: 'true' });
  const credentials = await register(true);
  const call = { url: forgejo.url, ...credentials, words: ['--handle', handle, '--wait'] };
  expect(await (await startRunner(call)).end).toMatchObject({ code: 0 });
  const again = await startRunner(call);
  expect(await again.end).toMatchObject({ code: 1 });
  expect(again.stderr()).toContain('Error: unauthenticated: unregistered runner');
});

test('the daemon takes job after job with one lasting registration, and notices a cancel', async () => {
  const jobs = [];
  for (const script of ['echo one', 'echo two']) jobs.push(await forgejo.control.queueJob({ repository, labels: ['debian'], script }));
  const often = `${quickConfig}  report_interval: 50ms\n`;
  const credentials = await register(false);
  const runner = await startRunner({
    url: forgejo.url,
    ...credentials,
    mode: 'daemon',
    words: ['--fetch-interval', '100ms'],
    config: often,
  });
  for (const { jobId } of jobs) await forgejo.control.untilJob({ id: jobId, states: ['success'] });
  const long = await forgejo.control.queueJob({ repository, labels: ['debian'], script: 'sleep 30' });
  await forgejo.control.untilJob({ id: long.jobId, states: ['running'] });
  await forgejo.control.cancel(long.runId);
  await runner.says('UpdateTask returned task result RESULT_CANCELLED');
  runner.kill('SIGTERM');
  expect(await runner.end).toMatchObject({ code: 0 });
});

test("with the controller's configuration a job's result outlives a forge that restarts when the job ends", async () => {
  const [queued] = await forgejo.control.queueJobs({ repository, labels: ['debian'], script: 'sleep 0.5', count: 1 });
  if (queued === undefined) throw new Error('a job was expected');
  const proxy = await startFaultProxy({ host: '127.0.0.1', port: Number(new URL(forgejo.url).port) }, () => 1);
  onTestFinished(() => proxy.close());
  const credentials = await register(true);
  const config = runnerConfigOf({ timeouts: { startMs: 60_000, pickMs: 60_000, jobMs: 60_000, stopMs: 60_000 }, containers: 'podman' });
  const runner = await startRunner({
    url: `http://127.0.0.1:${proxy.port}`,
    ...credentials,
    words: ['--handle', queued.handle, '--wait'],
    config,
  });
  await runner.says('successfully fetched one task');
  await proxy.down();
  // Six tries are over after three seconds, and few forges are back by then.
  await until('a seventh try', () => runner.stderr().split('will be retried').length > 7);
  await proxy.up();
  await runner.end;
  expect(await forgejo.control.job(queued.jobId)).toMatchObject({ status: 'success', logClosed: true });
}, 60_000);
