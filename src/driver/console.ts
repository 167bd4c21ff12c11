// Promises what machines wrote to their consoles, as journald kept it: bounded, and never a reason for a step to fail. Console output is a
// convenience; a host without a journal must still tell the forge how a job ended.

import type { Console } from '../archive/archive.ts';
import type { MachineId } from '../core/model.ts';
import { linesOf, tryPerform, tryRun } from './exec.ts';
import { mostLines, plainLine, sharesOf, type ConsoleWanted } from './journal-text.ts';
import type { Way } from './way.ts';

const lines = 20;

/** The last lines, fit for a log that others read. */
export async function consoleOf(way: Way, id: MachineId): Promise<readonly string[]> {
  // What the machine wrote at its very end may still be in journald's sockets.
  await tryPerform('journalctl', ['--sync'], { timeoutMs: 2_000 });
  const options = ['--quiet', '--no-pager', '--all', '--output=cat', `--lines=${lines}`];
  const { code, stdout, stderr, trouble } = await tryRun('journalctl', [...options, ...matchesOf(way, [id])], {
    timeoutMs: 5_000,
  });
  if (code !== 0 || trouble !== undefined) return [`(the journal could not be read: ${plainLine(trouble ?? stderr)})`];
  return stdout
    .split('\n')
    .map(plainLine)
    .filter((line) => line !== '');
}

/** The machines' own words: systemd's about their units have another identifier. */
function matchesOf(way: Way, ids: readonly MachineId[]): readonly string[] {
  return ids.flatMap((id) => [`_SYSTEMD_UNIT=${way.unitOf(id)}`, `SYSLOG_IDENTIFIER=${id}`]);
}

/**
 * All that the machines wrote, control characters and all, at most so many bytes each. One look at the journal serves all of them; one that
 * wrote so much that it filled the look costs the others a look of their own.
 */
export async function consolesOf(way: Way, wanted: readonly ConsoleWanted[], maxBytes: number): Promise<ReadonlyMap<MachineId, Console>> {
  await tryPerform('journalctl', ['--sync'], { timeoutMs: 2_000 });
  const consoles = await lookAt(way, wanted, maxBytes);
  for (const each of wanted) {
    if (wanted.length === 1 || consoles.get(each.id)?.unsure !== true) continue;
    const [found] = (await lookAt(way, [each], maxBytes)).values();
    if (found !== undefined) consoles.set(each.id, found);
  }
  return consoles;
}

/** `unsure`: the look ended before this machine's share was full, so there may be more. */
type Look = Console & { readonly unsure?: true };

async function lookAt(way: Way, wanted: readonly ConsoleWanted[], maxBytes: number): Promise<Map<MachineId, Look>> {
  const ids = wanted.map(({ id }) => id);
  const most = mostLines * ids.length;
  // The newest first, for the end says why.
  const options = ['--quiet', '--no-pager', '--all', '--output=short-unix', '--no-hostname', '--reverse', `--lines=${most}`];
  const result = await tryRun('journalctl', [...options, ...matchesOf(way, ids)], { timeoutMs: 20_000 });
  const { code, stdout, stderr, cut = false } = result;
  if (code !== 0 && !cut) {
    const trouble = `the journal could not be read: ${plainLine(result.trouble ?? stderr)}`;
    return new Map(ids.map((id) => [id, { lines: [], cut: false, trouble }]));
  }
  const text = cut ? stdout.slice(0, stdout.lastIndexOf('\n') + 1) : stdout;
  const { shares, count } = sharesOf(text, wanted, maxBytes);
  const ended = cut || count >= most;
  return new Map(
    [...shares].map(([id, { newestFirst, full }]) => {
      const unsure = ended && !full;
      return [id, { lines: newestFirst.toReversed(), cut: full || unsure, ...(unsure ? { unsure } : {}) }];
    }),
  );
}

/** The last lines of a console and all that come, until the signal aborts; also when the machine has ended. */
export function followConsole(way: Way, id: MachineId, signal: AbortSignal): AsyncIterable<string> {
  const options = ['--quiet', '--no-pager', '--all', '--output=cat', '--follow', `--lines=${mostLines}`];
  return linesOf('journalctl', [...options, ...matchesOf(way, [id])], signal);
}
