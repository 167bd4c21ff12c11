// Promises what is remembered of runners that a person asked for, that every order is answered once its records are safe on the disk, and how
// it becomes known which job such a runner took. What is remembered can be lost without losing a job.

import { candidatesOf, mistakeOf, offersAfter } from '../core/dispatch.ts';
import type { Asked, Dispatches, DispatchAnswer, Dispatching, DispatchMistake, DispatchOrder, DispatchWish } from '../core/dispatched.ts';
import type { Action, Credentials, ForgeName, Job, Policy, Runner, World } from '../core/model.ts';
import { factsOf, forgeOf, type Hands } from './hands.ts';

export type DispatchMemory = {
  /** For whoever looks without doing anything. */
  known(): Dispatching;
  /** For a tick: with the orders that its plan is to answer. */
  look(world: Omit<World, 'absences'>, now: number): Dispatching;
  /** A runner is asked about upon the list that this world has. */
  asks(action: Extract<Action, { readonly kind: 'confirm' }>, world: World | undefined, now: number): void;
  /** Resolves with what the next plan makes of it. */
  order(order: DispatchOrder): Promise<DispatchAnswer>;
  /** Each by the first answer that it gets. */
  answered(answers: Dispatches['dispatches']): void;
  /** No plan is made any more: whoever waits is told. */
  close(): void;
};

export function createDispatchMemory(): DispatchMemory {
  const orders = new Map<DispatchOrder, (answer: DispatchAnswer) => void>();
  const asked = new Map<string, Asked>();
  let offers: ReadonlyMap<string, number> = new Map();
  let closed = false;

  return {
    known: () => ({ orders: [], offers, asked }),
    look(world, now) {
      offers = offersAfter(offers, world, now);
      const alive = new Set(world.runners.map(({ id }) => id));
      for (const id of asked.keys()) if (!alive.has(id)) asked.delete(id);
      return { orders: [...orders.keys()], offers, asked: new Map(asked) };
    },
    asks({ id, runner, taskId }, world, now) {
      const reading = world?.jobs.get(runner.forge);
      if (runner.dispatch === undefined || reading?.state !== 'known') return;
      const before = asked.get(id);
      asked.set(id, { poll: reading.value.poll, at: now, taskId, since: before?.taskId === taskId ? before.since : now });
    },
    order: (order) =>
      closed ? Promise.resolve(refusalOf(order)) : new Promise<DispatchAnswer>((resolve) => void orders.set(order, resolve)),
    answered(answers) {
      for (const answer of answers) {
        orders.get(answer.order)?.(answer);
        orders.delete(answer.order);
      }
    },
    close() {
      closed = true;
      for (const [order, resolve] of orders) resolve(refusalOf(order));
      orders.clear();
    },
  };
}

function refusalOf(order: DispatchOrder): DispatchAnswer {
  return { order, runners: [], refused: { reason: 'draining', sentence: 'the service is ending, and starts nothing more' } };
}

/** For a plan, and for that and the records: less than the five seconds that a client waits for an answer. */
const patienceMs = 3_000;
const answerMs = 4_000;

type Asking = {
  readonly memory: DispatchMemory;
  readonly hands: Hands;
  readonly policy: Policy;
  readonly forges: readonly ForgeName[];
  readonly condemned: Set<string>;
  readonly wake: () => void;
};

/**
 * Resolves when the records of all that are started are safe: from then on a crash loses none. One whose record could not be written, or not in
 * time, is ended, should it be there all the same, and counts as refused.
 */
export async function dispatch(asking: Asking, wish: DispatchWish, by: string): Promise<DispatchAnswer | DispatchMistake> {
  const { memory, hands, policy, forges, wake } = asking;
  const order = orderOf(wish, policy, forges);
  if ('mistake' in order) return order;
  const begunAt = hands.clock.now();
  const planned = memory.order(order);
  wake();
  const patience = new AbortController();
  void withdrawLate(asking, order, patience.signal);
  const answer = await planned;
  patience.abort();
  const { runners, refused } = await recorded(asking, answer, begunAt + answerMs - hands.clock.now());
  const { forge, labels, count, ttlMs } = order;
  const facts = { by, order: 'dispatch', forge, labels, wanted: count, accepted: runners.length, runners: runners.map(({ id }) => id) };
  hands.log.info(
    'order',
    { ...facts, ...(ttlMs === undefined ? {} : { ttlMs }), ...(refused === undefined ? {} : { reason: refused.reason }) },
    refused === undefined ? 'runners are started to take whatever job comes' : `not all runners are started: ${refused.sentence}`,
  );
  return { order, runners, ...(refused === undefined ? {} : { refused }) };
}

