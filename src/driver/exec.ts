// Promises the one door to other programs: run() starts one, bounded in time and output, and says what failed in a whole sentence;
// perform() does the same at a hundredth of the cost where only success matters. No word of an argument ever means anything to a shell.
// Nothing secret may be an argument or go through here.

import type { execa as Execa } from 'execa';
import { ControllerError } from '../errors.ts';
import { hostShell } from './hands.ts';
import { createShell, type ShellResult } from './shell.ts';

export type RunOptions = {
  /** Text for its standard input; without it standard input is empty. */
  readonly input?: string;
  /** Killed after this long; 20 s unless said otherwise. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
};

export type RunResult = {
  /** Exit code; undefined when it never started or a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Set when it could not be started, timed out or was killed: why, in a few words. */
  readonly trouble?: string;
  /** It wrote more than is taken, and was ended for it: `stdout` is the beginning. */
  readonly cut?: true;
};

const defaultTimeoutMs = 20_000;
const maxOutputBytes = 4 * 1024 * 1024;

// Loaded at the first use: 15 ms and 5 MB that `check-config`, `--help` and a quiet start need not pay.
let loaded: Promise<typeof Execa> | undefined;
function load(): Promise<typeof Execa> {
  loaded ??= import('execa').then((module) => module.execa);
  return loaded;
}

/** Runs a program and waits for it. Never rejects for what the program did: look at `code` and `trouble`. */
export async function tryRun(command: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const execa = await load();
  const result = await execa(command, args, {
    reject: false,
    timeout: options.timeoutMs ?? defaultTimeoutMs,
    forceKillAfterDelay: 500,
    maxBuffer: maxOutputBytes,
    // Our children must never be tied to our own end: a restart of the service may not cut a removal in half.
    cleanup: false,
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  const trouble = troubleOf(result, options.timeoutMs ?? defaultTimeoutMs);
  const { exitCode: code, stdout, stderr, isMaxBuffer } = result;
  return { code, stdout, stderr, ...(trouble === undefined ? {} : { trouble }), ...(isMaxBuffer ? { cut: true } : {}) };
}

/** The lines that a program writes, as they come, until it ends or the signal ends it. It ends with this process. Never rejects for what it did. */
export async function* linesOf(command: string, args: readonly string[], signal: AbortSignal): AsyncGenerator<string> {
  const execa = await load();
  const options = { reject: false, buffer: false, stdin: 'ignore', forceKillAfterDelay: 500, cancelSignal: signal } as const;
  yield* execa(command, args, options).iterable();
}

/** Runs a program that has to succeed. Rejects with DRIVER_FAILED and the end of what it wrote on standard error. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(command, args, options);
  if (result.code === 0 && result.trouble === undefined) return result.stdout;
  throw failureOf(command, args, result);
}

/**
 * The step of a start that needs other programs (making.ts), and the look at our rules (firewall.ts). nsenter, not `ip -n`: that one makes a mount
 * namespace and a /sys of its own each time.
 */
const steps = `prepare() {
  mkfifo -m 600 -- "$1" && ip -batch - <<BATCH && nsenter --net="$3" /bin/sh -ec "$4"
$2
BATCH
}
fingerprint() {
  rules=$(LC_ALL=C nft -s list table inet "$1") || return
  printf '%s' "$rules" | sha256sum
}`;

const shell = createShell(hostShell, steps);

/** As tryRun, for what a machine's life needs many times: `stdout` is always empty, `stderr` the beginning of all that it wrote. */
export async function tryPerform(command: string, args: readonly string[], options: Omit<RunOptions, 'signal'> = {}): Promise<RunResult> {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const result = await shell.run([command, ...args], timeoutMs, options.input ?? '');
  if (result.kind === 'lost') return resultOf(result);
  const { code, output } = result;
  if (code === 124 || code === 137) return { code, stdout: '', stderr: output, trouble: `did not end within ${timeoutMs} ms` };
  const missing = code === 127 && output.startsWith('timeout: ');
  const trouble = missing ? { trouble: 'was not found on this host (is it installed and in PATH?)' } : {};
  return { code, stdout: '', stderr: output, ...trouble };
}

/** Runs a program that has to succeed, as tryPerform. Rejects with DRIVER_FAILED and what it wrote. */
export async function perform(command: string, args: readonly string[], options: Omit<RunOptions, 'signal'> = {}): Promise<void> {
  const result = await tryPerform(command, args, options);
  if (result.code !== 0 || result.trouble !== undefined) throw failureOf(command, args, result);
}

/** Does the step above, which has to succeed. Rejects with DRIVER_FAILED and what it wrote, also when it takes too long. */
export async function performStep(args: readonly string[], input: string, timeoutMs: number): Promise<void> {
  const result = await shell.call(['prepare', ...args], timeoutMs, input);
  if (result.kind !== 'ended' || result.code !== 0) throw failureOf('prepare', args, resultOf(result));
}

/** The SHA-256 of a table of nft as it lists it, without counters; undefined when there is none. Rejects with DRIVER_FAILED. */
export async function fingerprint(table: string, timeoutMs: number): Promise<string | undefined> {
  const result = await shell.call(['fingerprint', table], timeoutMs, '');
  if (result.kind === 'ended' && result.code === 0) return result.output;
  if (result.kind === 'ended' && result.output.includes('No such file or directory')) return undefined;
  throw failureOf('nft', ['-s', 'list', 'table', 'inet', table], resultOf(result));
}

const places = new Map<string, string>();

/** Where a program is, as the shell finds it. Rejects with DRIVER_FAILED. */
export async function programAt(name: string): Promise<string> {
  const known = places.get(name) ?? (await run('/bin/sh', ['-c', 'command -v -- "$1"', 'sh', name])).trim();
  if (!known.startsWith('/'))
    throw new ControllerError('DRIVER_FAILED', `${name} was not found on this host (is it installed and in PATH?).`);
  places.set(name, known);
  return known;
}

function resultOf(result: ShellResult): RunResult {
  return result.kind === 'lost'
    ? { code: undefined, stdout: '', stderr: '', trouble: `was lost sight of: ${result.why}` }
    : { code: result.code, stdout: '', stderr: result.output };
}

/** The DRIVER_FAILED that says which command failed and how. */
function failureOf(command: string, args: readonly string[], result: RunResult): ControllerError {
  const said = result.stderr.trim().slice(-600);
  const how = result.trouble ?? `ended with exit code ${String(result.code)}`;
  return new ControllerError('DRIVER_FAILED', `${command} ${how}${said === '' ? '.' : `: ${said}`}`, {
    details: { command: [command, ...args].join(' ').slice(0, 2_000), exitCode: result.code ?? null, stderr: said },
  });
}

type Ended = {
  readonly timedOut: boolean;
  readonly isCanceled: boolean;
  readonly isMaxBuffer: boolean;
  readonly signal?: string | undefined;
  readonly exitCode?: number | undefined;
  readonly code?: string | undefined;
};

function troubleOf(result: Ended, timeoutMs: number): string | undefined {
  if (result.timedOut) return `did not end within ${timeoutMs} ms`;
  if (result.isCanceled) return 'was cancelled';
  if (result.isMaxBuffer) return `wrote more than ${maxOutputBytes} bytes`;
  if (result.signal !== undefined) return `was killed by ${result.signal}`;
  if (result.exitCode === undefined) {
    return result.code === 'ENOENT'
      ? 'was not found on this host (is it installed and in PATH?)'
      : `could not start (${result.code ?? 'unknown'})`;
  }
  return undefined;
}
