// What the loop must not get wrong in small print: stale pictures, double counting, the order of a stop and of an end, waiting times. Each
// test was written because a small wrong change of the code went unnoticed without it.

import { describe, expect, test } from 'vitest';
import { ControllerError } from '../../src/errors.ts';
import { plan } from '../../src/core/plan.ts';
import { inItsPlace } from '../../src/core/naming.ts';
import { createBackOffs } from '../../src/reconciler/back-offs.ts';
import { createHistory } from '../../src/reconciler/history.ts';
import { absencesAfter } from '../../src/reconciler/observe.ts';
import { createQueue } from '../../src/reconciler/queue.ts';
import { aJob, aMachine, aPolicy, aProfile, aRegistration, aRunner, aWorld, known, listed, unknown } from '../support/build.ts';
import { createRig, flushed, type Rig } from '../support/reconciler-rig.ts';

const short = aProfile({ timeouts: { startMs: 20_000, pickMs: 5_000, jobMs: 10_000, stopMs: 5_000 } });
const calls = (rig: Rig, verb: string) => rig.driver.calls.filter((call) => call.verb === verb).length;
const asked = (rig: Rig, verb: string) => rig.forge.calls.filter((call) => call.split(' ')[0] === verb).length;
function only<T>(all: Iterable<T>): T {
  const [one, ...others] = all;
  if (one === undefined || others.length > 0) throw new Error(`wanted one, there are ${others.length + (one === undefined ? 0 : 1)}`);
  return one;
}
/** A job that was picked and works. */
async function busy(rig: Rig): Promise<void> {
  const job = rig.forge.queue(1);
  await rig.step();
  rig.forge.pick(only(rig.forge.rows).uuid, job.handle);
  await rig.step();
}

describe('what is under way', () => {
  test('I3 a launch that ends while a tick looks is left to the next tick, for the list of machines is older than the record', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    const release = rig.driver.hold('start');
    rig.clock.advance(1_000);
    await rig.reconciler.tick();
    const gate = Promise.withResolvers<void>();
    Object.assign(rig.forge, { jobs: () => gate.promise.then(() => [aJob(1)]) });
    rig.clock.advance(1_000);
    const tick = rig.reconciler.tick();
    await flushed();
    release();
    await rig.reconciler.settled();
    gate.resolve();
    await tick;
    await rig.reconciler.settled();
    expect(only(rig.driver.machines.values()).state).toBe('running');
    expect(calls(rig, 'remove')).toBe(0);
  });

  test('I3 a machine whose launch is under way is not swept, even before its record is seen', () => {
    const world = aWorld({ machines: known([aMachine('j0000001abc')]), inFlight: new Set(['j0000001abc']) });
    expect(plan(world, aPolicy(), 0).actions).toEqual([]);
  });

  test('a slot that stands on a record is not given again while its machine is not listed yet', () => {
    const recorded = aRunner(aJob(1), { slot: 0 });
    const world = aWorld({ jobs: new Map([['main', listed([aJob(1), aJob(2)])]]), runners: [recorded] });
    const fresh = plan(world, aPolicy(), 0).actions.flatMap((action) => (action.kind === 'launch' ? [action.runner] : []));
    expect(fresh.map(({ job, slot }) => [job.id, slot])).toEqual([
      [1, 0],
      [2, 1],
    ]);
  });
});

