// Promises what a machine wrote to its console as text: of one that runs from the journal, as it comes if that is asked; of one that has ended
// from the archive, with the cause of its end as last line. For a bounded number of readers at once, and of followers, of whom nothing is left when they
// have gone.

import type { Archive, Console } from '../archive/archive.ts';
import type { Clock } from '../clock.ts';
import type { MachineId } from '../core/model.ts';
import type { Snapshot } from '../core/snapshot.ts';

export type RunnerLogOptions = {
  readonly snapshot: () => Pick<Snapshot, 'runners' | 'ended'>;
  readonly archive: Pick<Archive, 'find'>;
  /** What the journal has of a machine, gone or not. */
  readonly console: (id: MachineId) => Promise<Console>;
  /** Its last lines and all that come, until the signal aborts. */
  readonly follow: (id: MachineId, signal: AbortSignal) => AsyncIterable<string>;
  readonly clock: Clock;
  readonly mask: (text: string) => string;
  readonly most?: number;
};

/** `unknown`: never heard of, or not kept any more. `too-many`: as many read or follow as may. */
export type RunnerLog = { readonly text: string } | { readonly stream: ReadableStream<Uint8Array> } | 'unknown' | 'too-many';

export type RunnerLogs = { open(id: string, following: boolean): Promise<RunnerLog> };

const lookMs = 1_000;
/** A carriage return at the beginning of a line shows nowhere: it tells both sides that the connection lives. */
const heartbeat = '\r';
const looksPerBeat = 5;

export function createRunnerLogs(options: RunnerLogOptions): RunnerLogs {
  const { snapshot, archive, console: read, mask, most = 8 } = options;
  const followers = new Set<AbortController>();
  let readers = 0;

  async function ofEnded(id: string): Promise<string | undefined> {
    const kept = await archive.find(id);
    const ended = kept?.ended ?? snapshot().ended.find((each) => each.id === id);
    if (ended === undefined) return undefined;
    const { lines, cut, trouble } = kept?.console ?? (await read(id));
    const notes = [...(cut ? ['(earlier lines are left out)'] : []), ...(trouble === undefined ? [] : [`(${trouble})`])];
    return textOf([...notes, ...lines.map(mask), lastLineOf(ended)]);
  }

  async function whole(id: string, machine: MachineId | undefined): Promise<RunnerLog> {
    if (machine !== undefined) return { text: textOf((await read(machine)).lines.map(mask)) };
    const text = await ofEnded(id);
    return text === undefined ? 'unknown' : { text };
  }

  return {
    async open(id, following) {
      const machine = snapshot().runners.find((each) => each.id === id)?.machine;
      if (following && machine !== undefined)
        return followers.size >= most ? 'too-many' : { stream: streamOf(options, followers, id, machine) };
      // Each costs a look at the journal and megabytes while it lasts.
      if (readers >= most) return 'too-many';
      readers += 1;
      try {
        return await whole(id, machine);
      } finally {
        readers -= 1;
      }
    },
  };
}

function streamOf(options: RunnerLogOptions, followers: Set<AbortController>, id: string, machine: MachineId): ReadableStream<Uint8Array> {
  const { snapshot, archive, follow, clock, mask } = options;
  const left = new AbortController();
  followers.add(left);
  const leave = (): void => {
    followers.delete(left);
    left.abort();
  };
  let lines: AsyncIterator<string> | undefined;
  let next: Promise<IteratorResult<string>> | undefined;
  let looks = 0;
  async function give(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    // Only when somebody reads: for a mere look at the head nothing is started.
    lines ??= follow(machine, left.signal)[Symbol.asyncIterator]();
    for (;;) {
      next ??= lines.next();
      const line = await within(clock, next);
      if (line?.done === false) {
        next = undefined;
        controller.enqueue(bytes(textOf([mask(line.value)])));
        return;
      }
      if (left.signal.aborted) return;
      if (line?.done === true || !snapshot().runners.some((runner) => runner.id === id)) {
        leave();
        const kept = await archive.find(id);
        const ended = kept?.ended ?? snapshot().ended.find((each) => each.id === id);
        if (ended !== undefined) controller.enqueue(bytes(textOf([lastLineOf(ended)])));
        controller.close();
        return;
      }
      looks += 1;
      if (looks % looksPerBeat === 0) {
        controller.enqueue(bytes(heartbeat));
        return;
      }
    }
  }

  return new ReadableStream(
    {
      async pull(controller) {
        try {
          await give(controller);
        } catch (error) {
          // Nobody cancels a stream that has failed.
          leave();
          throw error;
        }
      },
      cancel: leave,
    },
    { highWaterMark: 0 },
  );
}

/** Undefined when it takes longer than a look. */
async function within<T>(clock: Clock, work: Promise<T>): Promise<T | undefined> {
  const done = new AbortController();
  try {
    return await Promise.race([work, clock.sleep(lookMs, done.signal).then(() => undefined)]);
  } finally {
    done.abort();
  }
}

function lastLineOf({ cause, reason }: { readonly cause?: string; readonly reason: string }): string {
  return `(the machine ended: ${cause ?? reason})`;
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
