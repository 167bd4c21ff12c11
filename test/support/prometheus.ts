// Promises the real promtool and a real Prometheus of Debian's package, brought by scripts/lib when this machine has none of its own. What is
// started here ends with the test, and its files with it.

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

type Ended = { readonly code: number; readonly stdout: string; readonly output: string };

function run(program: string, args: readonly string[], input = ''): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(program, args, { cwd: root }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, output: `${stdout}${stderr}` });
    });
    child.stdin?.end(input);
  });
}

/** The folder with both programs; the first time in a tree it is fetched. */
export async function prometheusFolder(): Promise<string> {
  const { code, stdout, output } = await run('bash', ['-c', '. scripts/lib && bring_prometheus']);
  if (code === 0) return stdout.trim();
  throw new Error(`Prometheus cannot be had: ${output}`);
}

export function promtool(folder: string, args: readonly string[], input?: string): Promise<Ended> {
  return run(join(folder, 'promtool'), args, input);
}

/** Starts one on a free port with that configuration and these files beside it, and gives its address. */
export async function startPrometheus(folder: string, config: string, files: Readonly<Record<string, string>>): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'frc-prometheus-'));
  for (const [name, text] of Object.entries({ ...files, 'prometheus.yml': config })) await writeFile(join(home, name), text);
  const child = spawn(
    join(folder, 'prometheus'),
    [`--config.file=${home}/prometheus.yml`, `--storage.tsdb.path=${home}/data`, '--web.listen-address=127.0.0.1:0'],
    { cwd: home, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  // It may also never have begun.
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve()).once('error', () => resolve());
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(home, { recursive: true, force: true });
  });
  const said: string[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    const [, address] = /msg="Listening on" address=(\S+)/.exec(line) ?? [];
    if (address === undefined) continue;
    // Whoever reads no more must not keep it from writing.
    child.stderr.resume();
    return `http://${address}`;
  }
  throw new Error(`Prometheus did not start:\n${said.join('\n')}`);
}