describe('polls without the job', () => {
  const runner = aRunner(aJob(1), { createdAt: 1_000 });
  const seen = (poll: number, at: number, jobs = [aJob(2)]) => ({ runners: [runner], jobs: new Map([['main', listed(jobs, poll, at)]]) });
  const none = new Map();

  test('one poll counts once, however often a tick looks at it', () => {
    const first = absencesAfter(none, seen(7, 2_000), 2_000);
    const again = absencesAfter(first, seen(7, 2_000), 2_500);
    expect(again.get(runner.id)).toMatchObject({ polls: 1, since: 2_000 });
    expect(absencesAfter(again, seen(8, 3_000), 3_000).get(runner.id)).toMatchObject({ polls: 2, since: 2_000 });
  });
  test('a poll that began before the runner was made says nothing of its job', () => {
    expect(absencesAfter(none, seen(7, 999), 2_000)).toEqual(none);
  });
  test('a job that is seen again starts the count anew', () => {
    const missed = absencesAfter(none, seen(7, 2_000), 2_000);
    const back = absencesAfter(missed, seen(8, 3_000, [aJob(1)]), 3_000);
    expect(back).toEqual(none);
    expect(absencesAfter(back, seen(9, 4_000), 4_000).get(runner.id)).toMatchObject({ polls: 1, since: 4_000 });
  });
  test('I2 a poll that failed neither counts nor forgets', () => {
    const missed = absencesAfter(none, seen(7, 2_000), 2_000);
    expect(absencesAfter(missed, { runners: [runner], jobs: new Map([['main', unknown]]) }, 3_000)).toEqual(missed);
  });
});

describe('a stop', () => {
  test('I1 stands on the record before the machine hears of it', async () => {
    const rig = createRig({ profiles: [short] });
    await busy(rig);
    rig.store.fail(1);
    await rig.step(11_000);
    expect(calls(rig, 'stop')).toBe(0);
    await rig.step(2_000);
    expect(calls(rig, 'stop')).toBe(1);
  });
  test('that was recorded and not delivered is delivered later', async () => {
    const rig = createRig({ profiles: [short] });
    await busy(rig);
    rig.driver.fail('stop', { times: 1 });
    await rig.step(11_000);
    expect(only(rig.store.records.values()).stop).toMatchObject({ reason: 'job-timeout' });
    expect(only(rig.driver.machines.values()).state).toBe('running');
    await rig.step(2_000);
    expect(calls(rig, 'stop')).toBe(2);
    await rig.step();
    expect([...rig.driver.machines]).toEqual([]);
  });
});

describe('the end of a runner', () => {
  test('I1 a machine that may still work keeps its registration until it is gone', async () => {
    const rig = createRig({ profiles: [short] });
    rig.driver.fail('assign');
    rig.forge.queue(1);
    await rig.step();
    rig.driver.fail('remove', { times: 1 });
    await rig.step(21_000);
    expect(calls(rig, 'remove')).toBe(1);
    expect(rig.forge.rows).toHaveLength(1);
    expect(rig.store.records.size).toBe(1);
    await rig.step(2_000);
    expect([rig.driver.machines.size, rig.forge.rows.length, rig.store.records.size]).toEqual([0, 0, 0]);
  });
  test('I1 a registration that could not be deleted keeps its record until it is', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    await rig.step();
    rig.driver.end(only(rig.driver.machines.keys()));
    rig.forge.fail('unregister', 1);
    await rig.step();
    expect([rig.forge.rows.length, rig.store.records.size]).toEqual([1, 1]);
    await rig.step(2_000);
    expect([rig.forge.rows.length, rig.store.records.size]).toEqual([0, 0]);
  });
});

describe('what was seen once', () => {
  test('the end of a machine keeps its reason when its removal had to be tried twice', async () => {
    const rig = createRig();
    await busy(rig);
    rig.forge.end('handle-1');
    rig.driver.fail('remove', { times: 1, after: true });
    rig.driver.end(only(rig.driver.machines.keys()));
    await rig.step();
    expect(rig.store.records.size).toBe(1);
    await rig.step(2_000);
    expect(rig.reconciler.snapshot().ended).toMatchObject([{ reason: 'finished', exit: { result: 'success' } }]);
  });
  test('I1 a record whose writing failed is written again before anything is made', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    rig.forge.fail('register', 5);
    rig.store.fail(1);
    await rig.step();
    expect(rig.store.records.size).toBe(0);
    await rig.step(2_000);
    expect(asked(rig, 'register')).toBe(1);
    expect(rig.store.records.size).toBe(1);
  });
});

