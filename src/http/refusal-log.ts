// Promises that refusals are told without drowning the log: of each address a few lines a minute, and then how many were left out. Who asks
// from ever new addresses takes no memory for each: what is beyond the first ones shares one place.

import type { Clock } from '../clock.ts';
import type { Facts, Log } from '../log.ts';

export type RefusalLog = {
  /** Of a refusal to who asked from there; `lines` write what there is to say, with these facts beside their own. */
  tell(address: string, lines: (facts: Facts) => void): void;
  /** Says what is left of minutes that are over; asked whenever anything comes. */
  settle(): void;
};

const minuteMs = 60_000;
const linesAMinute = 5;
const mostAddresses = 64;
/** For all further ones together. */
const others = 'others';

type Place = { since: number; told: number; leftOut: number };

export function createRefusalLog(clock: Pick<Clock, 'now'>, log: Pick<Log, 'warn'>): RefusalLog {
  const places = new Map<string, Place>();

  function settle(): void {
    const now = clock.now();
    for (const [address, { since, leftOut }] of places) {
      if (now - since < minuteMs) continue;
      places.delete(address);
      if (leftOut > 0) log.warn('http', { by: address, leftOut }, `${leftOut} more were refused than were told`);
    }
  }

  function placeOf(address: string): Place {
    const key = places.has(address) || places.size < mostAddresses ? address : others;
    const known = places.get(key) ?? { since: clock.now(), told: 0, leftOut: 0 };
    places.set(key, known);
    return known;
  }

  return {
    settle,
    tell(address, lines) {
      settle();
      const place = placeOf(address);
      if (place.told === linesAMinute) {
        place.leftOut += 1;
        return;
      }
      place.told += 1;
      lines(place.told === linesAMinute ? { more: 'the rest of this minute is counted only' } : {});
    },
  };
}
