// Promises mutations of what is decided for each runner and for what has none: life cycle, clocks, sweeps.

import type { Target } from './mutation.ts';

const planTests = [
  'test/unit/plan.test.ts',
  'test/unit/plan-more.test.ts',
  'test/unit/plan-ending.test.ts',
  'test/unit/plan-profiles.test.ts',
  'test/property/plan.property.test.ts',
];
const loopTests = [
  'test/unit/reconciler.test.ts',
  'test/unit/reconciler-more.test.ts',
  'test/unit/reconciler-memory.test.ts',
  'test/unit/reconciler-report.test.ts',
  'test/unit/reconciler-drain.test.ts',
];
const seeds = 60;

export const stepTargets: readonly Target[] = [
  {
    file: 'src/core/plan.ts',
    tests: [...planTests, ...loopTests],
    seeds,
    mutations: [
      ['an action is begun for an id that has one under way', '.filter((action) => !world.inFlight.has(action.id))', ''],
      ['a machine of any name without a record is removed', 'isMachineId(id) && !recorded', '!recorded'],
      ['machines are swept although they have a record', 'isMachineId(id) && !recorded.has(id) && ', 'isMachineId(id) && '],
      ['a machine that lost its record is removed at work', "(state !== 'running' || idle(id)) && ", ''],
      [
        'a sweep of a machine that failed is tried at once',
        '(world.retries.get(id)?.at ?? 0) <= now,\n    )\n    .map',
        'true,\n    )\n    .map',
      ],
      ['a forge that was not asked lists nobody at work', 'readings.length < world.jobs.size || ', ''],
      [
        'a forge that did not answer lists nobody at work',
        "|| readings.some(({ state }) => state !== 'known')) return () => false;",
        ') return () => false;',
      ],
      ['registrations of others are deleted', '!isOurRegistration(registration, policy) || ', ''],
      ['a registration that is at work is deleted when its record is lost', '|| atWork || world', '|| world'],
      ['the registration of a launch under way is deleted', ' || world.inFlight.has(registration.name)) continue;', ') continue;'],
      [
        'the registration of a launch that was cut short is deleted under its hands',
        '(owner.credentials === undefined || owner.credentials.id === registration.id)',
        'owner.credentials?.id === registration.id',
      ],
      [
        'a second registration under the name of a runner stays',
        '(owner.credentials === undefined || owner.credentials.id === registration.id)',
        'owner.id === registration.name',
      ],
      [
        'a registration on another forge under the name of a runner stays',
        'owner !== undefined && owner.forge === forge && ',
        'owner !== undefined && ',
      ],
      [
        'a runner whose host is unknown is ended',
        "if (world.machines.state !== 'known') return [];\n  const machines",
        "if (world.machines.state !== 'known') return world.runners.flatMap((runner) => stepOf(runner, undefined, world, policy, now, { state: 'unknown' }) ?? []);\n  const machines",
      ],
    ],
  },
  {
    file: 'src/core/lifecycle.ts',
    tests: [...planTests, ...loopTests],
    seeds,
    mutations: [
      [
        'a forge that does not answer lists no job',
        "if (reading?.state !== 'known') return { state: 'unknown' };",
        "if (reading?.state !== 'known') return { state: 'absent' };",
      ],
      ['the second poll without the job is not waited for', 'const pollsUntilGone = 2;', 'const pollsUntilGone = 1;'],
      [
        'a machine that does not obey is never removed by force',
        'if (now - stopping.at > profile.timeouts.stopMs + forceAfterMs) return finalize(runner, stopping.reason);',
        '',
      ],
      [
        'a stop is given no grace before force',
        'if (now - stopping.at > profile.timeouts.stopMs + forceAfterMs)',
        'if (now - stopping.at > 0)',
      ],
      [
        'a stop is asked once and never followed up',
        'if (runner.stop !== undefined) return stepOfStopping(facts, runner.stop);',
        'if (runner.stop !== undefined) return machine === undefined ? stepOfStopping(facts, runner.stop) : undefined;',
      ],
      ['a step that failed is tried again at once', 'retry?.action === step.kind && retry.at > now ? undefined : step', 'step'],
      ['the failure of one step holds up every other', 'retry?.action === step.kind && retry.at > now', '(retry?.at ?? 0) > now'],
      [
        'an end on the record is not gone through after a restart',
        'world.endings.get(runner.id) ?? runner.ending',
        'world.endings.get(runner.id)',
      ],
      ['an end that has begun is judged anew', 'world.endings.get(runner.id) ?? runner.ending', 'runner.ending'],
      [
        'a machine that vanished before its job was handed over is called lost',
        'if (machine === undefined && runner.assignedAt !== undefined) return finalize',
        'if (machine === undefined && runner.credentials !== undefined) return finalize',
      ],
      [
        'a machine that was given its job before a crash has no clock',
        "return runner.assignedAt === undefined ? { kind: 'launch', id: runner.id, runner } : stepOfAssigned(facts, runner.assignedAt);",
        'return runner.assignedAt === undefined ? undefined : stepOfAssigned(facts, runner.assignedAt);',
      ],
      [
        'the exit of a machine is not handed on',
        'return finalize(runner, endReasonOf(runner, machine), machine.exit);',
        'return finalize(runner, endReasonOf(runner, machine));',
      ],
      [
        'a machine that failed is said to have finished',
        "return exit.result === 'success' ? 'finished' : 'machine-failed';",
        "return 'finished';",
      ],
      ['a machine that vanished is said to have failed', "exit === undefined || exit.result === 'lost'", 'exit === undefined'],
      ['a machine that we stopped is said to have ended by itself', 'if (runner.stop !== undefined) return runner.stop.reason;', ''],
      [
        'the job clock begins with the hand-over instead of the pick-up',
        'now - (runner.pickedAt ?? assignedAt + pickMs) > jobMs',
        'now - assignedAt > jobMs',
      ],
      [
        'the job clock waits for the forge to answer',
        "> jobMs) return stop(facts, 'job-timeout')",
        "> jobMs && job.state !== 'unknown') return stop(facts, 'job-timeout')",
      ],
      ['a job that is gone has no grace', 'if (now - absence.since >= policy.goneGraceMs)', 'if (now >= absence.since)'],
      [
        'a job that was cancelled before its pick-up keeps its machine for the grace',
        "return runner.pickedAt === undefined ? stop(facts, 'job-gone') : undefined;",
        'return undefined;',
      ],
      [
        'a job that was seen to run is asked about before the grace',
        "return runner.pickedAt === undefined ? stop(facts, 'job-gone') : undefined;",
        "return stop(facts, 'job-gone');",
      ],
      ['a machine whose job nobody hands out is kept', "if (job.state === 'waiting' && overdue) return stop(facts, 'unpicked');", ''],
      [
        'a machine whose job somebody else took is kept',
        'runner.missedAt !== undefined && overdue',
        'runner.missedAt !== undefined && now < 0',
      ],
      ['a runner that a forge calls idle for a moment is given up', ' && now - runner.missedAt >= missedForMs', ''],
      [
        'a machine that only just missed its job is stopped before its clock',
        'runner.missedAt !== undefined && overdue',
        'runner.missedAt !== undefined || overdue',
      ],
      [
        'a machine is stopped by the un-picked clock while the forge does not answer',
        "if (job.state === 'waiting' && overdue)",
        "if (job.state !== 'running' && overdue)",
      ],
      [
        'a machine is still made for a job that another took',
        "else if (job.state === 'running' || (job.state === 'absent'",
        "else if ((job.state === 'absent'",
      ],
      [
        'a machine that does not come up is tried for ever',
        "if (now - runner.createdAt > profile.timeouts.startMs) return finalize(runner, attempts > 0 ? 'start-failed' : 'start-timeout');",
        '',
      ],
      [
        'the clocks of a runner change with the configuration',
        'return runner.timeouts === undefined ? profile : { ...profile, timeouts: runner.timeouts };',
        'return profile;',
      ],
    ],
  },
];