describe('who runs the job', () => {
  test('a job that another runner took is not ours: its machine is freed after the clock and never counted as picked', async () => {
    const rig = createRig({ profiles: [aProfile({ timeouts: { ...short.timeouts, jobMs: 60_000 } })] });
    const job = rig.forge.queue(1);
    await rig.step();
    rig.forge.queue(job.id, { state: 'running', taskId: 77 });
    await rig.step();
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ phase: 'waiting-for-job' }]);
    for (let second = 0; second < 22; second += 1) await rig.step();
    expect(rig.driver.machines.size).toBe(0);
    const [ended] = rig.reconciler.snapshot().ended;
    expect(ended).toMatchObject({ reason: 'unpicked' });
    expect(ended).not.toHaveProperty('pickedAt');
  });
});

describe('credentials', () => {
  test('survive a crash on the record: the same registration is used, no second one is made', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    rig.driver.fail('assign', { times: 1 });
    await rig.step();
    rig.restart();
    await rig.step(2_000);
    expect(asked(rig, 'register')).toBe(1);
    expect(only(rig.driver.machines.values()).assignment?.token).toBe('secret-token-1');
  });
  test('I7 of an earlier life are concealed before anything is said', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    await rig.step();
    rig.log.concealed.length = 0;
    rig.restart();
    expect(rig.log.concealed).toEqual(['secret-token-1']);
  });
  test('I6 lost in a reply are replaced without touching a namesake that bears another mark', async () => {
    const rig = createRig();
    const foreign = aRegistration({ id: 99, name: aRunner(aJob(1)).id, description: 'made by hand' });
    const listing = rig.forge.registrations.bind(rig.forge);
    Object.assign(rig.forge, { registrations: async () => [foreign, ...(await listing())] });
    rig.forge.queue(1);
    rig.forge.fail('register', 1, true);
    await rig.step();
    await rig.step(2_000);
    expect(asked(rig, 'register')).toBe(2);
    expect(rig.forge.calls.filter((call) => call.startsWith('unregister'))).toEqual(['unregister 1']);
  });
});

describe('a step that failed', () => {
  test('is not tried again at once', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    rig.forge.fail('register', 2);
    await rig.step();
    await rig.step(100);
    expect(asked(rig, 'register')).toBe(1);
    await rig.step(1_200);
    expect(asked(rig, 'register')).toBe(2);
    await rig.step(1_200);
    expect(asked(rig, 'register')).toBe(2);
    await rig.step(1_500);
    expect(asked(rig, 'register')).toBe(3);
  });
  test('waits as long as the forge asked for', async () => {
    const rig = createRig();
    const register = rig.forge.register.bind(rig.forge);
    const throttled = new ControllerError('FORGE_THROTTLED', 'too many requests', { details: { retryAfterMs: 30_000 } });
    Object.assign(rig.forge, { register: () => Promise.reject(throttled) });
    rig.forge.queue(1);
    await rig.step();
    Object.assign(rig.forge, { register });
    await rig.step(29_000);
    expect(rig.forge.rows).toEqual([]);
    await rig.step(1_500);
    expect(rig.forge.rows).toHaveLength(1);
  });
});

describe('sweeps', () => {
  test('a registration whose record has no credentials yet is left to the launch that will look for it', () => {
    const runner = aRunner(aJob(1));
    const registrations = new Map([['main', known([aRegistration({ id: 9, name: runner.id })])]]);
    const { actions } = plan(aWorld({ runners: [runner], registrations }), aPolicy(), 0);
    expect(actions.filter(({ kind }) => kind === 'sweep-registration')).toEqual([]);
  });
  test('that failed wait for their next try', () => {
    const failed = { attempts: 1, at: 500, error: { code: 'DRIVER_FAILED', message: 'x' } };
    const world = aWorld({
      machines: known([aMachine('j0000001abc')]),
      registrations: new Map([['main', known([aRegistration({ id: 9, name: 'j0000002abc' })])]]),
      retries: new Map([
        ['j0000001abc', { action: 'sweep-machine', ...failed }],
        ['main/9', { action: 'sweep-registration', ...failed }],
      ]),
    });
    expect(plan(world, aPolicy(), 499).actions).toEqual([]);
    expect(plan(world, aPolicy(), 500).actions.map(({ kind }) => kind)).toEqual(['sweep-machine', 'sweep-registration']);
  });
});

