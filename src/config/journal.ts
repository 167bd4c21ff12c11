// Promises to know when what this process writes goes to systemd's journal, as sd-daemon(3) says: JOURNAL_STREAM names the device and inode of
// that very stream. The variable alone says nothing, every child inherits it.

import { fstatSync } from 'node:fs';
import { valueOf, type Environment } from './source.ts';

export function writesToJournal(env: Environment, descriptor: 1 | 2): boolean {
  const stream = valueOf(env, 'JOURNAL_STREAM');
  if (stream === undefined) return false;
  try {
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    return stream === `${dev}:${ino}`;
  } catch {
    // Closed: nobody reads it, the journal neither.
    return false;
  }
}
