// Promises that the stand-in runner meets signals, cancels and outages as forgejo-runner 12.8.2 was seen to, run as the built executable. Where
// the real wait is a minute, the config shortens it; the default schedule has a unit test.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

import { Result } from '../support/gen/runner/v1/messages_pb.ts';
import { type RunnerProcess, startRunner, until } from '../support/runner/runner-process.ts';
import { type ScriptedRpc, startScriptedRpc, unregistered } from '../support/runner/scripted-rpc.ts';

const workflow = (run: string): string => `jobs:\n  build:\n    runs-on: debian\n    steps:\n      - run: ${JSON.stringify(run)}\n`;
const oftenConfig = (tries: number): string =>
  `cache:\n  enabled: false\nrunner:\n  report_interval: 50ms\n  report_retry:\n    max_retries: ${tries}\n`;
const briefWait = ['--handle', 'h-1', '--wait', '--fetch-interval', '50ms'];

async function scripted(run: string, ephemeral = true): Promise<ScriptedRpc> {
  const rpc = await startScriptedRpc({ workflow: workflow(run), ephemeral });
  onTestFinished(() => rpc.close());
  return rpc;
}

/** Whether a process runs; a zombie whose parent has not looked yet does not. */
function alive(pid: number | string): boolean {
  return existsSync(`/proc/${pid}`) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}

/** Starts a job that writes `pid` and then waits, and answers once it is running. */
async function running(rpc: ScriptedRpc, config: string): Promise<{ runner: RunnerProcess; stepAlive: () => boolean }> {
  const runner = await startRunner({ url: rpc.url, config });
  let stepPid = 0;
  await until('the step runs', () => {
    stepPid = Number(
      rpc
        .rows()
        .find((row) => /^pid \d+$/.test(row))
        ?.slice(4) ?? 0,
    );
    return stepPid > 0;
  });
  return { runner, stepAlive: () => alive(stepPid) };
}