describe('on demand', () => {
  test('while nothing waits, no machine is made and nobody is registered', async () => {
    const rig = createRig();
    for (let second = 0; second < 60; second += 1) await rig.step();
    expect([calls(rig, 'start'), asked(rig, 'register')]).toEqual([0, 0]);
  });
  test('the runner is told the URL for runners, which may differ from the one that is polled', async () => {
    const rig = createRig();
    Object.assign(rig.forge, { instanceUrl: 'https://public.test' });
    rig.forge.queue(1);
    await rig.step();
    expect(only(rig.driver.machines.values()).assignment?.url).toBe('https://public.test');
  });
});

describe('bounds', () => {
  test("the host's own fence lies behind all of the plan's clocks", async () => {
    const rig = createRig({ profiles: [short] });
    rig.forge.queue(1);
    await rig.step();
    const { startMs, pickMs, jobMs } = short.timeouts;
    expect(only(rig.driver.machines.values()).spec.runtimeMaxMs).toBeGreaterThan(startMs + pickMs + jobMs);
  });
  test('a rest grows to five minutes and no further', () => {
    const backOffs = createBackOffs();
    const rests = Array.from({ length: 8 }, () => {
      backOffs.after('handle-1', aRunner(aJob(1)), 'unpicked', 0);
      return backOffs.all().get('handle-1')?.until;
    });
    expect(rests).toEqual([30_000, 60_000, 120_000, 240_000, 300_000, 300_000, 300_000, 300_000]);
  });
  test('of those that ended the last thousand are remembered, the newest first', () => {
    const history = createHistory(() => 0.5);
    for (let id = 1; id <= 1_050; id += 1) history.finalized(aRunner(aJob(id)), { reason: 'finished' }, 'ended by itself', 1, id);
    expect(history.ended).toHaveLength(1_000);
    expect(history.ended[0]?.job.id).toBe(1_050);
  });
  test('those that ended before the start come after those since, each once, and never more than a thousand in all', () => {
    const before = createHistory(() => 0.5);
    for (let id = 1; id <= 1_000; id += 1) before.finalized(aRunner(aJob(id)), { reason: 'finished' }, 'ended by itself', 1, id);
    const history = createHistory(() => 0.5);
    for (const id of [1_000, 1_001]) history.finalized(aRunner(aJob(id)), { reason: 'finished' }, 'ended by itself', 1, id);
    history.recall(before.ended);
    expect(history.ended.map(({ job }) => job.id)).toEqual(Array.from({ length: 1_000 }, (_, at) => 1_001 - at));
  });
  test('no more actions than allowed run at once, the others wait in line as under way', async () => {
    const gate = Promise.withResolvers<void>();
    const running: string[] = [];
    const queue = createQueue(2, {
      run: async ({ id }) => {
        running.push(id);
        await gate.promise;
      },
      done: () => undefined,
      failed: () => undefined,
    });
    for (const id of ['a', 'b', 'c']) queue.add({ kind: 'sweep-machine', id });
    expect(running).toEqual(['a', 'b']);
    expect([...queue.ids()]).toEqual(['a', 'b', 'c']);
    gate.resolve();
    await queue.settled();
    expect(running).toEqual(['a', 'b', 'c']);
  });
  test('what waits in line is not begun once the service ends', async () => {
    const gate = Promise.withResolvers<void>();
    const running: string[] = [];
    const queue = createQueue(1, {
      run: async ({ id }) => {
        running.push(id);
        await gate.promise;
      },
      done: () => undefined,
      failed: () => undefined,
    });
    for (const id of ['a', 'b']) queue.add({ kind: 'sweep-machine', id });
    queue.close();
    gate.resolve();
    await queue.settled();
    expect(running).toEqual(['a']);
  });
  test('a slot rests as long as it can before it is given again', async () => {
    const rig = createRig();
    const slots: number[] = [];
    for (const id of [1, 2, 3]) {
      rig.forge.queue(id);
      await rig.step();
      slots.push(only(rig.driver.machines.values()).spec.slot);
      rig.forge.end(`handle-${id}`);
      rig.driver.end(only(rig.driver.machines.keys()));
      await rig.step();
    }
    expect(slots).toEqual([0, 1, 2]);
  });
});

