// Promises mutations of what commits are told: too much, too often, for ever, or what is not known.

import type { Target } from './mutation.ts';

export const statusTargets: readonly Target[] = [
  {
    file: 'src/statuses/due.ts',
    tests: ['test/unit/statuses-due.test.ts'],
    mutations: [
      ['a job is told of at once', 'now - since < after || ', ''],
      ['a job is told of at each look', '|| posted.get(jobKeyOf(job))?.reason === reason', ''],
      ['a forge that does not answer ends all waiting', '&& answering.has(forge)', ''],
      ['a machine that waits for the job has begun it', '(pickedAt === undefined ? waiting : running)', 'running'],
      [
        'paths of the host are told',
        "if (reason === 'host-full' || reason === 'host-unknown') return",
        "if (reason === 'host-unknown') return",
      ],
    ],
  },
  {
    file: 'src/statuses/statuses.ts',
    tests: ['test/integration/statuses.test.ts'],
    mutations: [
      [
        'a restart forgets what was told',
        'new Map((await readPosted(file, log)).map((one) => [one.key, one]))',
        'new Map<string, Posted>()',
      ],
      [
        'a file that is broken is taken for none',
        "if (error instanceof SyntaxError) notRead(file, log, 'it is no JSON');",
        'if (error instanceof SyntaxError) return [];',
      ],
      ['a first start is told of a file that is not there', "else if (errno !== 'ENOENT') notRead", 'else notRead'],
      ['a forge that refuses is asked at each look', '|| (resting.get(name) ?? 0) > now', ''],
      ['each failure is a line', 'if (said.get(subject) !== trouble) log.warn', 'log.warn'],
      ['all are told at once', '.slice(0, mostAtOnce)', ''],
    ],
  },
  {
    file: 'src/forge/commit-status.ts',
    tests: ['test/integration/statuses.test.ts'],
    mutations: [
      ['the commit is looked up each time', 'commits.set(key, commit);', ''],
      ['a repository that is gone is an error', 'if (isAbsent(run.reply)) return undefined;', ''],
    ],
  },
];
