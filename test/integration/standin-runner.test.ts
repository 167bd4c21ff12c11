// Promises that the stand-in runner ends with the exit codes and last lines of forgejo-runner 12.8.2, run as the built executable.

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { Result } from '../support/gen/runner/v1/messages_pb.ts';
import { builtRunner, startRunner, someUuid, temporaryFolder } from '../support/runner/runner-process.ts';
import { type ScriptedRpc, startScriptedRpc, unregistered } from '../support/runner/scripted-rpc.ts';

const workflow = (run: string): string => `jobs:\n  build:\n    runs-on: debian\n    steps:\n      - run: ${JSON.stringify(run)}\n`;

describe('one-job', () => {
  let rpc: ScriptedRpc;
  beforeEach(async () => {
    rpc = await startScriptedRpc({ workflow: workflow('echo hello') });
  });
  afterEach(() => rpc.close());

  test('a good job prints the lines of the real runner and exits 0', async () => {
    const runner = await startRunner({ url: rpc.url, words: ['--handle', 'h-1', '--wait'], config: undefined });
    expect(await runner.end).toMatchObject({ code: 0 });
    const lines = runner.stderr().trim().split('\n');
    expect(lines.every((line) => /^time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ" level=info msg=/.test(line))).toBe(true);
    expect(lines.map((line) => line.slice(line.indexOf('msg=') + 4))).toEqual([
      '"No configuration file specified; using default settings."',
      '"Starting job"',
      '"runner: r-c01, with version: v12.8.2, with labels: [debian], ephemeral: true, declared successfully"',
      '"single task poller launched"',
      `"single task poller successfully fetched one task from ${rpc.url}"`,
      `"task 1 repo is acme/demo https://data.forgejo.org ${rpc.url}"`,
      '"single task poller is shutting down"',
    ]);
    expect(runner.stdout()).toBe('');
    expect(rpc.final()?.result).toBe(Result.SUCCESS);
  });

  test('calls come in order: Declare, the fetch, log and state at once, and at the end the log before the final state', async () => {
    const runner = await startRunner({ url: rpc.url, words: ['--handle', 'h-1'] });
    await runner.end;
    expect(rpc.calls.slice(0, 2).map((call) => call.method)).toEqual(['Declare', 'FetchSingleTask']);
    expect(rpc.calls.at(-2)?.method).toBe('UpdateLog');
    expect(rpc.calls.at(-1)?.method).toBe('UpdateTask');
    expect(rpc.noMore()).toBe(true);
    for (const call of rpc.calls) {
      expect(call.headers).toMatchObject({
        'content-type': 'application/proto',
        'user-agent': 'forgejo-runner/v12.8.2',
        'x-runner-uuid': someUuid,
        'x-runner-token': 'secret-token',
      });
      expect('x-runner-request-key' in call.headers).toBe(call.method === 'FetchSingleTask');
    }
  });

  test('a failed job exits 0 too, with the last line of a good one', async () => {
    await rpc.close();
    rpc = await startScriptedRpc({ workflow: workflow('exit 7') });
    const runner = await startRunner({ url: rpc.url });
    expect(await runner.end).toMatchObject({ code: 0 });
    expect(runner.stderr()).toContain('msg="single task poller is shutting down"');
    expect(rpc.count('FetchTask')).toBe(1);
    expect(rpc.final()?.result).toBe(Result.FAILURE);
    expect(rpc.rows()).toContain('RUN exit status 7');
  });

  test('no task without --wait exits 2, with or without a handle', async () => {
    rpc.trouble = (method) => (method.startsWith('Fetch') ? { kind: 'empty' } : undefined);
    for (const words of [[], ['--handle', 'dead']]) {
      const runner = await startRunner({ url: rpc.url, words });
      expect(await runner.end).toMatchObject({ code: 2 });
      expect(runner.stderr().trim().split('\n').at(-1)).toBe('Error: no task received');
    }
  });

  test('no label declares none and exits 2', async () => {
    rpc.trouble = (method) => (method.startsWith('Fetch') ? { kind: 'empty' } : undefined);
    const runner = await startRunner({ url: rpc.url, labels: [] });
    expect(await runner.end).toMatchObject({ code: 2 });
    expect(runner.stderr()).toContain('with labels: []');
  });

  test('a lost fetch reply without --wait exits 2 although the server gave the task away', async () => {
    rpc.trouble = (method) => (method === 'FetchSingleTask' ? { kind: 'lost' } : undefined);
    const runner = await startRunner({ url: rpc.url, words: ['--handle', 'h-1'] });
    expect(await runner.end).toMatchObject({ code: 2 });
  });

  test('a dead credential exits 1 at once even with --wait', async () => {
    rpc.trouble = () => unregistered;
    const runner = await startRunner({ url: rpc.url, words: ['--wait'] });
    expect(await runner.end).toMatchObject({ code: 1 });
    expect(runner.stderr()).toContain('Error: unauthenticated: unregistered runner\n');
    expect(rpc.calls).toHaveLength(1);
  });

  test('a refused connection at the start exits 1 after one try even with --wait', async () => {
    const runner = await startRunner({ url: 'http://127.0.0.1:1', words: ['--wait'] });
    expect(await runner.end).toMatchObject({ code: 1 });
    expect(runner.stderr()).toContain('Error: unavailable: dial tcp 127.0.0.1:1: connect: connection refused\n');
  });

  test('a bad gateway at the start exits 1', async () => {
    rpc.trouble = () => ({ kind: 'plain', status: 502, text: '<html>' });
    const runner = await startRunner({ url: rpc.url, words: ['--wait'] });
    expect(await runner.end).toMatchObject({ code: 1 });
    expect(runner.stderr()).toContain('Error: unavailable: 502 Bad Gateway\n');
  });

  test('a server that never answers at the start exits 1 after FORGEJO_CLIENT_TIMEOUT seconds', async () => {
    rpc.trouble = () => ({ kind: 'silence' });
    const runner = await startRunner({ url: rpc.url, env: { FORGEJO_CLIENT_TIMEOUT: '1' } });
    const end = await runner.end;
    expect(end).toMatchObject({ code: 1 });
    expect(end.ms).toBeGreaterThan(1000);
    expect(runner.stderr()).toMatch(/Error: deadline_exceeded: .*\(Client\.Timeout exceeded while awaiting headers\)\n/);
  });

  test('a token that ends in a newline is refused as 12.8.2 does, without a call', async () => {
    const runner = await startRunner({ url: rpc.url, token: 'secret-token\n' });
    expect(await runner.end).toMatchObject({ code: 1 });
    expect(runner.stderr()).toContain('Error: unavailable: net/http: invalid header field value for "X-Runner-Token"\n');
    expect(rpc.calls).toHaveLength(0);
  });

  test('a .runner file in the cwd conflicts with the flags', async () => {
    const home = temporaryFolder();
    writeFileSync(join(home, '.runner'), JSON.stringify({ address: rpc.url, uuid: someUuid, token: 't', labels: [] }));
    const runner = await startRunner({ url: rpc.url, config: `runner:\n  file: ${join(home, '.runner')}\n` });
    expect(await runner.end).toMatchObject({ code: 1 });
    expect(runner.stderr()).toContain(
      'Error: invalid configuration: server connection conflict between program arguments and config; only one source can provide server connections\n',
    );
  });

  test('a docker label exits 1 because there is no Docker', async () => {
    for (const label of ['debian', 'debian:docker://node:22']) {
      const runner = await startRunner({ url: rpc.url, labels: [label] });
      expect(await runner.end).toMatchObject({ code: 1 });
      expect(runner.stderr()).toContain('Error: daemon Docker Engine socket not found and docker_host config was invalid\n');
    }
  });

  test('an unwritable HOME fails the job after it was taken, with exit 0', async () => {
    const runner = await startRunner({ url: rpc.url, env: { HOME: '/dev/null/home' } });
    expect(await runner.end).toMatchObject({ code: 0 });
    expect(rpc.final()?.result).toBe(Result.FAILURE);
    expect(rpc.rows().some((row) => row.startsWith('mkdir /dev/null'))).toBe(true);
  });

  test('the folders of a job are below HOME and gone at the end, and without HOME below the cwd', async () => {
    const runner = await startRunner({ url: rpc.url });
    await runner.end;
    expect(readdirSync(join(runner.home, '.cache/act'))).toEqual([]);
    const homeless = await startRunner({ url: rpc.url, env: { HOME: undefined } });
    await homeless.end;
    expect(existsSync(join(homeless.home, 'cwd/.cache/act'))).toBe(true);
  });

  test('the default config opens two listeners and a cache folder, cache.enabled false opens none', async () => {
    rpc.trouble = (method) => (method.startsWith('Fetch') ? { kind: 'empty' } : undefined);
    const open = await startRunner({ url: rpc.url, words: ['--wait'], config: undefined });
    await open.says('trying again');
    expect(listenersOf(open.pid)).toBe(2);
    expect(readdirSync(join(open.home, '.cache/actcache')).toSorted()).toEqual(['bolt.db', 'cache']);
    const closed = await startRunner({ url: rpc.url, words: ['--wait'] });
    await closed.says('trying again');
    expect(listenersOf(closed.pid)).toBe(0);
    expect(existsSync(join(closed.home, '.cache'))).toBe(false);
  });
});

describe('refusals before any call', () => {
  const connection = ['--url', 'http://127.0.0.1:1', '--label', 'x:host'];
  const rows: readonly (readonly [what: string, words: readonly string[], sentence: string])[] = [
    ['no connection', ['one-job'], 'Error: one-job is only supported with a single connection, but 0 connections are configured'],
    [
      'a token file that is not there',
      ['one-job', ...connection, '--uuid', someUuid, '--token-url', 'file:///nowhere/token'],
      'Error: invalid configuration: invalid `token-url`: cannot read secret "file:///nowhere/token": open /nowhere/token: no such file or directory',
    ],
    [
      'a token URL without file:',
      ['one-job', ...connection, '--uuid', someUuid, '--token-url', '/tmp/token'],
      'Error: invalid configuration: invalid `token-url`: unsupported secret URL: "/tmp/token"',
    ],
    [
      'a malformed uuid',
      ['one-job', ...connection, '--uuid', 'zz', '--token-url', 'file:/t'],
      'malformed `uuid` "zz": invalid UUID length: 2',
    ],
    [
      'labels joined by a comma',
      ['one-job', '--url', 'http://127.0.0.1:1', '--uuid', someUuid, '--token-url', 'file:/t', '--label', 'x:host,y:host'],
      'malformed `label` "x:host,y:host": unsupported schema: host,y',
    ],
    ['an unknown flag', ['one-job', '--bogus'], 'Error: unknown flag: --bogus'],
  ];
  test.each(rows)('%s exits 1 with the sentence of the real runner', async (_what, words, sentence) => {
    const runner = await startRunner(words);
    expect(await runner.end).toMatchObject({ code: 1 });
    expect(runner.stderr()).toContain(sentence);
  });
});

test('the token comes from a file, a path with or without an authority, the credentials directory, or a pipe on stdin', async () => {
  const rpc = await startScriptedRpc({ workflow: workflow('true') });
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'token'), 'from-file');
  const program = await builtRunner();
  for (const url of [`file:${folder}/token`, `file://${folder}/token`, 'file:$CREDENTIALS_DIRECTORY/token', 'file:///dev/stdin']) {
    const words = ['one-job', '--url', rpc.url, '--uuid', someUuid, '--token-url', url, '--label', 'x:host'];
    const env = { PATH: process.env['PATH'], HOME: folder, CREDENTIALS_DIRECTORY: folder };
    // A shell's pipe, because Node's own pipes are sockets.
    await promisify(execFile)('/bin/sh', ['-c', 'printf from-stdin | "$@"', 'sh', program, ...words], { env, cwd: folder });
  }
  const declares = rpc.calls.filter((call) => call.method === 'Declare').map((call) => call.headers['x-runner-token']);
  expect(declares).toEqual(['from-file', 'from-file', 'from-file', 'from-stdin']);
  await rpc.close();
});

test('--version and --help answer on stdout with exit 0', async () => {
  const version = await startRunner(['--version']);
  expect(await version.end).toMatchObject({ code: 0 });
  expect(version.stdout()).toBe('forgejo-runner version v12.8.2\n');
  const help = await startRunner(['one-job', '--help']);
  expect(await help.end).toMatchObject({ code: 0 });
  expect(help.stdout()).toContain('--token-url string');
});

/** Listening TCP sockets of a process. */
function listenersOf(pid: number): number {
  const inodes = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)));
  const tables = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n').slice(1));
  const listening = tables.map((line) => line.trim().split(/\s+/)).filter((columns) => columns[3] === '0A');
  return listening.filter((columns) => inodes.has(`socket:[${columns[9]}]`)).length;
}
