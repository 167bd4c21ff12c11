// Promises runs of the command line in this process: words in; exit code, what stood on stdout and on stderr out. No systemctl is found
// unless a test brings one.

import { runCli, type Surroundings } from '../../src/cli/cli.ts';
import { systemClock } from '../../src/clock.ts';

export type Ran = { readonly code: number; readonly out: string; readonly err: string };

export async function runs(argv: readonly string[], over: Partial<Surroundings> = {}): Promise<Ran> {
  let out = '';
  let err = '';
  const code = await runCli(argv, {
    version: '9.9.9',
    env: { PATH: '/nowhere' },
    screen: {
      isTTY: false,
      columns: () => undefined,
      rows: () => undefined,
      write(text) {
        out += text;
      },
    },
    note(line) {
      err += `${line}\n`;
    },
    clock: systemClock,
    ending: new AbortController().signal,
    sockets: '/nowhere',
    program: '/nowhere',
    config: '/nowhere',
    ...over,
  });
  return { code, out, err };
}

/** A terminal of a size; `frames` hears all that is written. */
export function terminal(frames: string[], columns = 80, rows = 24): Surroundings['screen'] {
  return { isTTY: true, columns: () => columns, rows: () => rows, write: (text) => void frames.push(text) };
}
