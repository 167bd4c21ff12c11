// Promises mutations of runners that a person asked for: who is started, how long they live, which jobs are left to them, and what is known of
// the job that one took.

import type { Target } from './mutation.ts';

const tests = ['test/unit/reconciler-dispatch.test.ts'];
const asked = ['test/integration/http-dispatch.test.ts'];

export const dispatchTargets: readonly Target[] = [
  {
    file: 'src/core/lifecycle.ts',
    tests,
    mutations: [
      [
        'a machine that may have had a job is made again',
        'isJobless(runner) && runner.credentials === undefined &&',
        'isJobless(runner) &&',
      ],
      ['one whose start was cut short is given up', 'isJobless(runner) && runner.credentials === undefined &&', 'false &&'],
    ],
  },
  {
    file: 'src/core/dispatch.ts',
    tests,
    mutations: [
      ['a runner lives longer than was asked for', 'createdAt + dispatch.ttlMs', 'createdAt + 2 * dispatch.ttlMs'],
      ['a runner lives longer than its profile lets a job take', 'Math.min(ttlMs, timeouts.jobMs)', 'Math.min(ttlMs, 2 * timeouts.jobMs)'],
      ['an order gets a place more than maxConcurrent', 'free.ids.size >= policy.maxConcurrent', 'free.ids.size > policy.maxConcurrent'],
      ['an order gets a machine more than the max of its profile', '?? 0) < max)', '?? 0) <= max)'],
      ['two runners of one order get the same slot', 'free.slots.add(slot);', ''],
      ['something is started while draining', "if (mode !== 'serving') return { reason", "if (mode === 'ending') return { reason"],
      ['something is started on a host that is full', 'return standstillOf(room, floor);', 'return standstillOf(room, undefined);'],
      ['any label may be asked for', 'dispatch?.labels.includes(label) !== true', 'dispatch === undefined'],
      ['a profile that asks where jobs come from is handed any', ' && !asksOrigin(profile)', ''],
      ['a job is left to a runner for ever', 'now - since >= offerMs', 'now - since >= offerMs * 1_000'],
      ['every job is left to one runner', 'free.splice(place, 1);', ''],
      ['a job is left to a runner that has not its labels', 'serves(runner.job, job)', 'job.labels.length > 0'],
      ['a drain waits for runners without a job', "policy.mode === 'serving' && mistakeOf", "policy.mode !== 'ending' && mistakeOf"],
      ['one that waits outlives a configuration that forbids it', 'mistakeOf(job.labels, { ...policy, profiles }) === undefined', 'true'],
      [
        'one that waits outlives its profile',
        'const profiles = policy.profiles.filter(({ name }) => name === profile);',
        'const { profiles } = policy;',
      ],
      ['an order that is forbidden meanwhile is started', 'if (mistake !== undefined || free', 'if (free'],
      ['one without a job is ended without a look', "if (overdueMs > forceAfterMs) return 'ttl';", "if (overdueMs > 0) return 'ttl';"],
      ['one that nobody can ask about is kept', "if (overdueMs > forceAfterMs) return 'ttl';", ''],
      ['one that has a job nobody knows is asked about for ever', '< recogniseForMs', '< Infinity'],
      ['a forge is asked at every tick', '?? -1) >= reading.value.poll)', '?? -1) > reading.value.poll)'],
      ['a forge is asked upon every list while a foreign job runs', 'now - asked.since >= recogniseForMs', 'now < asked.since'],
      ['a job that hid behind a foreign one is never found', 'now - asked.at < askAgainMs', 'true'],
      ['a forge is asked about jobs that cannot be its own', 'each.taskId > 0 && serves(job, each)', 'each.taskId > 0'],
    ],
  },
  {
    file: 'src/reconciler/dispatch.ts',
    tests,
    mutations: [
      ['an order is answered before its records are safe', 'sure: await ledger.whenSure(runner.id)', 'sure: true'],
      ['one whose record could not be written goes on', 'if (!each.sure) condemned.add(', 'if (!each.sure) condemned.delete('],
      ['an order that comes at the end is forgotten', 'for (const [order, resolve] of orders) resolve(refusalOf(order));', ''],
      ['the words of any task are believed', 'candidates.find(({ taskId }) => taskId === task)', 'candidates[0]'],
      ['an order that was refused for being late is started after all', 'orders.delete(answer.order);', ''],
      ['an order waits for as long as its records take', 'begunAt + answerMs - hands.clock.now()', 'Infinity'],
      ['an order is in no line of the journal', "'order',\n    {", "'maintenance',\n    {"],
    ],
  },
  {
    file: 'src/reconciler/act.ts',
    tests,
    mutations: [
      ['only the first of the jobs that may be its own is reported', "if (outcome === 'reported') return true;", 'return true;'],
      ['one whose record came too late goes on', '  if (hands.condemned(runner.id)) return;\n', ''],
      ['one that waited in line for too long is put on record', 'known === undefined && hands.condemned(runner.id)', 'false'],
    ],
  },
  {
    file: 'src/reconciler/tick.ts',
    tests,
    mutations: [['that one in line was refused is forgotten', ' && !underWay.has(id)', '']],
  },
  {
    file: 'src/reconciler/doubt.ts',
    tests,
    mutations: [
      ['of a job that came at the last moment nothing is noted', 'if (isJobless(runner)) await noteJob(hands, runner);', ''],
      ['one that has no job is ended without a look', " || reason === 'no-job';", ';'],
    ],
  },
  {
    file: 'src/reconciler/back-offs.ts',
    tests,
    mutations: [['a runner that no job came to makes another wait', 'if (isJobless(runner)) return;', '']],
  },
  {
    file: 'src/http/dispatch.ts',
    tests: asked,
    mutations: [
      ['a body may be as long as it likes', 'if (bytes > mostBytes) return tooLong;', ''],
      ['a field that is not known is left out', 'if (!fields.includes(name)) throw', 'if (false) throw'],
      ['half a runner may be asked for', 'Number.isInteger(value) && ', ''],
      ['a form of another site is read', "if (!/^application\\/json\\b/i.test(type ?? ''))", 'if (type === undefined)'],
      ['that less time was given is not told', 'ttl_clamped: first !== undefined', 'ttl_clamped: false'],
    ],
  },
];
