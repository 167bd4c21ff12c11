// Promises to empty a machine's folder of whatever its job left there, however much, however deep and by whatever names: no link and no mount
// is ever followed out of it, every try gets further than the one before, and no try takes more than two minutes or much memory.

import { mkdir, readdir, rename } from 'node:fs/promises';
import { ControllerError, errnoOf } from '../errors.ts';
import { perform, tryPerform } from './exec.ts';
import type { RunResult } from './exec.ts';
import { gathered } from './gathering.ts';
import type { MachinePaths } from './nspawn-unit.ts';
import { exists } from './presence.ts';
import { mountsBelow } from './traces.ts';

/** How long one step of a try may take. Longer ones would hold up other machines' actions, of which so many go on at once. */
const stepMs = 20_000;

/**
 * rm keeps its whole way down in memory and removes nothing before it is at the bottom: a job makes a million folders in each other in a minute,
 * and no time limit is long enough. So what lies deeper than 500 folders is moved beside the rest first, from `$1` to `$1`, until nothing does.
 * All goes by file descriptors and in the folder at hand: names are never joined to paths that could be too long or mean something else.
 */
const shallow = `cd -P -- "$1" || exit
while set -- *; [ "$1" != '*' ]; do
  for piece; do
    find "./$piece" -xdev -mindepth 500 -maxdepth 500 -type d -execdir sh -c 'mv -T -- "$1" "$(mktemp -d -p "$0")"' "$PWD" {} ';' || exit
    rm -rf --one-file-system -- "./$piece" || exit
  done
done`;

/** Removes all but the marker. Rejects when something stayed: then the next try goes on from there. */
export async function clearFolder(paths: MachinePaths, limitMs = stepMs): Promise<void> {
  await unmountBelow(paths.folder);
  await setAside(paths);
  const first = await removeEntries(paths, limitMs);
  if (isDone(first)) return;
  // Only root of the host can have made files immutable.
  if (isLate(first)) await clearSlowly(paths, 2 * limitMs);
  else await tryPerform('chattr', ['-R', '-f', '-i', '-a', '--', ...(await entriesOf(paths))], { timeoutMs: limitMs });
  const second = await removeEntries(paths, limitMs);
  if (!isDone(second)) throw notYet(paths, second);
}

/** rm walks by file descriptors: paths longer than PATH_MAX and links cannot lead it astray, as they could a walk by names. */
async function removeEntries(paths: MachinePaths, limitMs: number): Promise<RunResult> {
  const entries = await entriesOf(paths);
  if (entries.length === 0) return { code: 0, stdout: '', stderr: '' };
  return removeTrees({ entries, limitMs });
}

/** Together only as long as little lies there, which is nearly always. */
const togetherMs = 2_000;
const removeTrees = gathered(async (trees: readonly { readonly entries: readonly string[]; readonly limitMs: number }[]) => {
  const limits = trees.map(({ limitMs }) => limitMs);
  const timeoutMs = Math.min(...limits, ...(trees.length === 1 ? [] : [togetherMs]));
  return tryPerform('rm', ['-rf', '--one-file-system', '--', ...trees.flatMap(({ entries }) => entries)], { timeoutMs });
});

async function clearSlowly(paths: MachinePaths, limitMs: number): Promise<void> {
  await mkdir(paths.going, { recursive: true, mode: 0o700 });
  const result = await tryPerform('sh', ['-c', shallow, 'sh', paths.going], { timeoutMs: limitMs });
  if (!isDone(result)) throw notYet(paths, result);
}

function notYet({ folder }: MachinePaths, result: RunResult): ControllerError {
  const why = isLate(result) ? 'it holds very many files or folders; the next try goes on' : result.stderr.trim();
  return new ControllerError('DRIVER_FAILED', `The folder ${folder} is not removed yet: ${why}`);
}

function isDone({ code, trouble }: RunResult): boolean {
  return code === 0 && trouble === undefined;
}

function isLate({ trouble }: RunResult): boolean {
  return trouble !== undefined;
}

/**
 * Moves the root to where nobody looks for it, so that a mount that others make by its old path comes too late; rm would empty one that shows
 * another folder of the same file system. What was mounted before is unmounted after.
 */
async function setAside(paths: MachinePaths): Promise<void> {
  if (!(await exists(paths.root))) return;
  await mkdir(paths.going, { recursive: true, mode: 0o700 });
  await rename(paths.root, `${paths.going}/root`);
  await unmountBelow(paths.folder);
}

/** Deepest first; those that somebody uses are only taken out of sight. A mount may lie upon another, or show others again: then once more. */
export async function unmountBelow(folder: string): Promise<void> {
  for (let rounds = 0; rounds < 10; rounds += 1) {
    const mounts = await mountsBelow(folder);
    if (mounts.length === 0) return;
    const how = rounds === 0 ? [] : ['--lazy'];
    await tryPerform('umount', [...how, '--', ...mounts], { timeoutMs: 20_000 });
  }
  const [first] = await mountsBelow(folder);
  if (first !== undefined) await perform('umount', ['--lazy', '--', first], { timeoutMs: 20_000 });
}

/** All but the marker, as paths. */
async function entriesOf({ folder }: MachinePaths): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => name !== 'machine.json').map((name) => `${folder}/${name}`);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}
