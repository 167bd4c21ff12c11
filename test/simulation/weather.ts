// Promises what may go wrong with a call at any moment, and what is wrong for a while: a spell begins, lasts and is over. All of it comes
// from the stream of chance, none of it after the storm.

import { ControllerError, type ErrorCode } from '../../src/errors.ts';
import type { Oddity } from './host-world.ts';
import type { Chance, Schedule } from './schedule.ts';

export type Spell = 'token revoked' | 'throttled' | 'another shape' | 'lists empty' | 'disk full' | 'host unlistable' | 'host full';

/** Probabilities of a call. */
export type Odds = {
  /** It fails; half of the failures lose the reply after the effect took place. */
  failure: number;
  /** Its reply takes seconds. */
  slow: number;
  /** A list is one of those before. */
  stale: number;
  /** A row of a list stands in it twice, and the rows in any order. */
  disorder: number;
  /** The controller is killed at it. */
  death: number;
  /** A machine is odd. */
  odd: number;
  /** What a job waited for ends just when its runner was looked at, and the runner asks for it that moment. */
  late: number;
};

export type Weather = {
  readonly odds: Odds;
  /** Longest ordinary way of a call to the forge and back. */
  readonly latencyMs: number;
  cast(spell: Spell, ms: number): void;
  has(spell: Spell): boolean;
  /** Why the forge answers a call with an error now, if it does. */
  forgeRefusal(verb: string): ControllerError | undefined;
  /** A failure of the forge that concerns this call alone. */
  forgeFailure(verb: string, lost: boolean): ControllerError;
  readonly oddity: () => Oddity | undefined;
  /** The storm is over. */
  calm(): void;
};

function error(code: ErrorCode, verb: string, details: Record<string, unknown> = {}): ControllerError {
  return new ControllerError(code, `${verb} failed`, { details });
}

const noOdds: Odds = { failure: 0, slow: 0, stale: 0, disorder: 0, death: 0, odd: 0, late: 0 };

export function createWeather(schedule: Schedule, chance: Chance, rough: boolean, forgeUp: () => boolean): Weather {
  const odds: Odds = rough
    ? {
        failure: chance.pick([0, 0.02, 0.1, 0.3]),
        slow: chance.pick([0, 0, 0.01, 0.05]),
        stale: chance.pick([0, 0, 0.1, 0.3]),
        disorder: chance.pick([0, 0, 0.1]),
        death: chance.pick([0, 0, 0.001, 0.005, 0.02]),
        odd: chance.pick([0, 0.05, 0.2]),
        late: chance.pick([0, 0.3, 0.9]),
      }
    : { ...noOdds };
  const until = new Map<Spell, number>();
  const has = (spell: Spell): boolean => (until.get(spell) ?? 0) > schedule.now();
  const throttled = (verb: string): ControllerError => error('FORGE_THROTTLED', verb, { retryAfterMs: chance.between(1, 20) * 1_000 });

  return {
    odds,
    latencyMs: chance.pick([20, 60, 200]),
    cast: (spell, ms) => void until.set(spell, Math.max(until.get(spell) ?? 0, schedule.now() + ms)),
    has,
    forgeRefusal(verb) {
      if (!forgeUp()) return error('FORGE_UNREACHABLE', verb);
      if (has('token revoked')) return error('FORGE_UNAUTHORIZED', verb);
      if (has('throttled')) return throttled(verb);
      return has('another shape') ? error('FORGE_INCOMPATIBLE', verb) : undefined;
    },
    forgeFailure(verb, lost) {
      const code = chance.pick<ErrorCode>(['FORGE_UNREACHABLE', 'FORGE_UNREACHABLE', 'FORGE_UNREACHABLE', 'FORGE_INCOMPATIBLE']);
      if (lost || chance.hit(0.7)) return error(code, verb);
      return chance.hit(0.5) ? throttled(verb) : error('FORGE_UNAUTHORIZED', verb);
    },
    oddity: () =>
      chance.hit(odds.odd)
        ? chance.pick<Oddity>(['slow to boot', 'dies at boot', 'ignores SIGTERM', 'stays after its job', 'ends without a report'])
        : undefined,
    calm() {
      Object.assign(odds, noOdds);
      until.clear();
    },
  };
}