describe('after a failure', () => {
  test('a step that went well forgets its failed tries', async () => {
    const rig = createRig();
    rig.forge.queue(1);
    rig.forge.fail('register', 1);
    await rig.step();
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ attempts: 1 }]);
    await rig.step(2_000);
    expect(rig.reconciler.snapshot().runners).toMatchObject([{ attempts: 0, retryAt: 0 }]);
    expect(rig.reconciler.snapshot().runners[0]).not.toHaveProperty('lastError');
  });
  test('the machine of a forge that left the configuration is removed all the same', async () => {
    const rig = createRig();
    const away = aRunner(aJob(1, { forge: 'away' }), { credentials: { id: 5, uuid: 'u', token: 'secret' }, assignedAt: 1 });
    rig.store.records.set(away.id, away);
    rig.driver.plant(aMachine(away.id, { state: 'exited' }));
    rig.restart();
    await rig.step();
    await rig.step();
    expect([rig.driver.machines.size, rig.store.records.size]).toEqual([0, 0]);
  });
});

describe('a forge whose answer does not come', () => {
  test('holds up neither the clocks nor the ends of machines, and its late answer is looked at when it is there', async () => {
    const rig = createRig();
    await busy(rig);
    const gate = Promise.withResolvers<void>();
    const list = rig.forge.jobs.bind(rig.forge);
    Object.assign(rig.forge, { jobs: () => gate.promise.then(() => list()) });
    const late = async (): Promise<void> => {
      rig.clock.advance(1_000);
      const tick = rig.reconciler.tick();
      await flushed();
      rig.clock.advance(1_000);
      await tick;
      await rig.reconciler.settled();
    };
    await late();
    rig.driver.end(only(rig.driver.machines.keys()));
    await late();
    expect([rig.driver.machines.size, rig.store.records.size]).toEqual([0, 0]);
    const before = asked(rig, 'jobs');
    rig.forge.queue(2);
    gate.resolve();
    await flushed();
    await rig.step(1);
    expect(asked(rig, 'jobs')).toBe(before + 1);
    expect(only(rig.store.records.values()).job.id).toBe(2);
  });
  test('is looked at the moment it comes at last', async () => {
    const rig = createRig();
    const gate = Promise.withResolvers<void>();
    const list = rig.forge.jobs.bind(rig.forge);
    Object.assign(rig.forge, { jobs: () => gate.promise.then(() => list()) });
    rig.forge.queue(1);
    const ending = new AbortController();
    const run = rig.reconciler.run(ending.signal);
    for (let second = 0; second < 3; second += 1) {
      await flushed();
      rig.clock.advance(1_000);
    }
    await flushed();
    gate.resolve();
    for (let turn = 0; turn < 20 && rig.store.records.size === 0; turn += 1) {
      rig.clock.advance(10); // far less than to the next look
      await flushed();
    }
    expect(rig.store.records.size).toBe(1);
    ending.abort();
    await run;
  });
});

describe('a forge entry that leads elsewhere since the last start', () => {
  test('I9 costs the jobs that run nothing: the new place is not asked about them', async () => {
    const rig = createRig();
    await busy(rig);
    const runner = only(rig.store.records.values());
    expect(runner.place).toBe(rig.forge.place);
    rig.store.records.set(runner.id, inItsPlace(runner, new Map([['main', 'http://elsewhere.test instance']])));
    rig.forge.end('handle-1'); // as the new place has never heard of it
    rig.restart();
    for (let second = 0; second < 30; second += 1) await rig.step();
    expect(only(rig.driver.machines.values()).state).toBe('running');
    rig.driver.end(only(rig.driver.machines.keys()));
    await rig.step();
    expect([rig.driver.machines.size, rig.store.records.size]).toEqual([0, 0]);
  });
});

