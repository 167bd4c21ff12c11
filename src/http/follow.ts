// Promises the stream of facts as server-sent events, for a bounded number of followers. Nothing is buffered for one who does not read: each
// has its place in what is kept, gets what is there when it reads, and is told how much it missed. A comment goes out while nothing happens,
// so that the connection is neither taken for dead nor kept for one who is.

import type { Clock } from '../clock.ts';
import type { Events, Fact } from '../events.ts';
import { visible } from '../log-visible.ts';
import type { Event } from './wire-v1.ts';

export type Following = {
  /** What happened after that number, then what happens; undefined = as many follow as may. */
  open(after: number): ReadableStream<Uint8Array> | undefined;
  /** Where a follower goes on who names this id of an event: what it has not seen. Of another start of the service it has seen nothing. */
  placeOf(lastEventId: string): number;
  /** The number of the last fact. */
  last(): number;
  /** Ends every stream after what it has still to get, and opens none. */
  close(): void;
};

export type FollowingOptions = {
  readonly events: Omit<Events, 'publish'>;
  readonly clock: Clock;
  /** Tells the starts of the service apart, whose facts are numbered from 1 each. */
  readonly start: number;
  readonly most?: number;
  readonly heartbeatMs?: number;
};

/** When a follower whose connection broke is to come again. */
const retryMs = 2_000;
const factsAtOnce = 50;

export function createFollowing({ events, clock, start, most = 16, heartbeatMs = 5_000 }: FollowingOptions): Following {
  const followers = new Set<() => void>();
  const life = start.toString(36);
  let closed = false;

  /** Until a fact comes, the heart beats, or the stream is to end. */
  async function quiet(follower: Follower): Promise<void> {
    const woken = new AbortController();
    follower.wake = () => woken.abort();
    await clock.sleep(heartbeatMs, woken.signal);
    follower.wake = idle;
  }

  function open(after: number): ReadableStream<Uint8Array> | undefined {
    if (closed || followers.size >= most) return undefined;
    const follower: Follower = { wake: idle };
    const wake = (): void => follower.wake();
    const unfollow = events.follow(wake);
    let left = false;
    const leave = (): void => {
      left = true;
      unfollow();
      followers.delete(wake);
      wake();
    };
    followers.add(wake);
    let place = Math.min(after, events.last());
    return new ReadableStream(
      {
        start: (controller) => controller.enqueue(bytes(`retry: ${retryMs}\n\n`)),
        async pull(controller) {
          if (events.last() === place && !closed) await quiet(follower);
          if (left) return;
          const facts = events.after(place).slice(0, factsAtOnce);
          const missed = (facts[0]?.id ?? place + 1) - place - 1;
          place = facts.at(-1)?.id ?? place;
          if (facts.length > 0) controller.enqueue(bytes(gap(missed) + facts.map((fact) => block(fact, life)).join('')));
          else if (!closed) controller.enqueue(bytes(': nothing new\n\n'));
          else {
            leave();
            controller.close();
          }
        },
        cancel: leave,
      },
      { highWaterMark: 0 },
    );
  }

  return {
    open,
    placeOf(lastEventId) {
      const [, named, number] = /^([0-9a-z]{1,12})-(\d{1,15})$/.exec(lastEventId) ?? [];
      return named === life ? Number(number) : 0;
    },
    last: () => events.last(),
    close() {
      closed = true;
      for (const wake of followers) wake();
    },
  };
}

type Follower = { wake: () => void };

function idle(): void {
  // Whoever is not waiting looks anyway.
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A follower that was away for longer than facts are kept is told so. */
function gap(missed: number): string {
  return missed === 0 ? '' : `event: missed\ndata: ${missed}\n\n`;
}

function block({ id, at, level, event, message, facts }: Fact, life: string): string {
  const data: Event = { id, at: new Date(at).toISOString(), level, event, message: message ?? null, facts: { ...facts } };
  return `id: ${life}-${id}\ndata: ${visible(JSON.stringify(data))}\n\n`;
}
