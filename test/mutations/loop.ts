// Promises mutations of what the loop sees and remembers: readings, absences, the queue, cadence, rests, retries.

import type { Target } from './mutation.ts';

const loopTests = [
  'test/unit/reconciler-memory.test.ts',
  'test/unit/reconciler-more.test.ts',
  'test/unit/reconciler.test.ts',
  'test/unit/reconciler-doubt.test.ts',
];
const seeds = 60;

export const loopTargets: readonly Target[] = [
  {
    file: 'src/reconciler/observe.ts',
    tests: loopTests,
    seeds,
    mutations: [
      [
        'a host that could not be listed has no machines',
        '    return unknown(error);\n  }\n}\n\nasync function readRoom',
        "    if (!isControllerError(error)) throw error;\n    return { state: 'known', value: [], at };\n  }\n}\n\nasync function readRoom",
      ],
      [
        'a forge whose registrations could not be read has none',
        'return [forge.name, unknown(error)];',
        "return [forge.name, isControllerError(error) ? { state: 'known', value: [], at } : unknown(error)];",
      ],
      ['a forge is asked at every tick, due or not', 'if (!poller.due(clock.now())) return poller.last();', ''],
      [
        'a slow forge holds up every tick',
        'const answer = await Promise.race([poller.underWay, clock.sleep(patienceMs, patience.signal)]);',
        'const answer = await poller.underWay;',
      ],
      [
        'a list is dated by its arrival instead of by the asking',
        'poller.succeeded({ jobs, poll: number }, at, clock.now())',
        'poller.succeeded({ jobs, poll: number }, clock.now(), clock.now())',
      ],
      [
        'an absence is counted once per tick instead of once per poll',
        'reading.value.poll > before.poll ?',
        'reading.value.poll >= before.poll ?',
      ],
      ['only the first absence is ever counted', 'polls: before.polls + 1', 'polls: before.polls'],
      ['the first absence counts twice', '{ polls: 1, since: now', '{ polls: 2, since: now'],
      ['a poll that began before the runner was made counts as an absence', ' || reading.at < runner.createdAt', ''],
      ['a poll that failed forgets the absences before it', 'if (before !== undefined) next.set(runner.id, before);', ''],
      ['the time of an absence begins anew with every poll', 'since: before.since, poll', 'since: now, poll'],
      [
        'a job that is seen again keeps the absences of before',
        '=== true) continue;',
        '=== true) {\n      if (before !== undefined) next.set(runner.id, before);\n      continue;\n    }',
      ],
    ],
  },
  {
    file: 'src/reconciler/tick.ts',
    tests: loopTests,
    seeds,
    mutations: [
      [
        'what is under way is noted after the world was read',
        'const world = { ...seen, absences: loop.absences, dispatching };',
        'const world = { ...seen, inFlight: queue.ids(), absences: loop.absences, dispatching };',
      ],
      ['the slot that was given last is not remembered', 'loop.lastSlot = action.runner.slot;', ''],
      ['an end is planned anew at every try of its clean-up', 'loop.history.begun(action, now);', ''],
      ['nothing old is ever forgotten', 'history.forget(world, now);', ''],
    ],
  },
  {
    file: 'src/reconciler/loop.ts',
    tests: ['test/unit/reconciler-unpolled.test.ts'],
    mutations: [
      [
        'a machine that came up slowly is not looked after',
        "if (action.kind === 'launch') loop.pollers.get",
        "if (action.kind === 'warm') void loop.pollers; else if (loop.ticks < 0 && 'runner' in action) loop.pollers.get",
      ],
    ],
  },
  {
    file: 'src/reconciler/loop.ts',
    tests: loopTests,
    seeds,
    mutations: [
      ['a settled job is settled as of no poll at all', 'poller?.count() ?? 0', '-1'],
      [
        'tokens of an earlier life may stand in the log',
        'if (credentials !== undefined) log.conceal(credentials.token);',
        'void credentials;',
      ],
    ],
  },
  {
    file: 'src/reconciler/queue.ts',
    tests: loopTests,
    seeds,
    mutations: [
      ['what waits in line or runs does not count as under way', 'held.set(action.id, action);', ''],
      ['one action more than allowed runs at once', 'running < limit', 'running <= limit'],
      ['the ids under way change while a tick looks at them', 'ids: () => new Set(held.keys())', 'ids: () => held as never'],
      [
        'an action that failed stays under way for ever',
        'held.delete(action.id);\n    if (failure === undefined) outcome.done(action);',
        'if (failure === undefined) held.delete(action.id);\n    if (failure === undefined) outcome.done(action);',
      ],
      [
        'the end of one action does not begin the next in line',
        'else outcome.failed(action, failure.error);\n    pump();',
        'else outcome.failed(action, failure.error);',
      ],
    ],
  },
  {
    file: 'src/reconciler/poller.ts',
    tests: ['test/unit/poller.test.ts', ...loopTests],
    seeds,
    mutations: [
      ['the last list of a forge that fails stays known', "last = { state: 'unknown', reason: `${error.code}: ${error.message}` };", ''],
      ['a shared server is asked as often as any', 'costFactor * Math.min(...costs)), floorMs)', 'costFactor * Math.min(...costs)))'],
      [
        'a slow server is asked as often as a quick one',
        'Math.max(wanted, Math.min(costCapMs, costFactor * Math.min(...costs)), floorMs)',
        'Math.max(wanted, floorMs)',
      ],
      ['one slow answer puts the next look off', 'const costsKept = 3;', 'const costsKept = 1;'],
      ['failures of long ago slow down the next ones', 'failures = 0;\n      status', 'status'],
      ['a wish to poll overrules the pause of a forge that fails', 'if (failures === 0) nextAt = 0;', 'nextAt = 0;'],
      ['a throttled forge is not left alone as long as it asked for', 'now + Math.max(asked, backOffMs)', 'now + backOffMs'],
      ['every poll has the same number', '(polls = number())', '(polls = 1)'],
      ['an outage begins anew with every failure', 'status.error?.since ?? now', 'now'],
    ],
  },
  {
    file: 'src/reconciler/back-offs.ts',
    tests: loopTests,
    seeds,
    mutations: [
      ['a rest never grows', '(resting.get(key)?.count ?? 0) + 1', '1'],
      [
        'a rest grows without end',
        'Math.min(capMs, (firstMs[reason] ?? otherwiseMs) * 2 ** (count - 1))',
        '(firstMs[reason] ?? otherwiseMs) * 2 ** (count - 1)',
      ],
      [
        'the end of a job wakes the resting jobs of every repository',
        'repositoryKeyOf(rest.forge, rest.repositoryId) === repository)',
        'rest.forge === forge)',
      ],
      ['a try that was too early for the end of another job rests as any', 'isFree ? 0 : ', ''],
      ['the end of a job long before a try spares it the rest', ' >= assignedAt', ' >= 0'],
      ['ends of jobs are kept for ever', 'if (at < oldest) freed.delete(repository);', ''],
      ['a job that is woken from its rest begins to count anew', 'resting.set(other, { ...rest, until: now })', 'resting.delete(other)'],
      ['a job that was picked rests as if nobody had', 'if (left || runner.pickedAt !== undefined) return;', ''],
      ['a rest is forgotten while a machine waits for the job', 'if (gone && !running && ', 'if (gone && '],
      [
        'rests of jobs that are gone are kept for ever',
        'reading.value.poll : 0)) resting.delete(key);',
        'reading.value.poll : 0)) continue;',
      ],
    ],
  },
  {
    file: 'src/reconciler/history.ts',
    tests: loopTests,
    seeds,
    mutations: [
      ['tries are not counted, so the pause never grows', ': before + 1;', ': 1;'],
      ['a full host counts as a failed try', "isControllerError(error, 'HOST_EXHAUSTED') ? before : before + 1", 'before + 1'],
      ['the tries of one step count for the next', 'last?.action === action.kind ? last.attempts : 0', 'last?.attempts ?? 0'],
      [
        'a step is tried again before the forge wants it',
        'Math.max(asked, backOffMs * (0.8 + random() * 0.4))',
        'backOffMs * (0.8 + random() * 0.4)',
      ],
      ['success leaves the failed tries standing', 'void retries.delete(action.id)', 'void action'],
      ['a finished job is not noted as settled', 'settled.set(keyOf(runner), poll);', ''],
      ['settled jobs are remembered without bound', 'if (settled.size > settledKept) ', 'if (settled.size < 0) '],
      ['the ended are remembered without bound', 'ended.length = Math.min(ended.length, endedKept);', ''],
      ['the end of a runner is remembered for the next one of its id', 'endings.delete(runner.id);', ''],
      ['a clean-up that is tried again seems to have begun then', 'endings.get(id)?.at ?? runner.ending?.at ?? now', 'now'],
      ['failed tries are forgotten as soon as the next is due', ' && !alive.has(id)) retries.delete(id);', ') retries.delete(id);'],
    ],
  },
];
