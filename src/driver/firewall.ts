// Promises that our one nftables table stays as it was applied last, whoever flushes or alters it: looked at every two seconds while machines
// exist and before one is started, and applied again at once when it is not. Touches that table only (I6).

import type { Clock } from '../clock.ts';
import { isControllerError } from '../errors.ts';
import type { MachineId } from '../core/model.ts';
import type { Log } from '../log.ts';
import { fingerprint, perform } from './exec.ts';
import { rulesOf, tableOf } from './network.ts';
import type { OwnNameservers, RulesInput } from './network.ts';

export type Firewall = {
  /** Puts these rules in force; they are what is kept from now on. `known`: narrowed machines that are there already. */
  apply(input: RulesInput, known?: OwnNameservers): Promise<void>;
  /** Resolves when the table is whole, or was two seconds ago. Rejects with DRIVER_FAILED when it is not and cannot be made so. */
  look(): Promise<void>;
  /** As look, for whoever does not wait for it: what fails is in the log, and tried again at the next look. */
  watch(): void;
  /** Resolves when this machine may ask these resolvers and no others. Rules were applied before. */
  narrow(id: MachineId, nameservers: readonly string[]): Promise<void>;
  /** Of a machine that is gone: nothing has its name any more, so the rules are not written anew for it. */
  forget(id: MachineId): void;
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

/** What was applied last. `upTo`: the narrowing that it has, and all before. */
type Kept = {
  readonly input: RulesInput;
  readonly upTo: number;
  readonly print: string | undefined;
  readonly wholeAt: number;
};

export type FirewallInput = { readonly controllerId: string; readonly clock: Clock; readonly log: Log; readonly tables?: Tables };

export function createFirewall({ controllerId, clock, log, tables = nft }: FirewallInput): Firewall {
  const table = tableOf(controllerId);
  let kept: Kept | undefined;
  const own = new Map<MachineId, readonly string[]>();
  let narrowings = 0;
  let last: Promise<unknown> = Promise.resolve();
  let looking: Promise<void> | undefined;
  let failing = false;

  /** A look between two rules would take the new ones for somebody's. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const turn = last.then(work, work);
    last = turn;
    return turn;
  }

  async function put(input: RulesInput): Promise<void> {
    const upTo = narrowings;
    await tables.replace(rulesOf(input, own));
    const wholeAt = clock.now();
    kept = { input, upTo, print: await tables.fingerprint(table), wholeAt };
    failing = false;
  }

  async function apply(input: RulesInput, known: OwnNameservers): Promise<void> {
    for (const [id, nameservers] of known) own.set(id, nameservers);
    await put(input);
  }

  async function narrow(id: MachineId, nameservers: readonly string[]): Promise<void> {
    own.set(id, nameservers);
    narrowings += 1;
    const wanted = narrowings;
    // Of those that come at once, the first that is in turn writes for all.
    await inTurn(async () => (kept === undefined || kept.upTo >= wanted ? undefined : put(kept.input)));
  }

  async function mend(): Promise<void> {
    if (kept === undefined) return;
    const { input, print, wholeAt } = kept;
    const at = clock.now();
    try {
      const seen = await tables.fingerprint(table);
      if (seen !== undefined && seen === print) {
        kept = { ...kept, wholeAt: at };
        failing = false;
        return;
      }
      await put(input);
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
    apply: (input, known = new Map()) => inTurn(() => apply(input, known)),
    look,
    narrow,
    forget: (id) => void own.delete(id),
    watch() {
      void look().catch((error: unknown) => {
        if (!isControllerError(error)) throw error;
      });
    },
  };
}
