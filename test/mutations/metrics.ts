// Promises mutations of what is counted: a number that is wrong is worse than none.

import type { Target } from './mutation.ts';

const tests = ['test/unit/metrics.test.ts'];

export const metricsTargets: readonly Target[] = [
  {
    file: 'src/metrics/waits.ts',
    tests,
    mutations: [
      ['a job waits anew for each reason', 'if (jobs.has(key)) return;', 'if (jobs.size < 0) return;'],
      ['a wait is counted at each end', 'jobs.delete(key);\n      return job?', 'return job?'],
    ],
  },
  {
    file: 'src/metrics/fact-counts.ts',
    tests,
    mutations: [
      [
        'a reason is believed whatever it says',
        "const reason = oneOf(endReasons, fact.facts['reason']);",
        "const reason = String(fact.facts['reason']);",
      ],
      [
        'a job that its machine did not get has waited',
        "if (ran !== undefined || reason === 'cancelled'",
        "if (reason !== '' || reason === 'cancelled'",
      ],
    ],
  },
  {
    file: 'src/metrics/gauges.ts',
    tests,
    mutations: [
      ['a forge that left is shown for ever', 'for (const gauge of [up, fault, age, unpolled, took, listed]) gauge.reset();', ''],
      ['an unanswered forge is up', 'error === undefined && lastGoodPollAt !== undefined ? 1 : 0', 'error === undefined ? 1 : 0'],
    ],
  },
  {
    file: 'src/metrics/repository-counts.ts',
    tests,
    mutations: [['every repository has series of its own', 'known.size >= kept', 'known.size < 0']],
  },
  {
    file: 'src/metrics/counts.ts',
    tests,
    mutations: [['a server chooses labels by its status', 'common.has(status) ?', 'status > 0 ?']],
  },
];
