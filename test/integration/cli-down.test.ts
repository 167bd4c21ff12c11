// Promises what runner-status says when no service, a slow one, a strange one or a refusing one answers, with its exit codes; and that the
// program ends at a signal and at a reader that went away.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runs } from '../support/cli-run.ts';

const program = fileURLToPath(new URL('../../src/runner-status.ts', import.meta.url));
let folder = '';
const servers: Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-cli-'));
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

/** A server that sends this to everybody, and closes unless it is told to stay silent. */
async function saying(text: string, close = true): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    if (text !== '') socket.write(text);
    if (close) socket.end();
  });
  servers.push(server);
  const socket = join(folder, `${servers.length}.sock`);
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  return socket;
}

function http(status: string, body: string, type = 'application/json'): string {
  return `HTTP/1.1 ${status}\r\nContent-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;
}

const problem = (status: number, code: string, detail: string) => JSON.stringify({ type: 'about:blank', title: 't', status, code, detail });

/** A systemctl that knows what it is told. */
async function systemctl(show: string, units: string): Promise<Record<string, string>> {
  const path = join(folder, 'systemctl');
  await writeFile(path, `#!/bin/sh\ncase $1 in show) printf '%b' '${show}';; list-units) printf '%b' '${units}';; esac\n`);
  await chmod(path, 0o755);
  return { PATH: `${folder}:/usr/bin:/bin` };
}

describe('a service that is down', () => {
  test('is said to be down in one sentence, with what systemd knows; exit code 3', async () => {
    const env = await systemctl(
      'LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nResult=exit-code\\nStateChangeTimestamp=Sat 2026-11-21 16:40:00 UTC\\n',
      [
        'forgejo-runner-ci-1-j0000000042.service loaded active running x',
        'forgejo-runner-ci-1-w00000000ab.service loaded active running x',
        'container@j0000000043.service loaded active running x',
        'container@web.service loaded active running x',
        'forgejo-runner-controller.service loaded active running x',
        'forgejo-runner-controller-demo.service loaded active running x',
      ].join('\\n'),
    );
    const { code, out, err } = await runs(['--socket', join(folder, 'none.sock')], { env });
    expect([code, out]).toEqual([3, '']);
    expect(err.split('\n')).toEqual([
      `runner-status: the service does not answer at ${folder}/none.sock: there is no such socket`,
      'systemd: forgejo-runner-controller.service is failed (failed, result exit-code) since Sat 2026-11-21 16:40:00 UTC; 3 machines of it run on',
      '',
    ]);
  });

  test.each([
    [3, 'result exit-code 3: this host cannot run machines)'],
    [243, 'result exit-code 243: a file that LoadCredential= names is not there, or cannot be read)'],
    [77, 'result exit-code)'],
  ])('that ended with code %i is told with what that means, where it is known', async (status, told) => {
    const env = await systemctl(
      `LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nResult=exit-code\\nExecMainStatus=${status}\\n`,
      '',
    );
    expect((await runs(['--socket', join(folder, 'none.sock')], { env })).err).toContain(told);
  });

  test('is told apart from one that was never installed', async () => {
    const env = await systemctl('LoadState=not-found\\nActiveState=inactive\\n', '');
    const { err } = await runs(['--socket', join(folder, 'none.sock')], { env });
    expect(err).toContain('systemd: forgejo-runner-controller.service is not installed on this host; no machines of it run');
  });

  test('without a systemd that answers only the sentence is there, and another host is not asked about ours', async () => {
    const sentence = 'runner-status: the service does not answer at http://127.0.0.1:9: nobody listens there\n';
    expect(await runs(['--url', 'http://127.0.0.1:9'])).toEqual({ code: 3, out: '', err: sentence });
    const env = await systemctl('LoadState=loaded\\nActiveState=active\\n', '');
    const { code, err } = await runs(['--url', 'http://host.invalid:9'], { env });
    expect(code).toBe(3);
    expect(err).not.toContain('systemd');
  });
});

