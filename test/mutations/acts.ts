// Promises mutations of what is done: the order of writes, what is asked before an end, the report of a dead container.

import type { Target } from './mutation.ts';

const loopTests = [
  'test/unit/reconciler.test.ts',
  'test/unit/reconciler-more.test.ts',
  'test/unit/reconciler-memory.test.ts',
  'test/unit/reconciler-report.test.ts',
  'test/unit/reconciler-record.test.ts',
  'test/unit/reconciler-doubt.test.ts',
  'test/unit/reconciler-ends.test.ts',
  'test/unit/reconciler-drain.test.ts',
];

export const actTargets: readonly Target[] = [
  {
    file: 'src/reconciler/act.ts',
    tests: loopTests,
    seeds: 60,
    mutations: [
      [
        'a machine is made before its record is written',
        'if (known === undefined || ledger.isDoubtful(runner.id)) await ledger.save(runner);',
        '',
      ],
      [
        'a record whose writing failed counts as written',
        'if (known === undefined || ledger.isDoubtful(runner.id))',
        'if (known === undefined)',
      ],
      [
        'the hand-over is written down before it took place',
        'await hands.driver.assign(\n      runner.machine,',
        'await ledger.save({ ...runner, credentials, assignedAt: clock.now() });\n    await hands.driver.assign(\n      runner.machine,',
      ],
      ['the hand-over is not written down', 'await ledger.save({ ...runner, credentials, assignedAt });', ''],
      ['credentials are not written down before they are handed over', 'await hands.ledger.save({ ...runner, credentials });', ''],
      ['a registration whose reply was lost stays beside the new one', 'if (resumed) await unregisterByName(hands, runner);', ''],
      [
        'registrations of others under the name of a runner are deleted',
        'registration.name === runner.id && isOurRegistration(registration, policy)',
        'registration.name === runner.id',
      ],
      [
        'all of our registrations are deleted to replace one',
        'registration.name === runner.id && isOurRegistration(registration, policy)',
        'isOurRegistration(registration, policy)',
      ],
      [
        'a machine hears of its stop before the record does',
        'await hands.ledger.save({ ...runner, stop: { reason, at: hands.clock.now() } });',
        'await hands.driver.stop(runner.machine, action.graceMs);\n    await hands.ledger.save({ ...runner, stop: { reason, at: hands.clock.now() } });',
      ],
      [
        'a stop that was not delivered stands although the job was handed out',
        'takenBack === undefined ? undefined : hands.ledger.save(working)',
        'undefined',
      ],
      [
        'credentials that were given back are handed out again',
        'if (!resumed || (await forge.registered(stored.id, signal))) return stored;',
        'return stored;',
      ],
      [
        'a registration that reported just now is given back',
        "if (!told && (await forge.registration(credentials.id))?.status === 'active') {",
        'if (tasks.length < 0) {',
      ],
      [
        'every stop that is asked again has a new time',
        'if (runner.stop === undefined) {\n    await hands',
        'if (runner.stop === undefined || action.graceMs > 0) {\n    await hands',
      ],
      ['a stop is written down and not delivered', 'await hands.driver.stop(runner.machine, graceMs);', ''],
      [
        'a machine that ended while the forge was asked is told as stopped',
        '(await hasEnded(hands, runner))) return;',
        '(await hasEnded(hands, runner)) && action.graceMs < 0) return;',
      ],
      [
        'a runner that offers its end to nobody has the whole grace for that',
        "reason === 'cancelled' && (await offersInVain(hands, runner)) ? 0",
        "reason === 'cancelled' && (await offersInVain(hands, runner)) ? action.graceMs",
      ],
      [
        'every stop is a kill once a runner could not send its end',
        "reason === 'cancelled' && (await offersInVain(hands, runner)) ? 0",
        "reason === 'cancelled' || (await offersInVain(hands, runner)) ? 0",
      ],
      [
        'an end leaves the registration behind',
        'await Promise.allSettled([machineGone, release(hands, runner, ending)',
        'await Promise.allSettled([machineGone',
      ],
      [
        'the record is deleted before the machine is removed',
        'const machineGone = driver.remove(runner.machine);',
        'await ledger.erase(runner.id);\n  const machineGone = driver.remove(runner.machine);',
      ],
      ['the forge is told of an end while the machine may still be at work', 'if (exit === undefined) await machineGone;', ''],
      [
        'what outlived a dead machine works on while its job is reported',
        "if (reason !== 'finished' && exit !== undefined) await driver.stop(runner.machine, 0);",
        '',
      ],
      [
        'a clean-up that failed deletes the record all the same',
        "for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;",
        '',
      ],
      ['the record of an ended runner stays', 'await ledger.erase(runner.id);', ''],
      ['how a machine ended is not written down', '...(toNote ? [ledger.save(runner)] : [])', ''],
      ['how a machine ended is written anew at every try', 'known.ending ?? { reason', '{ reason'],
      [
        'a job whose container died is never reported',
        'tasks.length > 0 && (await report(hands, runner, credentials, tasks, ending))',
        'tasks.length > 0',
      ],
      ['a registration that is gone is reported for', 'if (!(await forge.registered(credentials.id))) return;', ''],
      [
        'a dead container is reported only when its pick-up was seen',
        'runner.taskId === undefined ? await tasksOf(hands, runner)',
        'runner.taskId === undefined ? []',
      ],
      [
        'the registration goes before its job is reported',
        'const tasks = runner.taskId ===',
        'await forge.unregister(credentials.id);\n  const tasks = runner.taskId ===',
      ],
      [
        'a registration without known credentials is left behind',
        'if (credentials === undefined) return unregisterByName(hands, runner);',
        'if (credentials === undefined) return;',
      ],
      ['the machine of a forge that left the configuration stays', 'if (!hands.forges.has(runner.forge)) return;', ''],
      [
        "the unit's own end comes before the plan's clocks are over",
        'runtimeMaxMs: fenceMsOf(profile)',
        'runtimeMaxMs: profile.timeouts.jobMs',
      ],
    ],
  },
  {
    file: 'src/reconciler/doubt.ts',
    tests: loopTests,
    seeds: 60,
    mutations: [
      [
        'a registration that sits idle counts as picked',
        "if (registration?.status === 'active') {\n    await hands.ledger.save({ ...runner, pickedAt",
        'if (registration !== undefined) {\n    await hands.ledger.save({ ...runner, pickedAt',
      ],
      ['the task of a job is not written down', '...(taskId > 0 ? { taskId } : {})', ''],
      [
        'the time of a miss begins anew with every look',
        "if (runner.missedAt === undefined && registration?.status === 'idle'",
        "if (registration?.status === 'idle'",
      ],
      [
        'a job that seems gone is ended without asking its registration',
        "if (registration?.status === 'active') {\n    if (isJobless",
        "if (registration?.status === 'active' && isJobless(runner)) {\n    if (isJobless",
      ],
      [
        'a job that was handed out this moment is ended as un-picked',
        "reason === 'unpicked' ? await jobOf(hands, runner)",
        "reason === 'operator' ? await jobOf(hands, runner)",
      ],
      [
        'a registration that is gone is no cancel',
        "if (reason === 'cancelled' || runner.stop !== undefined)",
        'if (runner.stop !== undefined)',
      ],
      [
        'the machine of a job that was quicker than two polls is stopped as soon as its registration is gone',
        "return reason === 'unpicked' && job !== undefined ? reason : undefined;",
        'return reason;',
      ],
      [
        'a registration that somebody deleted keeps its machine',
        "return reason === 'unpicked' && job !== undefined ? reason : undefined;",
        'return undefined;',
      ],
      ['jobs are not withheld from a machine that is to be stopped', 'await forgeOf(hands, runner.forge).withhold(credentials);', ''],
      [
        'what was handed out before jobs were withheld is not looked for',
        'return lookAgain(hands, runner, credentials, reason);\n}',
        'return seen;\n}',
      ],
      ['a forge that has just come back is believed', 'if (hands.fresh(runner.forge)) return undefined;', ''],
      ['steps that clean up are cut off', '/uploading final (?:logs|status) failed/.test(line)', "line !== ''"],
    ],
  },
  {
    file: 'src/reconciler/ledger.ts',
    tests: loopTests,
    seeds: 60,
    mutations: [
      [
        'a record is seen as written before it is',
        'try {\n        await store.put(runner);',
        'try {\n        records.set(runner.id, runner);\n        await store.put(runner);',
      ],
      [
        'a record is forgotten although its deletion failed',
        'await store.delete(id);\n      records.delete(id);',
        'records.delete(id);\n      await store.delete(id);',
      ],
    ],
  },
  {
    file: 'src/forge/runner-rpc.ts',
    tests: ['test/integration/forgejo-adapter-report.test.ts'],
    mutations: [
      ['a task that is not ours is ended', "if (known.refusal === 'over' || known.refusal === 'foreign') return known.refusal;", ''],
      ['the lines of a report overwrite the log of the job', 'index: ackIndexOf(known)', "index: '0'"],
      ['the log of a reported job stays open', ', rows, noMore: true }', ', rows }'],
      ['a job is ended although its log was over', "if (said.refusal === 'over' || said.refusal === 'foreign') return said.refusal;", ''],
      [
        'a refusal that nobody knows counts as reported',
        'if (answer.reply.status !== 200 && answer.refusal === undefined) throw refusalOf(answer.asked, answer.reply);',
        '',
      ],
      ['a server that kept the labels of a runner counts as one that hands it nothing', ' || labels > 0', ''],
      ['jobs are withheld from whomever the server speaks of', 'uuid !== speaker.credentials.uuid || ', ''],
      [
        'a job whose log is closed is not ended',
        "if (code === 'already_exists') return 'log-closed';",
        "if (code === 'already_exists') return 'over';",
      ],
    ],
  },
];
