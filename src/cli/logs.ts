// Promises `logs`: what a machine wrote to its console, of one that runs or has gone; with -f as it comes, until the machine has ended. Each
// line is made harmless for a terminal.

import { visibleLine } from '../log-visible.ts';
import type { Command } from './command.ts';

/** The service sends a sign of life more often. */
const silenceMs = 30_000;

export const logsCommand: Command = {
  name: 'logs',
  says: 'what the machine of a runner wrote; when it has gone, with the cause of its end as last line',
  argument: { name: 'ID' },
  flags: { follow: { short: 'f', says: 'goes on with what it writes, until it has ended' } },
  async run({ client, screen }, given) {
    const follow = given.is('follow');
    const path = `/api/v1/runners/${encodeURIComponent(given.argument)}/log${follow ? '?follow=true' : ''}`;
    let begun = '';
    await client.read(path, silenceMs, (text) => {
      const lines = (begun + text).split('\n');
      begun = lines.pop() ?? '';
      if (lines.length > 0) screen.write(lines.map((line) => `${harmless(line)}\n`).join(''));
    });
    if (begun !== '') screen.write(`${harmless(begun)}\n`);
    return 0;
  },
};

/** A carriage return at the beginning is the service's sign of life, at the end it is the machine's end of line; a tab moves nobody's cursor far. */
function harmless(line: string): string {
  return line.replace(/^\r+/, '').replace(/\r$/, '').split('\t').map(visibleLine).join('\t');
}