describe('an answer of somebody else', () => {
  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', 'does not speak HTTP'],
    ['nothing', '', 'the connection was cut'],
    ['half an answer', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"', 'the connection was cut'],
    ['a page', http('200 OK', '<html>hello</html>', 'text/html'), 'is not this service: 200 and no JSON for /'],
    ['a page of an error', http('502 Bad Gateway', '<html>nginx</html>', 'text/html'), 'is not this service: 502 and no JSON'],
    ['a redirect', 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n', 'is not this service: 302'],
    ['JSON that is null', http('200 OK', 'null'), 'is not this service, or of another version: the whole of it'],
    ['JSON of another kind', http('200 OK', '{"status":"ok","reasons":"many"}'), 'or of another version: starting'],
    ['an error of another kind', http('500 Oops', '{"message":"no"}'), 'is not this service: 500 without a reason'],
  ])('that is %s is told as such, with exit code 3', async (_, text, why) => {
    const { code, out, err } = await runs(['--socket', await saying(text)]);
    expect([code, out]).toEqual([3, '']);
    expect(err).toContain(why);
  });

  test('JSON of another kind is no picture for programs either', async () => {
    expect(await runs(['--json', '--socket', await saying(http('200 OK', '{}'))])).toMatchObject({ code: 3 });
  });

  test('JSON in which a character would move the terminal comes out as the same data with that escaped', async () => {
    const { out } = await runs(['--json', '--socket', await saying(http('200 OK', '{"status":"ok","x":"\u009b31m\u202e"}'))]);
    expect(out).toBe(`${String.raw`{"status":"ok","x":"\u009b31m\u202e"}`}\n`);
  });

  test.each([
    ['at all', ''],
    ['to the end', 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{'],
  ])('one that does not answer %s is given up in time, with exit code 3', async (_, text) => {
    const socket = await saying(text, false);
    const { code, err } = await runs(['--socket', socket], { answerMs: 100 });
    expect(code).toBe(3);
    expect(err).toContain(`${socket} did not answer within 0.1 s`);
  });
});

describe('a refusal', () => {
  test.each([
    [
      http('401 Unauthorized', problem(401, 'TOKEN_MISSING', 'This needs a token.')),
      4,
      'This needs a token. (TOKEN_MISSING) Give --token-file',
    ],
    [http('403 Forbidden', problem(403, 'WRITES_OFF', 'Orders are off.')), 4, 'Orders are off. (WRITES_OFF)'],
    [http('404 Not Found', problem(404, 'NOT_FOUND', 'There is nothing here.')), 1, 'There is nothing here. (NOT_FOUND)'],
    [http('500 Oops', problem(500, 'INTERNAL', 'This is a bug.')), 1, 'This is a bug. (INTERNAL)'],
  ])('is told with its reason and code: %#', async (text, exit, why) => {
    const { code, out, err } = await runs(['plan', '--socket', await saying(text)]);
    expect([code, out]).toEqual([exit, '']);
    expect(err).toContain(why);
  });
});

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };
function end(args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { env: { PATH: '/nowhere' } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('the program', () => {
  test('ends with the exit code of what it was asked', async () => {
    expect(await end(['--version'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^runner-status \d+\.\d+\.\d+\n$/) });
    expect(await end(['frob'])).toMatchObject({ code: 2, stdout: '' });
    expect(await end(['--socket', join(folder, 'none.sock')])).toMatchObject({ code: 3, stdout: '' });
  });

  test('an interrupt ends a question that nobody answers, with exit code 130', async () => {
    const socket = await saying('', false);
    const asked = Promise.all(servers.map((server) => once(server, 'connection')));
    const child = spawn(process.execPath, [program, 'plan', '--socket', socket], { stdio: 'ignore', env: { PATH: '/nowhere' } });
    await asked;
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([130, null]);
  });

  test('a reader that went away ends it quietly', async () => {
    const child = spawn(process.execPath, [program, '--help'], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: '/nowhere' } });
    child.stdout.destroy();
    const said: string[] = [];
    child.stderr.on('data', (part) => said.push(String(part)));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(said).toEqual([]);
  });
});

const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

describe('logs', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n';

  test('are printed line by line as they come, signs of life left out, and nothing that a terminal would obey', async () => {
    const text = [
      chunk('one\ntw'),
      chunk('o\r\n'),
      chunk('\r'),
      chunk('\rthree\t\u001b[2J\n(the machine ended: killed: memory limit 256 MiB)'),
      '0\r\n\r\n',
    ];
    const { code, out } = await runs(['logs', 'j0000000042', '-f', '--socket', await saying(head + text.join(''))]);
    expect(code).toBe(0);
    expect(out).toBe(`one\ntwo\nthree\t${String.raw`\u001b[2J`}\n(the machine ended: killed: memory limit 256 MiB)\n`);
  });

  test('that break off are said to, after what came: exit code 3', async () => {
    const { code, out, err } = await runs(['logs', 'j0000000042', '--socket', await saying(head + chunk('one\n'))]);
    expect([code, out]).toEqual([3, 'one\n']);
    expect(err).toContain('the connection was cut');
  });

  test('of a runner that nobody knows are refused: exit code 1', async () => {
    const socket = await saying(http('404 Not Found', problem(404, 'NOT_FOUND', 'No runner of that id.')));
    expect(await runs(['logs', 'nobody', '--socket', socket])).toMatchObject({ code: 1, out: '' });
  });
});
