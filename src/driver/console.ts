// Promises the last lines of a machine's console, as journald kept them: bounded, without control characters, and never a reason for a step
// to fail. Console output is a convenience; a host without a journal must still tell the forge how a job ended.

import { stripVTControlCharacters } from 'node:util';
import type { MachineId } from '../core/model.ts';
import { tryPerform, tryRun } from './exec.ts';
import { unitOf } from './nspawn-unit.ts';

const lines = 20;
const lineLength = 400;

export async function consoleOf(controllerId: string, id: MachineId): Promise<readonly string[]> {
  // What the machine wrote at its very end may still be in journald's sockets.
  await tryPerform('journalctl', ['--sync'], { timeoutMs: 2_000 });
  // The machine's own words: systemd's about the unit have another identifier.
  const matches = [`_SYSTEMD_UNIT=${unitOf(controllerId, id)}`, `SYSLOG_IDENTIFIER=${id}`];
  const options = ['--quiet', '--no-pager', '--all', '--output=cat', `--lines=${lines}`];
  const { code, stdout, stderr, trouble } = await tryRun('journalctl', [...options, ...matches], { timeoutMs: 5_000 });
  if (code !== 0 || trouble !== undefined) return [`(the journal could not be read: ${plain(trouble ?? stderr)})`];
  return stdout
    .split('\n')
    .map(plain)
    .filter((line) => line !== '');
}

/** Fit for a log that others read: escape sequences and control characters out, cut to a length. */
function plain(line: string): string {
  const clean = stripVTControlCharacters(line).replaceAll(/\p{C}/gu, ' ').trim();
  return clean.length > lineLength ? `${clean.slice(0, lineLength)}...` : clean;
}
