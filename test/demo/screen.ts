// Promises output that suits its reader: on a terminal a table that redraws below what has been said, in a pipe one line per event and no
// escape sequence. Nothing is ever written over what was said.

export type Row = {
  readonly name: string;
  readonly state: string;
  readonly machine: string;
  readonly seconds: string;
  readonly note: string;
};

export type Screen = {
  /** For the reader of a pipe; a terminal shows the same in its table. */
  event(text: string): void;
  say(text?: string): void;
  heading(text: string): void;
  /** What the table shows from now on; in a pipe nothing. */
  draw(rows: readonly Row[]): void;
  /** The table for good, wherever it goes. */
  settle(rows: readonly Row[]): void;
};

export type Output = { readonly isTTY?: boolean; readonly columns?: number; write(text: string): unknown };

const colours: Readonly<Record<string, string>> = {
  success: '32',
  failure: '31',
  cancelled: '35',
  running: '36',
  waiting: '33',
  blocked: '90',
};

export function createScreen(output: Output): Screen {
  const terminal = output.isTTY === true;
  let drawn = 0;

  const erase = (): void => {
    if (drawn > 0) output.write(`\u001B[${drawn}A\u001B[J`);
    drawn = 0;
  };
  const say = (text = ''): void => {
    erase();
    output.write(`${text}\n`);
  };
  const lines = (rows: readonly Row[]): string[] => tableOf(rows, terminal ? (output.columns ?? 120) - 1 : Infinity, terminal);

  return {
    event: (text) => (terminal ? undefined : say(text)),
    say,
    heading: (text) => say(terminal ? `\n\u001B[1m${text}\u001B[0m` : `\n== ${text}`),
    draw(rows) {
      if (!terminal) return;
      erase();
      const table = lines(rows);
      output.write(`${table.join('\n')}\n`);
      drawn = table.length;
    },
    settle: (rows) => say(lines(rows).join('\n')),
  };
}

const head: Row = { name: 'JOB', state: 'STATE', machine: 'MACHINE', seconds: 'SECONDS', note: '' };

/** Also exact about width: a line that wraps would be left behind by the next redraw. */
function tableOf(rows: readonly Row[], width: number, coloured: boolean): string[] {
  const widest = (key: keyof Row): number => Math.max(...[head, ...rows].map((row) => row[key].length));
  const widths = { name: widest('name'), state: 9, machine: 12, seconds: 7 };
  return [head, ...rows].map((row) => {
    const left = `${row.name.padEnd(widths.name)}  `;
    const state = row.state.padEnd(widths.state);
    const right = `  ${row.machine.padEnd(widths.machine)}  ${row.seconds.padStart(widths.seconds)}  ${row.note}`.trimEnd();
    const room = Math.max(0, width - left.length - state.length);
    const cut = right.length > room ? `${right.slice(0, Math.max(0, room - 1))}…` : right;
    const colour = coloured ? colours[row.state] : undefined;
    return left + (colour === undefined ? state : `\u001B[${colour}m${state}\u001B[0m`) + cut;
  });
}