describe('waking', () => {
  test('the end of a machine is looked at before the next poll is due', async () => {
    const rig = createRig();
    await busy(rig);
    const ending = new AbortController();
    const run = rig.reconciler.run(ending.signal);
    await flushed();
    rig.driver.end(only(rig.driver.machines.keys()));
    for (let turn = 0; turn < 20 && rig.store.records.size > 0; turn += 1) {
      rig.clock.advance(10); // less in all than the time to the next poll
      await flushed();
    }
    expect(rig.store.records.size).toBe(0);
    ending.abort();
    await run;
  });
  test('a wish to poll asks the forge at the next tick, whatever its cadence says', async () => {
    const rig = createRig();
    await rig.step();
    const before = asked(rig, 'jobs');
    await rig.step(1);
    expect(asked(rig, 'jobs')).toBe(before);
    rig.reconciler.wake(true);
    await rig.step(1);
    expect(asked(rig, 'jobs')).toBe(before + 1);
  });
});

function slow(rig: Rig): void {
  rig.reconciler.configure({
    forges: [{ forge: rig.forge, url: 'http://forge.test', pollIntervalMs: 1_000, hookedIntervalMs: 30_000 }],
    policy: aPolicy(),
  });
}

describe('webhooks', () => {
  test('a webhook wakes the poll of its forge alone; one of a forge that is not there does nothing', async () => {
    const rig = createRig();
    slow(rig);
    await rig.step();
    rig.reconciler.kick('main');
    await rig.step(20_000);
    await rig.step(20_000); // from now on polls are rare
    const before = asked(rig, 'jobs');
    rig.reconciler.kick('elsewhere');
    await rig.step(600);
    expect(asked(rig, 'jobs')).toBe(before);
    rig.reconciler.kick('main');
    await rig.step(600);
    expect(asked(rig, 'jobs')).toBe(before + 1);
    expect(rig.reconciler.snapshot().forges).toMatchObject([{ name: 'main', lastWebhookAt: rig.clock.now() - 600 }]);
  });

  test('a webhook that cannot be made sure of is said once, touches nothing else, and is tried again', async () => {
    const rig = createRig();
    let asked = 0;
    const outcomes = ['refused', 'refused', 'made', 'kept'] as const;
    const keepWebhook = (): Promise<'made' | 'kept'> => {
      const outcome = outcomes[asked++] ?? 'kept';
      if (outcome === 'refused') return Promise.reject(new ControllerError('FORGE_UNAUTHORIZED', 'the token needs write:repository'));
      return Promise.resolve(outcome);
    };
    Object.assign(rig.forge, { keepWebhook });
    for (let index = 0; index < 4; index += 1) {
      rig.reconciler.maintain();
      await rig.step();
      await flushed();
    }
    expect(asked).toBe(4);
    expect(rig.log.lines.filter(({ event }) => event === 'webhook').map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'the webhook cannot be made sure of: the token needs write:repository'],
      ['info', 'the webhook was made'],
    ]);
    expect(rig.reconciler.snapshot().forges[0]?.error).toBeUndefined();
  });

  test('the first job is served before any webhook came, and one whose delivery was lost is found by the rarer poll', async () => {
    const rig = createRig();
    slow(rig);
    rig.forge.queue(1);
    await rig.step();
    expect(rig.driver.machines.size).toBe(1);
    rig.reconciler.kick('main');
    for (let index = 0; index < 80; index += 1) await rig.step(1_000);
    rig.forge.queue(2);
    for (let index = 0; index < 31 && jobOf(rig, 2) === undefined; index += 1) await rig.step(1_000);
    expect(jobOf(rig, 2)).toBeDefined();
  });
});

function jobOf(rig: Rig, id: number): unknown {
  return rig.reconciler.snapshot().runners.find(({ job }) => job.id === id);
}
