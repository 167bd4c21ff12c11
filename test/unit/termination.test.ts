// Promises the words for a machine's end: every reason has a sentence that says what to look at, and nothing is claimed that was not seen.

import { describe, expect, test } from 'vitest';
import type { EndReason, MachineExit } from '../../src/core/model.ts';
import { causeOf, summaryOf, terminationLinesOf } from '../../src/core/termination.ts';
import { aJob, aProfile, aRunner } from '../support/build.ts';

const profile = aProfile({ limits: { memoryBytes: 2 ** 30 } });
const killed: MachineExit = { result: 'signal', code: 'killed', status: 'KILL' };

describe('the cause of an end', () => {
  test.each<[EndReason, MachineExit | undefined, string]>([
    ['machine-failed', killed, 'was killed by signal KILL'],
    [
      'machine-failed',
      { ...killed, oomKills: 1 },
      'was killed by signal KILL, after processes in it were killed for want of memory (memory limit 1 GiB)',
    ],
    ['machine-failed', { result: 'oom-kill', code: 'killed', status: 'KILL' }, 'was killed for want of memory (memory limit 1 GiB)'],
    ['machine-failed', { result: 'core-dump', code: 'dumped', status: 'SEGV' }, 'was killed by signal SEGV'],
    ['machine-failed', { result: 'exit-code', code: 'exited', status: '1' }, 'ended with exit code 1'],
    ['machine-failed', { result: 'exit-code', code: 'exited', status: '137' }, 'ended with exit code 137, signal 9'],
    ['machine-failed', { result: 'resources', code: '', status: '' }, 'died (resources)'],
    ['machine-failed', undefined, 'died'],
    ['machine-lost', undefined, 'vanished without a record of its end: the host was restarted, most likely'],
    ['finished', undefined, 'ended by itself before its result had reached Forgejo'],
    ['job-timeout', undefined, 'was stopped because the job ran longer than 2 h, the limit of profile default'],
    ['unpicked', undefined, 'was stopped because Forgejo did not hand it the job within 30 s'],
    ['operator', undefined, 'was ended by an operator of this controller'],
  ])('%s %j', (reason, exit, sentence) => {
    expect(causeOf({ reason, ...(exit === undefined ? {} : { exit }) }, profile)).toBe(sentence);
  });
});

describe('the summary of an end', () => {
  const small = aProfile({ limits: { memoryBytes: 256 * 2 ** 20 } });
  const ended: MachineExit = { result: 'success', code: 'exited', status: '0' };

  test.each<[EndReason, MachineExit | undefined, string]>([
    ['machine-failed', { ...killed, oomKills: 1 }, 'killed: memory limit 256 MiB'],
    ['machine-failed', { result: 'oom-kill', code: 'killed', status: 'KILL' }, 'killed: memory limit 256 MiB'],
    ['machine-failed', killed, 'was killed by signal KILL'],
    ['finished', { ...ended, oomKills: 0 }, 'ended by itself'],
    ['finished', { ...ended, oomKills: 1 }, 'ended by itself; 1 process in it killed: memory limit 256 MiB'],
    ['finished', { ...ended, oomKills: 2 }, 'ended by itself; 2 processes in it killed: memory limit 256 MiB'],
    ['operator', { ...killed, oomKills: 1 }, 'was ended by an operator of this controller'],
    ['machine-lost', undefined, 'vanished without a record of its end: the host was restarted, most likely'],
  ])('%s %j', (reason, exit, sentence) => {
    expect(summaryOf({ reason, ...(exit === undefined ? {} : { exit }) }, small)).toBe(sentence);
  });
  test('without a limit it is the host that had no memory left', () => {
    const exit = { ...killed, oomKills: 1 };
    expect(summaryOf({ reason: 'machine-failed', exit }, aProfile())).toBe('killed: the host had no memory left');
  });
});

describe('the lines for the log of a job whose container died', () => {
  const runner = aRunner(aJob(7), { createdAt: 0, assignedAt: 1_000, pickedAt: 2_000 });
  const termination = { runner, profile, policy: { controllerId: 'test' }, output: [] };

  test('say the cause first, then who and how long, what memory it took, and its last words', () => {
    const exit = { ...killed, memoryPeakBytes: 900 * 2 ** 20, oomKills: 2 };
    const ending = { reason: 'machine-failed', exit, at: 36_500 } as const;
    expect(terminationLinesOf({ ...termination, ending, output: ['one', 'two'] })).toEqual([
      'forgejo-runner-controller: the container of this job was killed by signal KILL, after processes in it were killed for want of memory (memory limit 1 GiB). The job is reported as failed.',
      `  container ${runner.machine} of profile default, controller test; it had the job for 34.5 s`,
      '  memory: peak 900 MiB, limit 1 GiB; killed for want of memory: 2',
      '  the last lines of its console:',
      '  | one',
      '  | two',
    ]);
  });
  test('claim nothing about memory or output that nobody saw', () => {
    expect(terminationLinesOf({ ...termination, ending: { reason: 'machine-lost', at: 2_000 } })).toHaveLength(2);
  });
});
