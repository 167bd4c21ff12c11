// Starts the built stand-in runner as a real process in a home of its own, for the tests of the stand-in, and waits for what it prints and
// how it ends. Leaves no process and no folder behind.

import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { onTestFinished } from 'vitest';

import { buildRunner } from './build.ts';

export const someUuid = '00000000-0000-4000-8000-000000000001';

export type RunnerEnd = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly ms: number };

export type RunnerProcess = {
  readonly pid: number;
  readonly home: string;
  stdout(): string;
  stderr(): string;
  kill(signal: NodeJS.Signals): void;
  /** Resolves when stderr has the text; throws with all of stderr after ten seconds. */
  says(text: string): Promise<void>;
  readonly end: Promise<RunnerEnd>;
};

export type RunnerCall = {
  /** Where the RPC is; without it no connection flags are given. */
  readonly url?: string;
  readonly words?: readonly string[];
  readonly mode?: 'one-job' | 'daemon';
  readonly token?: string;
  readonly uuid?: string;
  readonly labels?: readonly string[];
  /** Text of the config file; undefined gives the runner none. */
  readonly config?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
};

/** The config the controller gives: no cache, quick retries. */
export const quickConfig = 'cache:\n  enabled: false\nrunner:\n  report_retry:\n    max_retries: 2\n';

let built: Promise<string> | undefined;

/** The executable, built once per test process. */
export function builtRunner(): Promise<string> {
  if (built !== undefined) return built;
  const folder = mkdtempSync(join(tmpdir(), 'standin-runner-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  built = buildRunner(join(folder, 'forgejo-runner'), `#!${process.execPath}`);
  return built;
}

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'standin-home-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function wordsOf(call: RunnerCall, home: string): readonly string[] {
  const config = 'config' in call ? call.config : quickConfig;
  if (config !== undefined) writeFileSync(join(home, 'config.yaml'), config);
  writeFileSync(join(home, 'token'), call.token ?? 'secret-token');
  const globals = config === undefined ? [] : ['-c', join(home, 'config.yaml')];
  const labels = (call.labels ?? ['debian:host']).flatMap((label) => ['--label', label]);
  const connection =
    call.url === undefined ? [] : ['--url', call.url, '--uuid', call.uuid ?? someUuid, '--token-url', `file://${home}/token`, ...labels];
  return [...globals, call.mode ?? 'one-job', ...connection, ...(call.words ?? [])];
}

/** Starts the runner; raw words are given as they are. */
export async function startRunner(call: RunnerCall | readonly string[]): Promise<RunnerProcess> {
  const program = await builtRunner();
  const home = temporaryFolder();
  const cwd = join(home, 'cwd');
  mkdirSync(cwd);
  const raw = Array.isArray(call) ? (call as readonly string[]) : undefined;
  const words = raw ?? wordsOf(call as RunnerCall, home);
  const more = raw === undefined ? (call as RunnerCall).env : {};
  const startedAt = performance.now();
  const child = spawn(program, [...words], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: home, ...more },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const heard = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (heard.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (heard.stderr += text));
  const end = new Promise<RunnerEnd>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, ms: performance.now() - startedAt }));
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return {
    pid: child.pid ?? 0,
    home,
    stdout: () => heard.stdout,
    stderr: () => heard.stderr,
    kill: (signal) => void child.kill(signal),
    async says(text) {
      for (let waits = 0; !heard.stderr.includes(text); waits += 1) {
        if (waits > 2000) throw new Error(`the runner did not say ${JSON.stringify(text)} but:\n${heard.stderr}`);
        await sleep(5);
      }
    },
    end,
  };
}

/** Waits until a condition of the test holds; throws after ten seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (let waits = 0; !holds(); waits += 1) {
    if (waits > 2000) throw new Error(`never happened: ${what}`);
    await sleep(5);
  }
}
