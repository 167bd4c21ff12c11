#!/usr/bin/env node
// Promises the program runner-status: hands its words, its terminal and its signals to the command line, and ends with its exit code. Beside
// main the only place that ends a process. What fails here is a bug.

import { fileURLToPath } from 'node:url';
import pkg from '../package.json' with { type: 'json' };
import { runCli } from './cli/cli.ts';
import { systemClock } from './clock.ts';

const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (ending.signal.aborted) process.exit(130);
    ending.abort(signal);
  });
}
const { stdout, stderr } = process;
// As source as well as built it stands beside this one.
const beside = import.meta.url.endsWith('.ts') ? './main.ts' : './forgejo-runner-controller.js';
// A reader that has seen enough, such as head.
stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  process.exitCode = await runCli(process.argv.slice(2), {
    version: pkg.version,
    env: process.env,
    screen: {
      isTTY: stdout.isTTY,
      columns: () => (stdout.isTTY ? stdout.columns : undefined),
      rows: () => (stdout.isTTY ? stdout.rows : undefined),
      write: (text) => void stdout.write(text),
    },
    note: (line) => void stderr.write(`${line}\n`),
    clock: systemClock,
    ending: ending.signal,
    program: fileURLToPath(new URL(beside, import.meta.url)),
  });
} catch (error) {
  stderr.write(`runner-status: bug: ${String(error instanceof Error ? error.stack : error)}\n`);
  process.exit(70);
}
