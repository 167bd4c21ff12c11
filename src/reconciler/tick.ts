// Promises one tick: observe, plan, and the actions begun, which go on after it. What it learned is said once, kept for the next tick, and
// decides when to look again.

import type { Action, ForgeName, Plan, World } from '../core/model.ts';
import { plan, strayWorkersOf } from '../core/plan.ts';
import { standstillOf } from '../core/room.ts';
import { crash, policyOf, takeSettings, type Loop } from './loop.ts';
import { absencesAfter, observe } from './observe.ts';

/** With anything of ours alive, the clocks are looked at this often. */
const watchIntervalMs = 1_000;
const idleIntervalMs = 60_000;

export type Foresight = Plan & { readonly world: World };

export async function tick(loop: Loop): Promise<void> {
  const { history, herald, hands } = loop;
  takeSettings(loop);
  const begunAt = hands.clock.now();
  const maintenance = loop.maintenance;
  loop.maintenance = false;
  const seen = await look(loop, maintenance || loop.mode === 'ending');
  const now = hands.clock.now();
  loop.absences = absencesAfter(loop.absences, seen, now);
  const dispatching = loop.dispatch.look(seen, now);
  const world = { ...seen, absences: loop.absences, dispatching };
  loop.world = world;
  history.forget(world, now);
  loop.warmth.look(world, loop.settings.policy, now);
  // One whose launch waits in line has no record yet.
  const underWay = loop.queue.ids();
  for (const id of loop.condemned) if (hands.ledger.get(id) === undefined && !underWay.has(id)) loop.condemned.delete(id);
  noteHost(loop, world, now);
  const { actions, denials, dispatches } = plan(world, policyOf(loop), now);
  loop.denials = denials;
  herald.forges(loop.pollers);
  herald.denials(denials);
  herald.registrations(world.registrations, policyOf(loop));
  for (const action of actions) begin(loop, action, now);
  loop.dispatch.answered(dispatches);
  // Whoever ends everything needs no host that could run machines.
  if (maintenance && loop.mode !== 'ending') void audit(loop);
  if (maintenance) loop.options.archive?.tend();
  // What a forge that has just come back left in doubt is looked at again as soon as its word counts.
  if (maintenance && world.fresh.size > 0 && strayWorkersOf(world).size > 0) loop.maintenance = true;
  loop.ticks += 1;
  loop.tickAt = hands.clock.now();
  loop.tickMs = loop.tickAt - begunAt;
}

/** What a tick would see and do now; nothing is begun. The registrations are always read. */
export async function foresee(loop: Loop): Promise<Foresight> {
  takeSettings(loop);
  const world = { ...(await look(loop, true)), absences: loop.absences };
  return { world, ...plan(world, policyOf(loop), loop.hands.clock.now()) };
}

/**
 * The same beside a loop that runs, which does not notice: host and, if asked for, registrations are read now, and of the jobs it is taken what
 * the forges said last.
 */
export async function preview(loop: Loop, registrations: boolean): Promise<Foresight> {
  const world = { ...(await look(loop, registrations, true)), absences: loop.absences };
  return { world, ...plan(world, policyOf(loop), loop.hands.clock.now()) };
}

function look(loop: Loop, registrations: boolean, hushed = false): Promise<Omit<World, 'absences'>> {
  const { sources, queue, hands, history, lastSlot, stop, warmth, dispatch } = loop;
  const beginning = queue.actions().filter((action) => action.kind === 'launch' || action.kind === 'warm');
  const underWay = { inFlight: queue.ids(), beginning };
  const warm = loop.settings.policy.profiles.some((profile) => profile.warm !== undefined);
  const memory = () => ({
    runners: hands.ledger.all(),
    fresh: freshOf(loop),
    backOffs: history.backOffs.all(),
    condemned: new Set(loop.condemned),
    settled: history.settled,
    endings: history.endings,
    retries: history.retries,
    lastSlot,
    warmth: { usedAt: warmth.usedAt, rests: warmth.rests },
    dispatching: dispatch.known(),
  });
  return observe({ ...sources, hushed, warm }, underWay, memory, registrations, stop.signal);
}

function freshOf(loop: Loop): Set<ForgeName> {
  const now = loop.options.clock.now();
  return new Set([...loop.pollers].filter(([, poller]) => poller.fresh(now)).map(([name]) => name));
}

function noteHost(loop: Loop, world: World, now: number): void {
  loop.herald.host(world.machines);
  loop.herald.room(standstillOf(world.room, loop.settings.policy.floor)?.sentence);
  if (world.machines.state === 'known') loop.hostError = undefined;
  else loop.hostError = { code: 'DRIVER_FAILED', message: world.machines.reason, since: loop.hostError?.since ?? now };
}

function begin(loop: Loop, action: Action, now: number): void {
  if (action.kind === 'launch') {
    loop.lastSlot = action.runner.slot;
    loop.pollers.get(action.runner.forge)?.stir(now);
  }
  if (action.kind === 'confirm') loop.dispatch.asks(action, loop.world, now);
  if (action.kind === 'warm') loop.lastSlot = action.slot;
  loop.history.begun(action, now);
  loop.queue.add(action);
}

async function audit(loop: Loop): Promise<void> {
  const owned = () => new Set([...loop.queue.ids(), ...loop.hands.ledger.all().map((runner) => runner.machine)]);
  try {
    await loop.auditor.run(owned, loop.stop.signal);
  } catch (error) {
    crash(loop, error);
  }
}

/** Until the next poll, or soon while anything of ours is alive, or at the next due retry. */
export function nextLookMs(loop: Loop): number {
  const now = loop.options.clock.now();
  const machines = loop.world?.machines;
  const alive = loop.mode === 'ending' || loop.hands.ledger.all().length > 0 || machines?.state !== 'known' || machines.value.length > 0;
  const moments = [...loop.pollers.values()].map((poller) => poller.nextAt() - now);
  for (const { at } of loop.history.retries.values()) if (at > now) moments.push(at - now);
  return Math.max(0, Math.min(...moments, alive ? watchIntervalMs : idleIntervalMs));
}