const waiting = "trap 'echo trapped' TERM; echo pid $$; sleep 30 & wait; echo not reached";

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} while waiting ends at once with exit 0, also while the server hangs`, async () => {
    for (const kind of ['empty', 'silence'] as const) {
      const rpc = await scripted('true');
      rpc.trouble = (method) => (method === 'FetchSingleTask' ? { kind } : undefined);
      const runner = await startRunner({ url: rpc.url, words: ['--handle', 'h-1', '--wait'] });
      await until('a fetch', () => rpc.count('FetchSingleTask') > 0);
      const before = performance.now();
      runner.kill(signal);
      expect(await runner.end).toMatchObject({ code: 0 });
      expect(performance.now() - before).toBeLessThan(1000);
      expect(runner.stderr().trim().split('\n').at(-1)).toContain('msg="single task poller is shutting down"');
    }
  });

  test(`${signal} mid-job kills the step without grace, reports failure with its log, cleans up and exits 0`, async () => {
    const rpc = await scripted(waiting);
    const { runner, stepAlive } = await running(rpc, oftenConfig(2));
    const before = performance.now();
    runner.kill(signal);
    expect(await runner.end).toMatchObject({ code: 0 });
    expect(performance.now() - before).toBeLessThan(1000);
    expect(stepAlive()).toBe(false);
    expect(rpc.final()?.result).toBe(Result.FAILURE);
    expect(rpc.final()?.stoppedAt).toBeDefined();
    expect(rpc.rows()).not.toContain('trapped');
    expect(rpc.rows()).toContain('this step has been cancelled: ctx: context canceled, exec: RUN signal: killed');
    expect(runner.stderr()).toContain('msg="forcing the the running task to stop"');
    expect(readdirSync(join(runner.home, '.cache/act'))).toEqual([]);
  });
}

test('SIGKILL mid-job says nothing: no final state, and the folder of the job stays behind', async () => {
  const rpc = await scripted('echo pid $$; sleep 1');
  const { runner } = await running(rpc, oftenConfig(2));
  runner.kill('SIGKILL');
  expect(await runner.end).toMatchObject({ code: null, signal: 'SIGKILL' });
  expect(rpc.final()).toBeUndefined();
  expect(readdirSync(join(runner.home, '.cache/act'))).toHaveLength(1);
});

test('--wait asks again every fetch interval when there is no task, and says so', async () => {
  const rpc = await scripted('true');
  rpc.trouble = (method, nth) => (method === 'FetchSingleTask' && nth < 4 ? { kind: 'empty' } : undefined);
  const runner = await startRunner({ url: rpc.url, words: briefWait });
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(runner.stderr().split(`msg="single task poller received no task from ${rpc.url}, trying again"`)).toHaveLength(4);
  expect(rpc.count('Declare')).toBe(1);
});

test('the default fetch interval is two seconds', async () => {
  const rpc = await scripted('true');
  rpc.trouble = (method, nth) => (method === 'FetchSingleTask' && nth < 2 ? { kind: 'empty' } : undefined);
  const runner = await startRunner({ url: rpc.url, words: ['--handle', 'h-1', '--wait'] });
  await runner.end;
  const [first, second] = rpc.calls.filter((call) => call.method === 'FetchSingleTask').map((call) => call.at);
  expect((second ?? 0) - (first ?? 0)).toBeGreaterThanOrEqual(1990);
});

test('a registration deleted while waiting, or a server away, never ends the wait', async () => {
  const rpc = await scripted('true');
  rpc.trouble = (method, nth) =>
    method !== 'FetchSingleTask' ? undefined : nth < 3 ? unregistered : nth < 5 ? { kind: 'reset' } : undefined;
  const runner = await startRunner({ url: rpc.url, words: briefWait });
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(runner.stderr()).toContain('level=error msg="failed to fetch task" error="unauthenticated: unregistered runner"');
  expect(rpc.final()?.result).toBe(Result.SUCCESS);
});

test('a lost fetch reply is asked for again with the same request key, an empty one with a new key', async () => {
  const rpc = await scripted('true');
  rpc.trouble = (method, nth) =>
    method !== 'FetchSingleTask' ? undefined : nth === 1 ? { kind: 'empty' } : nth === 2 ? { kind: 'lost' } : undefined;
  const runner = await startRunner({ url: rpc.url, words: briefWait });
  expect(await runner.end).toMatchObject({ code: 0 });
  const keys = rpc.calls.filter((call) => call.method === 'FetchSingleTask').map((call) => call.headers['x-runner-request-key']);
  expect(keys).toHaveLength(3);
  expect(keys[1]).toBe(keys[2]);
  expect(keys[0]).not.toBe(keys[1]);
});

test('a cancel on an ephemeral registration is not noticed: the step runs to its end and the exit code is 0', async () => {
  const rpc = await scripted('echo pid $$; sleep 0.5; touch $HOME/reached');
  const { runner } = await running(rpc, oftenConfig(3));
  rpc.trouble = () => unregistered;
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(existsSync(join(runner.home, 'reached'))).toBe(true);
  expect(runner.stderr()).toContain('level=warning msg="ReportLog error: unauthenticated: unregistered runner"');
  expect(runner.stderr()).toContain('level=warning msg="ReportState error: unauthenticated: unregistered runner"');
  const tries = runner.stderr().split('uploading final logs failed, but will be retried: unauthenticated: unregistered runner');
  expect(tries).toHaveLength(4);
  expect(runner.stderr()).toContain('level=error msg="unable to send final job logs and status: All attempts fail:');
});

test('SIGTERM after such a cancel kills the step at once, but the tries of the final report are all made', async () => {
  const rpc = await scripted(waiting);
  const { runner, stepAlive } = await running(rpc, oftenConfig(4));
  rpc.trouble = () => unregistered;
  await runner.says('ReportLog error');
  const before = performance.now();
  runner.kill('SIGTERM');
  await until('the step is gone', () => !stepAlive());
  runner.kill('SIGTERM');
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(performance.now() - before).toBeGreaterThanOrEqual(700);
});

test('a cancel of a job on a lasting registration ends it with the line of the real runner, and exit 0', async () => {
  const rpc = await scripted(waiting, false);
  const { runner, stepAlive } = await running(rpc, oftenConfig(2));
  rpc.trouble = (method) => (method === 'UpdateTask' ? { kind: 'cancelled' } : undefined);
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(stepAlive()).toBe(false);
  const line =
    'UpdateTask returned task result RESULT_CANCELLED for a task that was in local state RESULT_UNSPECIFIED - beginning local task termination';
  expect(runner.stderr()).toContain(line);
});

test('resets and bad gateways mid-job lose no log line and do not fail the job', async () => {
  const rpc = await scripted('for n in 1 2 3 4 5 6 7 8; do echo line $n; sleep 0.05; done');
  rpc.trouble = (method, nth) => {
    if (!method.startsWith('Update') || nth > 5) return undefined;
    return nth % 2 === 0 ? { kind: 'reset' } : { kind: 'plain', status: 502, text: '' };
  };
  const runner = await startRunner({ url: rpc.url, config: oftenConfig(10) });
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(rpc.rows().filter((row) => row.startsWith('line'))).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => `line ${n}`));
  expect(runner.stderr()).toContain('level=warning msg="ReportLog error: unavailable: 502 Bad Gateway"');
  expect(rpc.final()?.result).toBe(Result.SUCCESS);
});

test('a server that is back while the final report is retried gets it', async () => {
  const rpc = await scripted('echo pid $$; sleep 0.2');
  const { runner } = await running(rpc, oftenConfig(10));
  rpc.trouble = () => ({ kind: 'reset' });
  await runner.says('uploading final logs failed');
  rpc.trouble = () => undefined;
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(rpc.final()?.result).toBe(Result.SUCCESS);
  expect(runner.stderr()).not.toContain('unable to send');
});

test('a log reply that is lost doubles no line', async () => {
  const rpc = await scripted('for n in 1 2 3 4; do echo line $n; sleep 0.05; done');
  rpc.trouble = (method, nth) => (method === 'UpdateLog' && nth % 2 === 1 ? { kind: 'lost' } : undefined);
  const runner = await startRunner({ url: rpc.url, config: oftenConfig(10) });
  await runner.end;
  expect(rpc.rows().filter((row) => row.startsWith('line'))).toEqual(['line 1', 'line 2', 'line 3', 'line 4']);
});

test('a log call that hangs holds up the end after SIGTERM until the client gives up', async () => {
  const rpc = await scripted(waiting);
  const runner = await startRunner({ url: rpc.url, config: oftenConfig(3), env: { FORGEJO_CLIENT_TIMEOUT: '1' } });
  await until('the step runs', () => rpc.rows().some((row) => row.startsWith('pid')));
  const seen = rpc.count('UpdateLog');
  rpc.trouble = (method) => (method === 'UpdateLog' ? { kind: 'silence' } : undefined);
  await until('a hanging call', () => rpc.count('UpdateLog') > seen);
  runner.kill('SIGTERM');
  const before = performance.now();
  rpc.trouble = () => undefined;
  expect(await runner.end).toMatchObject({ code: 0 });
  expect(performance.now() - before).toBeGreaterThan(500);
  expect(rpc.final()?.result).toBe(Result.FAILURE);
});

test('what a step left in its process group dies with the step, what has a session of its own outlives the runner', async () => {
  const rpc = await scripted('nohup sleep 31 >/dev/null 2>&1 & echo group $!; setsid sleep 3 >/dev/null 2>&1 & echo session $!; sleep 0.1');
  const runner = await startRunner({ url: rpc.url });
  await runner.end;
  const pidOf = (word: string): string =>
    rpc
      .rows()
      .find((row) => row.startsWith(word))
      ?.split(' ')[1] ?? '';
  expect(alive(pidOf('group'))).toBe(false);
  expect(alive(pidOf('session'))).toBe(true);
});

test('the token file may be deleted as soon as Declare is seen', async () => {
  const rpc = await scripted('echo pid $$; sleep 0.2');
  const { runner } = await running(rpc, oftenConfig(2));
  rmSync(join(runner.home, 'token'));
  await runner.end;
  expect(rpc.final()?.result).toBe(Result.SUCCESS);
});

test('daemon refuses an ephemeral registration with exit 1, and polls with a lasting one until it is stopped', async () => {
  const ephemeral = await scripted('true');
  const refused = await startRunner({ url: ephemeral.url, mode: 'daemon' });
  expect(await refused.end).toMatchObject({ code: 1 });
  expect(refused.stderr()).toContain('Error: connection "default" requires an ephemeral runner, which is not supported in daemon-mode\n');
  const lasting = await scripted('true', false);
  const runner = await startRunner({ url: lasting.url, mode: 'daemon', words: ['--fetch-interval', '50ms'] });
  await until('two jobs', () => lasting.states().filter((state) => state.result === Result.SUCCESS).length > 1);
  runner.kill('SIGTERM');
  expect(await runner.end).toMatchObject({ code: 0 });
});