/** Whoever asks does not wait for ever, and must know: what was not planned by then never is. */
async function withdrawLate({ memory, hands }: Asking, order: DispatchOrder, signal: AbortSignal): Promise<void> {
  await hands.clock.sleep(patienceMs, signal);
  const sentence = 'no look at the world has ended in time (a forge is slow, most likely); nothing was started, ask again';
  if (!signal.aborted) memory.answered([{ order, runners: [], refused: { reason: 'late', sentence } }]);
}

/** The same without those whose records are not safe after that time. Their launch may wait in line behind slow ones, which takes no notice of who asks. */
async function recorded({ hands, condemned }: Asking, answer: DispatchAnswer, ms: number): Promise<Omit<DispatchAnswer, 'order'>> {
  const { ledger, clock } = hands;
  const patience = new AbortController();
  const giveUp = async (): Promise<boolean> => {
    await clock.sleep(Math.max(0, ms), patience.signal);
    if (patience.signal.aborted) return false;
    for (const { id } of answer.runners) ledger.giveUp(id);
    return true;
  };
  const late = giveUp();
  const sure = await Promise.all(answer.runners.map(async (runner) => ({ runner, sure: await ledger.whenSure(runner.id) })));
  patience.abort();
  for (const each of sure) if (!each.sure) condemned.add(each.runner.id);
  const runners = sure.flatMap((each) => (each.sure ? [each.runner] : []));
  if (runners.length === answer.runners.length) return answer;
  return { runners, refused: (await late) ? lateSteps : unwritten };
}

const lateSteps = {
  reason: 'late',
  sentence: 'so many machines start or end that the rest had no turn in time, or the disk is slow; none of it is started, ask again',
} as const;
const unwritten = { reason: 'store-failed', sentence: 'records cannot be written: the log of the service says why' } as const;

function orderOf({ forge, ...rest }: DispatchWish, policy: Policy, forges: readonly ForgeName[]): DispatchOrder | DispatchMistake {
  if (policy.dispatch === undefined)
    return { mistake: 'off', sentence: 'Nothing is dispatched here: name labels that may be as dispatch.labels in the configuration.' };
  const [only, ...others] = forges;
  const name = forge ?? (others.length === 0 ? only : undefined);
  if (name === undefined) return { mistake: 'forge', sentence: `is missing: write one of ${forges.join(', ')}` };
  if (!forges.includes(name)) return { mistake: 'forge', sentence: `is not in the configuration: write one of ${forges.join(', ')}` };
  const sentence = mistakeOf(rest.labels, policy);
  return sentence === undefined ? { ...rest, forge: name } : { mistake: 'labels', sentence: `cannot be dispatched: ${sentence}` };
}

/** Once per list that shows a job that it may have. */
export async function recognise(hands: Hands, runner: Runner, { id }: Credentials): Promise<void> {
  const registration = await forgeOf(hands, runner.forge).registration(id);
  if (registration?.status === 'active') await noteJob(hands, runner);
}

/**
 * It reports, so it has a job. Which one its own words say, of those that the forge lists as running; a job could forge the words, and would gain
 * nothing: whose task it is Forgejo itself decides whenever that matters.
 */
export async function noteJob(hands: Hands, runner: Runner): Promise<void> {
  const { clock, ledger, log } = hands;
  const job = await jobOf(hands, runner);
  const pickedAt = runner.pickedAt ?? clock.now();
  if (job === undefined && runner.pickedAt !== undefined) return;
  const known: Partial<Runner> = job === undefined ? {} : { job: refOf(job), taskId: job.taskId };
  const picked = { ...runner, ...known, pickedAt };
  await ledger.save(picked);
  const waited = runner.assignedAt === undefined ? {} : { waitedMs: pickedAt - runner.assignedAt };
  log.info('picked', { ...factsOf(picked), afterMs: pickedAt - runner.createdAt, ...waited });
}

async function jobOf(hands: Hands, runner: Runner): Promise<Job | undefined> {
  const candidates = candidatesOf(runner, await forgeOf(hands, runner.forge).jobs());
  if (candidates.length === 0) return undefined;
  const task = taskSaidIn(await hands.driver.output(runner.machine));
  return candidates.find(({ taskId }) => taskId === task);
}

/** In the words of forgejo-runner: `task 17 repo is owner/name ...`. */
function taskSaidIn(lines: readonly string[]): number | undefined {
  for (const line of lines) {
    const [, task] = /\btask (\d{1,15}) repo is /.exec(line) ?? [];
    if (task !== undefined) return Number(task);
  }
  return undefined;
}

function refOf({ id, handle, attempt, repositoryId, name, labels }: Job): Runner['job'] {
  return { id, handle, attempt, repositoryId, name, labels };
}
