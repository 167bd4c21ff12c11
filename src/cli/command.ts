// Promises the shape of one row of the command table: what parsing, help and completions are all made from, and what a command is given.

import type { Clock } from '../clock.ts';
import type { Client } from './client.ts';
import type { Look } from './render.ts';
import type { Known } from './systemd.ts';

export type Flag = {
  /** What its value is called in the help; a flag without one is a switch. */
  readonly value?: string;
  readonly short?: string;
  readonly says: string;
  /** The value is a path, for completions. */
  readonly path?: true;
};
export type Flags = Readonly<Record<string, Flag>>;

export type Command = {
  readonly name: string;
  /** One line for the help. */
  readonly says: string;
  /** The one positional argument, which must be given; `words` are all that it may be. */
  readonly argument?: { readonly name: string; readonly words?: readonly string[] };
  readonly flags?: Flags;
  readonly run: (context: Context, given: Given) => Promise<number>;
};

/** What was typed: flags without dashes, and the argument. */
export type Given = {
  readonly text: (flag: string) => string | undefined;
  readonly is: (flag: string) => boolean;
  readonly argument: string;
};

/** Where answers go. `rows` and `columns` are asked anew each time: a window may change. */
export type Screen = {
  readonly isTTY: boolean;
  readonly columns: () => number | undefined;
  readonly rows: () => number | undefined;
  write(text: string): void;
};

export type Context = {
  readonly client: Client;
  readonly screen: Screen;
  readonly look: () => Look;
  readonly json: boolean;
  readonly clock: Clock;
  /** Aborts at Ctrl-C and SIGTERM. */
  readonly ending: AbortSignal;
  /** What it knows of the service, when that is on this host. */
  readonly systemd: () => Promise<Known | undefined>;
  /** For what is not the answer: stderr. */
  readonly note: (sentence: string) => void;
};

export function print({ screen }: Pick<Context, 'screen'>, lines: readonly string[]): void {
  if (lines.length > 0) screen.write(`${lines.join('\n')}\n`);
}
