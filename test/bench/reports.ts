// Promises to hear from runners the moment they start and end: the tiny runner of the bench writes one line into a FIFO that machines see as
// /io/report, with the clock of its own shell. The same for ours and for the raw baseline.

import { execFile } from 'node:child_process';
import { constants, openSync, rmSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { open } from 'node:fs/promises';
import { epochMs, seen } from './wall.ts';

const exec = promisify(execFile);

/** Says that it runs; waits while there is a FIFO /io/hold; says that it ends. Bash, because its clock costs no process. */
const runnerScript = `#!/bin/bash
echo "start $HOSTNAME $EPOCHREALTIME" >/io/report
[ ! -p /io/hold ] || read -r _ </io/hold
echo "end $HOSTNAME $EPOCHREALTIME" >/io/report
`;

export type Report = { readonly kind: 'start' | 'end'; readonly machine: string; readonly at: number };

export type Reports = {
  readonly io: string;
  readonly runner: string;
  readonly bind: string;
  /** Forgets what was said so far. */
  clear(): void;
  all(kind: Report['kind']): readonly Report[];
  /** Resolves with the reports once there are so many. */
  until(kind: Report['kind'], count: number): Promise<readonly Report[]>;
  /** From now on runners wait after their start, until release(). */
  hold(): Promise<void>;
  release(): Promise<void>;
  close(): void;
};

export async function openReports(folder: string): Promise<Reports> {
  const io = `${folder}/io`;
  const runner = `${folder}/runner`;
  await mkdir(io, { recursive: true });
  await writeFile(runner, runnerScript, { mode: 0o755 });
  rmSync(`${io}/report`, { force: true });
  rmSync(`${io}/hold`, { force: true });
  await exec('mkfifo', ['-m', '666', `${io}/report`]);
  await chmod(io, 0o777);
  let heard: Report[] = [];
  let rest = '';
  // Read and write: so there is always a writer, and the end of one runner is not the end of the stream.
  const socket = new Socket({ fd: openSync(`${io}/report`, constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false });
  socket.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [kind, machine = '', at = ''] = line.split(' ');
      if (kind === 'start' || kind === 'end') heard.push({ kind, machine, at: epochMs(at) });
    }
  });
  const all = (kind: Report['kind']): readonly Report[] => heard.filter((report) => report.kind === kind);
  return {
    io,
    runner,
    bind: `${io}:/io:rw`,
    clear: () => void (heard = []),
    all,
    async until(kind, count) {
      await seen(`${count} runners say ${kind}`, () => all(kind).length >= count, 60_000);
      return all(kind);
    },
    hold: async () => void (await exec('mkfifo', ['-m', '666', `${io}/hold`])),
    async release() {
      const writer = await open(`${io}/hold`, 'w');
      rmSync(`${io}/hold`);
      // Those that reported a moment ago may not have opened it yet.
      await sleep(100);
      await writer.close();
    },
    close: () => void socket.destroy(),
  };
}
