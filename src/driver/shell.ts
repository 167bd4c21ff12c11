// Promises to run many short programs without node starting any of them: one shell stays and starts what it is told, because a process
// started by node stops its only thread for 10 ms and more on a busy host, one started by a small shell for 0.02 ms. For exec.ts alone.

import { spawn, type ChildProcess } from 'node:child_process';
import { timeoutOf } from '../clock.ts';

/** What a program did. `output` is the beginning of standard output and standard error, as they came. */
export type ShellResult =
  | { readonly kind: 'ended'; readonly code: number; readonly output: string }
  /** The shell could not be started, or ended before the program did: what became of it is unknown. */
  | { readonly kind: 'lost'; readonly why: string };

export type Shell = {
  /** Every word is quoted: nothing in it means anything to the shell. After the time it is ended with SIGTERM, then SIGKILL: code 124 or 137. */
  run(words: readonly string[], timeoutMs: number, input: string): Promise<ShellResult>;
  /**
   * As run, for a function that the shell was given: spares the two programs that would start and bound it. After the time it is lost, not
   * ended: what it still does has to be found by whoever looks at the host.
   */
  call(words: readonly string[], timeoutMs: number, input: string): Promise<ShellResult>;
};

export type ShellCommand = {
  readonly words: readonly string[];
  /** What is started only gives our pipes to the shell, and has nothing left to do when we end. */
  readonly isProxy?: boolean;
};

const outputBytes = 1_000;
const complaintLength = 300;

type Running = { readonly child: ChildProcess; readonly waiting: Map<number, (result: ShellResult) => void>; heard: string };

/**
 * `command` starts a shell that reads its orders from standard input, asked for each time one has to be started. `functions` is shell text, read
 * once; it is ours and constant, and never made of arguments. The part of the shell that tells the end of a program can be killed alone: a program
 * of which nothing was heard `answerMs` after its time is lost.
 */
export function createShell(command: () => ShellCommand = () => ({ words: ['/bin/sh', '-s'] }), functions = '', answerMs = 10_000): Shell {
  let running: Running | undefined;
  let numbers = 0;

  function start(): Running {
    // Its own session: what is sent to our process group, from a terminal, is not meant for it. It ends when its standard input does.
    const {
      words: [path = '', ...words],
      isProxy = false,
    } = command();
    const child = spawn(path, words, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const made: Running = { child, waiting: new Map(), heard: '' };
    let complaint = '';
    const lose = (why: string): void => {
      if (running === made) running = undefined;
      for (const settle of made.waiting.values()) settle({ kind: 'lost', why });
      made.waiting.clear();
    };
    child.on('error', (error) => lose(error.message));
    const leave = (): void => void child.kill('SIGKILL');
    if (isProxy) process.once('exit', leave);
    child.on('close', (code, signal) => {
      process.off('exit', leave);
      const said = complaint.trim();
      lose(`the shell ended (${signal ?? String(code)})${said === '' ? '' : `: ${said}`}`);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaint = `${complaint}${text}`.slice(-complaintLength);
    });
    child.stdin?.on('error', (error) => lose(error.message));
    // One byte is one character here, as the shell counts them.
    child.stdout?.setEncoding('latin1').on('data', (text: string) => listen(made, text));
    // In the C locale a character is a byte; not exported, so programs keep theirs.
    child.stdin?.write(`LC_ALL=C\n${functions}\n`);
    rest(made);
    return made;
  }

  async function bounded(command: string, input: string, timeoutMs: number): Promise<ShellResult> {
    const late = timeoutOf(timeoutMs);
    try {
      return await order(command, input, late.signal);
    } finally {
      late.cancel();
    }
  }

  async function order(command: string, input: string, expired: AbortSignal): Promise<ShellResult> {
    numbers += 1;
    const number = numbers;
    running ??= start();
    const shell = running;
    return new Promise((settle) => {
      shell.waiting.set(number, settle);
      hold(shell);
      expired.addEventListener('abort', () => {
        if (shell.waiting.delete(number)) settle({ kind: 'lost', why: 'it did not end in time' });
      });
      shell.child.stdin?.write(orderOf(number, command, input));
    });
  }

  return {
    async run(words, timeoutMs, input) {
      return bounded(['timeout', '-k', '1', `${timeoutMs / 1000}`, ...quotedAll(words)].join(' '), input, timeoutMs + answerMs);
    },
    async call([name = '', ...words], timeoutMs, input) {
      return bounded(`{ ${[name, ...quotedAll(words)].join(' ')}; }`, input, timeoutMs);
    },
  };
}

/** While nothing is awaited, the shell does not keep this process alive. */
function rest({ child }: Running): void {
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as { unref(): void } | null)?.unref();
}

function hold({ child }: Running): void {
  (child.stdout as unknown as { ref(): void } | null)?.ref();
}

/** Answers are `NUMBER CODE LENGTH` and a line break, then so many bytes. */
function listen(running: Running, text: string): void {
  running.heard += text;
  for (;;) {
    const head = /^(\d+) (\d+) (\d+)\n/.exec(running.heard);
    if (head === null) return;
    const [all, number, code, length] = head;
    const end = all.length + Number(length);
    if (running.heard.length < end) return;
    const output = Buffer.from(running.heard.slice(all.length, end), 'latin1').toString();
    running.heard = running.heard.slice(end);
    const settle = running.waiting.get(Number(number));
    running.waiting.delete(Number(number));
    if (running.waiting.size === 0) rest(running);
    settle?.({ kind: 'ended', code: Number(code), output });
  }
}

/**
 * The inner parentheses let go of the program, so that the shell takes the next order at once and never has a child to wait for. An answer
 * is one write of less than PIPE_BUF: answers never mix.
 */
function orderOf(number: number, command: string, input: string): string {
  const feed = input === '' ? '</dev/null' : `<<'${endOf(input)}'\n${input}${input.endsWith('\n') ? '' : '\n'}${endOf(input)}`;
  return `( (out=$(${command} 2>&1 ${feed}
); code=$?; n=\${#out}; [ "$n" -le ${outputBytes} ] || n=${outputBytes}
printf '%d %d %d\\n%.${outputBytes}s' ${number} "$code" "$n" "$out") & )\n`;
}

/** A line that the text does not hold. */
function endOf(input: string): string {
  let end = 'END';
  while (input.includes(end)) end += '_';
  return end;
}

function quotedAll(words: readonly string[]): readonly string[] {
  return words.map((word) => quoted(word));
}

function quoted(word: string): string {
  if (word.includes('\0')) throw new Error('an argument holds a NUL');
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
