// Promises that our one nftables table stays as it was applied last, whoever flushes or alters it: looked at every two seconds while machines
// exist and before one is started, and applied again at once when it is not. Touches that table only (I6).

import type { Clock } from '../clock.ts';
import { isControllerError } from '../errors.ts';
import type { Log } from '../log.ts';
import { fingerprint, perform } from './exec.ts';
import { rulesOf, tableOf } from './network.ts';
import type { RulesInput } from './network.ts';

export type Firewall = {
  /** Puts these rules in force; they are what is kept from now on. */
  apply(input: RulesInput): Promise<void>;
  /** Resolves when the table is whole, or was two seconds ago. Rejects with DRIVER_FAILED when it is not and cannot be made so. */
  look(): Promise<void>;
  /** As look, for whoever does not wait for it: what fails is in the log, and tried again at the next look. */
  watch(): void;
};

/** The kernel's tables, as far as this needs them. */
export type Tables = {
  readonly replace: (rules: string) => Promise<void>;
  /** Equal for equal rules, counters left out; undefined when there is no such table. */
  readonly fingerprint: (table: string) => Promise<string | undefined>;
};

const lookEveryMs = 2_000;
const timeoutMs = 10_000;
const nft: Tables = {
  replace: (rules) => perform('nft', ['-f', '-'], { input: rules, timeoutMs }),
  fingerprint: (table) => fingerprint(table, timeoutMs),
};

export type FirewallInput = { readonly controllerId: string; readonly clock: Clock; readonly log: Log; readonly tables?: Tables };

export function createFirewall({ controllerId, clock, log, tables = nft }: FirewallInput): Firewall {
  const table = tableOf(controllerId);
  let kept: { readonly rules: string; readonly print: string | undefined; readonly wholeAt: number } | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let looking: Promise<void> | undefined;
  let failing = false;

  /** A look between two rules would take the new ones for somebody's. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const turn = last.then(work, work);
    last = turn;
    return turn;
  }

  async function put(rules: string): Promise<void> {
    await tables.replace(rules);
    const wholeAt = clock.now();
    kept = { rules, print: await tables.fingerprint(table), wholeAt };
    failing = false;
  }

  async function mend(): Promise<void> {
    if (kept === undefined) return;
    const { rules, print, wholeAt } = kept;
    const at = clock.now();
    try {
      const seen = await tables.fingerprint(table);
      if (seen !== undefined && seen === print) {
        kept = { ...kept, wholeAt: at };
        failing = false;
        return;
      }
      await put(rules);
      const what = seen === undefined ? 'gone' : 'altered';
      const sentence = `our nftables table was ${what} and is applied again; until now machines could reach what they may not`;
      log.warn('host-error', { table: `inet ${table}`, what, withinMs: clock.now() - wholeAt }, sentence);
    } catch (error) {
      if (!failing) log.error('host-error', { error }, `our nftables table cannot be kept whole; no machine is started until it can`);
      failing = true;
      throw error;
    }
  }

  async function look(): Promise<void> {
    if (kept === undefined || (!failing && clock.now() - kept.wholeAt < lookEveryMs)) return;
    looking ??= inTurn(mend).finally(() => {
      looking = undefined;
    });
    return looking;
  }

  return {
    apply: (input) => inTurn(() => put(rulesOf(input))),
    look,
    watch() {
      void look().catch((error: unknown) => {
        if (!isControllerError(error)) throw error;
      });
    },
  };
}
