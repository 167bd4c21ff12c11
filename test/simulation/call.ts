// Promises one call of the controller on its world: it takes time before and after its effect, may fail on either side of it, may be the
// moment in which the controller is killed, and is forgotten when it was. Also sees two actions at once on one id (I3).

import type { ControllerError } from '../../src/errors.ts';
import type { SimForge } from './forge-world.ts';
import type { SimHost } from './host-world.ts';
import type { Judge } from './judge.ts';
import type { Chance, Schedule } from './schedule.ts';
import type { Tally } from './verdict.ts';
import type { Weather } from './weather.ts';

/** Where in a call the controller dies: its effect does not happen, has just happened, or its reply is on the way. */
export type DeathPlace = 'before' | 'after' | 'reply';
export const deathPlaces: readonly DeathPlace[] = ['before', 'after', 'reply'];

export type Stage = {
  readonly forge: SimForge;
  readonly host: SimHost;
  readonly judge: Judge;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly weather: Weather;
  readonly tally: Tally;
  /** Asked once per call: the controller is to die here. */
  readonly deathAt: () => DeathPlace | undefined;
  /** Undefined: nobody reads. */
  readonly trace: ((line: string) => void) | undefined;
};

/** One process of a controller, from its start to its end. */
export type Incarnation = { alive: boolean; readonly kill: (where: string) => void };

export type Ask<T> = {
  readonly verb: string;
  /** What it is about, where two at once would be two actions on one id. */
  readonly id?: string;
  /** The world refuses it now. */
  readonly refusal: () => ControllerError | undefined;
  /** It fails by chance; `lost`: its effect takes place all the same. */
  readonly failure: (lost: boolean) => ControllerError;
  readonly latencyMs: number;
  /** Its reply may take seconds. */
  readonly maySlow?: boolean;
  readonly effect: () => T;
  /** What a failure leaves half done. */
  readonly half?: () => void;
};

export type Call = <T>(ask: Ask<T>) => Promise<T>;

export function createCall(stage: Stage, self: Incarnation): Call {
  const { schedule, chance, weather, tally, trace, judge } = stage;
  const underWay = new Map<string, string>();
  const count = (kind: string): void => void tally.set(kind, (tally.get(kind) ?? 0) + 1);

  /** Notes that something is being done to an id, until the answer. */
  function enter(id: string, name: string): () => void {
    const other = underWay.get(id);
    if (other !== undefined) judge.broken.push(`I3 ${name} of ${id} while ${other} was under way`);
    underWay.set(id, name);
    return () => void underWay.delete(id);
  }

  function die(place: DeathPlace, verb: string): void {
    count(`killed ${place === 'reply' ? 'before the reply' : place === 'after' ? 'after the effect' : 'before the call'}`);
    self.kill(`${place} ${verb}`);
  }

  return (ask) =>
    new Promise((resolve, reject) => {
      const name = ask.verb.split(' ', 1)[0] ?? '';
      const death = stage.deathAt();
      if (death === 'before') return die(death, ask.verb);
      const leave = ask.id === undefined ? undefined : enter(ask.id, name);
      const fails = chance.hit(weather.odds.failure);
      const lost = fails && chance.hit(0.5);
      schedule.after(chance.between(0, ask.latencyMs / 3), () => {
        // What a killed process had not sent yet is never sent.
        if (!self.alive && chance.hit(0.5)) return;
        const refusal = ask.refusal() ?? (fails ? ask.failure(lost) : undefined);
        const happens = refusal === undefined || (lost && ask.refusal() === undefined);
        const result = happens ? { value: ask.effect() } : undefined;
        if (happens && ask.verb.includes(' ')) trace?.(`      + ${ask.verb}${self.alive ? '' : ', sent before the end'}`);
        if (!happens && chance.hit(0.3)) ask.half?.();
        if (death === 'after' && self.alive) return die(death, ask.verb);
        const slow = ask.maySlow === true && chance.hit(weather.odds.slow);
        if (slow) count(`${name} slow`);
        schedule.after(slow ? chance.between(1_000, 8_000) : chance.between(0, (ask.latencyMs * 2) / 3), () => {
          if (!self.alive) return;
          if (death === 'reply') return die(death, ask.verb);
          leave?.();
          if (refusal === undefined && result !== undefined) return resolve(result.value);
          count(`${name} ${result === undefined ? 'failed' : 'reply lost'}`);
          trace?.(`  ${ask.verb}: ${result === undefined ? 'failed' : 'reply lost'}, ${refusal?.code}`);
          reject(refusal);
        });
      });
    });
}
