// Promises `npm run mutate`: every fault of test/mutations, each put by itself into a scratch copy of the tree, makes a test fail. The last
// line is `N of N killed`; exit 1 when one survived or is no fault at all. --list names them, --only TEXT picks by name or file, --types
// asks the compiler instead of the tests whether each is a program, --lanes N runs so many at once.

import { fork, spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { targets } from '../test/mutations/targets.ts';
import type { Target } from '../test/mutations/mutation.ts';
import type { Question, Reply } from './mutate-lane.ts';

type Fault = Omit<Target, 'mutations'> & { readonly name: string; readonly from: string; readonly to: string };
type Verdict = { readonly killed: boolean; readonly by: string };

const root = fileURLToPath(new URL('..', import.meta.url));
/** What the copies do without: made things, and the packages, which are linked. */
const left = new Set(['node_modules', '.git', '.cache', 'dist', 'coverage']);
/** Far beyond what the tests of any target take: a fault that makes a loop endless counts as seen. */
const patienceMs = 120_000;
const scratch = join(tmpdir(), `frc-mutate.${process.pid}`);
const running = new Set<ChildProcess>();
// What this tree has fetched the copies need not fetch again.
process.env['TEST_HOST_CACHE'] ??= join(root, '.cache');

function cleanUp(): void {
  for (const child of running) end(child);
  rmSync(scratch, { recursive: true, force: true });
}

/** Copies of runs that were killed. */
function removeOld(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = /^frc-mutate\.(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function copyTree(lane: number): string {
  const to = join(scratch, String(lane));
  mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(root)) if (!left.has(name)) cpSync(join(root, name), join(to, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'));
  return to;
}

type Ended = { readonly code: number | null; readonly output: string; readonly late: boolean };

/** Runs node in a copy, in a process group of its own that is gone afterwards. */
async function node(cwd: string, argv: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, argv, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let output = '';
  let late = false;
  const take = (piece: Buffer): void => void (output += piece.toString());
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  const timer = setTimeout(() => {
    late = true;
    end(child);
  }, patienceMs);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  clearTimeout(timer);
  running.delete(child);
  return { code, output, late };
}

/** A vitest that stays in one copy: starting one takes longer than most tests. */
type Lane = { readonly tree: string; vitest: ChildProcess | undefined };

/** What failed first; undefined when all passed. Throws when a file could not even be loaded: that is no test's merit. */
async function runTests(lane: Lane, question: Question): Promise<string | undefined> {
  lane.vitest ??= openVitest(lane);
  const child = lane.vitest;
  const { promise, resolve } = Promise.withResolvers<Reply>();
  const timer = setTimeout(() => {
    resolve({ failed: `no end within ${patienceMs / 1000} s` });
    end(child);
    lane.vitest = undefined;
  }, patienceMs);
  const hear = (reply: Reply): void => resolve(reply);
  const miss = (): void => resolve({ failed: 'the process that ran the tests died' });
  child.once('message', hear).once('exit', miss);
  child.send(question);
  const { failed, error } = await promise;
  clearTimeout(timer);
  child.off('message', hear).off('exit', miss);
  if (error !== undefined) throw new Error(error);
  return failed;
}

function openVitest(lane: Lane): ChildProcess {
  const child = fork('scripts/mutate-lane.ts', { cwd: lane.tree, detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  running.add(child);
  child.once('exit', () => {
    running.delete(child);
    if (lane.vitest === child) lane.vitest = undefined;
  });
  return child;
}

function end({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, 'SIGKILL');
}

async function runSimulation(tree: string, seeds: number): Promise<string | undefined> {
  const { code, output, late } = await node(tree, ['test/simulation/main.ts', '--seeds', String(seeds)]);
  if (late) return `no end of the simulation within ${patienceMs / 1000} s`;
  if (code === 0) return undefined;
  const line = output.split('\n').find((each) => /seed \d|Error/.test(each));
  return `simulation: ${(line ?? output.trim()).slice(0, 120)}`;
}

async function judge(lane: Lane, { file, tests, seeds }: Question & Pick<Target, 'seeds'>): Promise<Verdict> {
  const failed = await runTests(lane, { file, tests });
  if (failed !== undefined) return { killed: true, by: failed };
  const broken = seeds === undefined ? undefined : await runSimulation(lane.tree, seeds);
  return broken === undefined ? { killed: false, by: 'nothing' } : { killed: true, by: broken };
}

async function compiles({ tree }: Lane): Promise<Verdict> {
  const { code, output } = await node(tree, ['node_modules/typescript/bin/tsc', '-p', '.']);
  return { killed: code === 0, by: code === 0 ? 'a program' : output.trim() };
}

/** Puts the fault into the copy, asks, and takes it out again whatever happened. */
async function tryFault(lane: Lane, fault: Fault, ask: (lane: Lane, fault: Fault) => Promise<Verdict>): Promise<Verdict> {
  const path = join(lane.tree, fault.file);
  const text = readFileSync(path, 'utf8');
  const times = text.split(fault.from).length - 1;
  if (times !== 1) return { killed: false, by: `its text occurs ${times} times in the file instead of once` };
  writeFileSync(
    path,
    text.replace(fault.from, () => fault.to),
  );
  try {
    return await ask(lane, fault);
  } catch (error) {
    return { killed: false, by: String(error) };
  } finally {
    writeFileSync(path, text);
  }
}

/** The tests must be green before a red one says anything. */
async function checkUntouched(lane: Lane, faults: readonly Fault[]): Promise<void> {
  const tests = [...new Set(faults.flatMap((fault) => fault.tests))];
  const seeds = Math.max(0, ...faults.map((fault) => fault.seeds ?? 0));
  const { killed, by } = await judge(lane, { file: '', tests, ...(seeds === 0 ? {} : { seeds }) });
  if (killed) throw new Error(`the tests fail without any mutation: ${by}`);
}

function since(moment: number): string {
  return `${((performance.now() - moment) / 1000).toFixed(1)} s`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { list: { type: 'boolean' }, only: { type: 'string' }, types: { type: 'boolean' }, lanes: { type: 'string' } },
  });
  const faults: readonly Fault[] = targets
    .flatMap(({ mutations, ...target }) => mutations.map(([name, from, to]) => ({ ...target, name, from, to })))
    .filter(({ name, file }) => `${file}: ${name}`.includes(values.only ?? ''));
  if (values.list === true) {
    for (const { name, file } of faults) console.log(`${file}: ${name}`);
    return;
  }
  const begun = performance.now();
  removeOld();
  const lanes = Number(values.lanes ?? Math.min(2, availableParallelism()));
  const copies = Array.from({ length: Math.max(1, Math.min(lanes, faults.length)) }, (_, n): Lane => ({
    tree: copyTree(n),
    vitest: undefined,
  }));
  const [first] = copies;
  if (values.types !== true && first !== undefined && faults.length > 0) {
    await checkUntouched(first, faults);
    console.log(`green without mutations (${since(begun)})`);
  }
  const line = [...faults];
  let killed = 0;
  const ask = values.types === true ? compiles : judge;
  const work = async (lane: Lane): Promise<void> => {
    for (let fault = line.shift(); fault !== undefined; fault = line.shift()) {
      const moment = performance.now();
      const verdict = await tryFault(lane, fault, ask);
      if (verdict.killed) killed += 1;
      const word = verdict.killed ? (values.types === true ? 'ok      ' : 'killed  ') : 'SURVIVED';
      console.log(`${word} ${since(moment).padStart(6)}  ${fault.file}: ${fault.name}\n                   by: ${verdict.by}`);
    }
  };
  await Promise.all(copies.map(work));
  console.log(`${killed} of ${faults.length} ${values.types === true ? 'are programs' : 'killed'} (${since(begun)})`);
  process.exit(killed < faults.length || faults.length === 0 ? 1 : 0);
}

process.on('exit', cleanUp);
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));
await main();
