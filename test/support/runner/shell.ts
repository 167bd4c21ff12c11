// Runs one script as a step's process: own session and process group, output line by line, SIGKILL to the whole group when aborted and
// when its shell has ended. What has left the group (setsid) lives on, as with the real runner.

import { execFile, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';

export type ShellRun = {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** A FIFO for the output, or undefined where none could be made. */
  readonly fifo: string | undefined;
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
};

export type ShellEnd = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** How long output may still come from processes that outlive the step's shell. */
const drainMs = 250;

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return false;
  }
}

/** The path of a program, or undefined, by the given PATH. */
function findProgram(name: string, path: string | undefined): string | undefined {
  if (name.includes('/')) return executable(name) ? name : undefined;
  return (path ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(executable);
}

/** The argument list that runs `file` with the shell a step asks for. Throws the runner's sentence when it is not there. */
export function shellArgv(shell: string | undefined, file: string, path: string | undefined): readonly string[] {
  if (shell === undefined) {
    const bash = findProgram('bash', path);
    return bash === undefined ? shellArgv('sh', file, path) : [bash, '--noprofile', '--norc', '-e', '-o', 'pipefail', file];
  }
  const words: Readonly<Record<string, string>> = {
    bash: 'bash --noprofile --norc -e -o pipefail {0}',
    sh: 'sh -e {0}',
    python: 'python {0}',
    node: 'node {0}',
  };
  const [name = '', ...rest] = (words[shell] ?? shell).split(' ').filter((word) => word !== '');
  const program = findProgram(name, path);
  if (program === undefined) throw new Error(`Cannot find: ${name} in PATH`);
  return [program, ...rest.map((word) => word.replace('{0}', file))];
}

/**
 * Makes the FIFOs. Node's own pipes are sockets, and `echo > /dev/stderr` fails on a socket; one FIFO also keeps stdout and stderr in order.
 * Answers false where there is no mkfifo, and then pipes have to do.
 */
export async function makeFifos(paths: readonly string[]): Promise<boolean> {
  if (paths.length === 0 || findProgram('mkfifo', process.env['PATH']) === undefined) return false;
  await promisify(execFile)('mkfifo', [...paths]);
  return true;
}

function createLines(onLine: (line: string) => void): { push(text: string): void; end(): void } {
  let rest = '';
  const emit = (line: string): void => onLine(line.replace(/\r$/, ''));
  return {
    push(text) {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) emit(line);
    },
    end() {
      if (rest !== '') emit(rest);
      rest = '';
    },
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Resolves when the stream has ended, or when the drain time is over. On a busy machine that may pass before the loop has looked at the
 * stream even once, so it looks once more: otherwise what the step has written would be lost.
 */
function drained(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    const giveUp = (): void => {
      stream.destroy();
      resolve();
    };
    const timer = setTimeout(() => setImmediate(giveUp), drainMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    if (stream.readableEnded || stream.destroyed) done();
    else stream.once('end', done).once('error', done).once('close', done);
  });
}

export async function runShell({ argv, cwd, env, fifo, signal, onLine }: ShellRun): Promise<ShellEnd> {
  const [program = '', ...words] = argv;
  if (signal.aborted) return { code: null, signal: 'SIGKILL' };
  const reader = fifo === undefined ? undefined : openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = fifo === undefined ? undefined : openSync(fifo, constants.O_WRONLY);
  const output = writer ?? 'pipe';
  const child = spawn(program, words, { cwd, env, detached: true, stdio: ['ignore', output, output] });
  if (writer !== undefined) closeSync(writer);
  const fromFifo = reader === undefined ? [] : [new Socket({ fd: reader, readable: true, writable: false })];
  const streams: Readable[] = [...fromFifo, child.stdout, child.stderr].filter((stream) => stream !== null);
  const ends = streams.map((stream) => {
    const lines = createLines(onLine);
    stream.setEncoding('utf8').on('data', (text: string) => lines.push(text));
    return lines;
  });
  const kill = (): void => {
    if (child.pid !== undefined) killGroup(child.pid);
  };
  signal.addEventListener('abort', kill, { once: true });
  const ended = await new Promise<ShellEnd | Error>((resolve) => {
    child.once('error', resolve);
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  signal.removeEventListener('abort', kill);
  kill();
  await Promise.all(streams.map(drained));
  for (const lines of ends) lines.end();
  if (ended instanceof Error) throw ended;
  return ended;
}
