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

type Row = {
  readonly name: string;
  /** One line for the help. */
  readonly says: string;
  /** The one positional argument, which must be given; `words` are all that it may be. */
  readonly argument?: { readonly name: string; readonly words?: readonly string[] };
  readonly flags?: Flags;
};
/** Most ask the service; those that work alone take no flag that says where it is. */
export type Command = Row &
  (
    | { readonly run: (context: Context, given: Given) => Promise<number> }
    | { readonly alone: (local: Local, given: Given) => Promise<number> }
  );

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

/** What there is without a service. */
export type Local = {
  readonly screen: Screen;
  /** For what is not the answer: stderr. */
  readonly note: (sentence: string) => void;
  /** Runs a command of the service's own program, on the same terminal, to its exit code. */
  readonly program: (words: readonly string[]) => Promise<number>;
  /** The configuration that is taken when none is named: `--config FILE` where that file is, else nothing. */
  readonly usualConfig: () => readonly string[];
};

export type Context = Local & {
  readonly client: Client;
  readonly look: () => Look;
  readonly json: boolean;
  readonly clock: Clock;
  /** Aborts at Ctrl-C and SIGTERM. */
  readonly ending: AbortSignal;
  /** What it knows of the service, when that is on this host. */
  readonly systemd: () => Promise<Known | undefined>;
};

export function print({ screen }: Pick<Context, 'screen'>, lines: readonly string[]): void {
  if (lines.length > 0) screen.write(`${lines.join('\n')}\n`);
}
