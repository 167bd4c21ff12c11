// Promises mutations of the traces: a span that lies is worse than none, and a secret in one worse still.

import type { Target } from './mutation.ts';

const tests = ['test/integration/traces.test.ts'];

export const tracesTargets: readonly Target[] = [
  {
    file: 'src/traces/story.ts',
    tests,
    mutations: [
      ['times of the wall clock are taken for those of the line', 'fact.at - (last.at - at)', 'fact.at'],
      ['the wait is not told', 'Math.min(seenAt ?? createdAt, createdAt)', 'createdAt'],
      [
        'a failed start is no failure',
        "span('start', launch.at, retry.at, errorOf(retry.fact).message)",
        "span('start', launch.at, retry.at)",
      ],
      ['a runner whose job died is well', "'machine-failed': 'its machine died',", ''],
      ['the phases of a start begin together', "startedAt - took('startedMs')", 'assignedAt'],
      [
        'a job waits anew for each machine from its first sight on',
        'if (again) seen.set(jobOf(fact), at);',
        'if (again) seen.delete(jobOf(fact));',
      ],
      ['every end is the last of its job', "const again = msOf(fact, 'ranMs') === undefined", 'const again = false'],
    ],
  },
  {
    file: 'src/traces/exporter.ts',
    tests,
    mutations: [
      ['each failure is a line', 'if (lost === 0)', 'if (lost >= 0)'],
      ['an outage never ends', 'lost = 0;\n        }', '}'],
      ['a header may come into a line of the log', 'of Object.values(headers)) {', 'of Object.keys(headers)) {'],
      ['children have no parent', 'trace.setSpan(context, span)', 'context'],
      ['a later machine is not linked', 'before === undefined ? [] : [{ context: before }]', '[]'],
    ],
  },
];
