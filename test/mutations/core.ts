// Promises mutations of who is started next and under which name: admission, slots, names, labels.

import type { Target } from './mutation.ts';

const planTests = ['test/unit/plan.test.ts', 'test/unit/plan-more.test.ts', 'test/property/plan.property.test.ts'];
const loopTests = ['test/unit/reconciler.test.ts', 'test/unit/reconciler-more.test.ts'];

export const coreTargets: readonly Target[] = [
  {
    file: 'src/core/admission.ts',
    tests: [...planTests, ...loopTests],
    seeds: 60,
    mutations: [
      [
        'an unknown host is taken for an empty one',
        "if (world.machines.state !== 'known') {",
        "if (world.machines.state !== 'known' && policy.mode === 'ending') {",
      ],
      ['one machine more than maxConcurrent is started', 'books.ids.size >= policy.maxConcurrent', 'books.ids.size > policy.maxConcurrent'],
      ['a job of which it is not known is taken for one of the repository', "job.origin === 'own')", "job.origin !== 'fork')"],
      ['a repository gets one machine more than maxPerRepository', '>= policy.maxPerRepository', '> policy.maxPerRepository'],
      ['a profile gets one machine more than its max', '?? 0) < each.max)', '?? 0) <= each.max)'],
      ['what is under way does not count against the capacity', 'new Set([...world.inFlight].filter(isMachineId))', 'new Set()'],
      ['a machine without a record does not count against the capacity', 'if (!recorded.has(machine.id)) books.ids.add(machine.id);', ''],
      ['machines started in the same tick do not count against the capacity', 'books.ids.add(id);', ''],
      ['a slot is given again while its last machine is not seen gone', 'books.slots.add(machine.slot);', ''],
      ['the slot of a record whose machine is not listed yet is given away', 'books.slots.add(runner.slot);', ''],
      ['two launches of one tick may get the same slot', 'books.slots.add(slot);', ''],
      [
        'the lowest free slot is given instead of the one that rested longest',
        'nextSlot(books.slots, policy.slots, books.lastSlot)',
        'nextSlot(books.slots, policy.slots, -1)',
      ],
      ['launches of one tick do not count against the cap of their repository', 'add(books.perRepository, repository);', ''],
      ['a job settled during the very poll that lists it is started again', '?? -1) >= reading.value.poll', '?? -1) > reading.value.poll'],
      [
        'a job that has a record is looked at as if it had none',
        'new Set(world.runners.map((runner) => jobKeyOf({ forge: runner.forge, ...runner.job })))',
        'new Set<string>()',
      ],
      ['a job that two forges list gets two machines', 'taken.add(key);', ''],
      ['a job that runs already is started', "job.state !== 'waiting' || taken", 'taken'],
      ['a job rests one tick longer than its back-off', 'backOff.until > now', 'backOff.until >= now'],
      ['a repository that holds machines has the same turn as one that holds none', 'new Map(held)', 'new Map<string, number>()'],
      ['the newest job of a repository goes first', '.toSorted((a, b) => a.job.id - b.job.id)', '.toSorted((a, b) => b.job.id - a.job.id)'],
      ['a draining controller starts jobs', "if (policy.mode !== 'serving') return deny", "if (policy.mode === 'ending') return deny"],
      ['which profiles serve a job is remembered by its first label only', 'JSON.stringify(job.labels)', 'JSON.stringify(job.labels[0])'],
      [
        'the full profile is asked for and the free one behind it is not',
        'profiles.find((each) => each.max',
        'profiles.slice(0, 1).find((each) => each.max',
      ],
    ],
  },
  {
    file: 'src/core/subnets.ts',
    tests: ['test/unit/naming.test.ts', 'test/unit/driver-network.test.ts', 'test/unit/config.test.ts', ...planTests],
    mutations: [
      ['the last subnet of the pool is lost', '(addressToNumber(pool.last) + 1)', 'addressToNumber(pool.last)'],
      ['a pool that begins inside a subnet counts it as its own', 'const first = Math.ceil(', 'const first = Math.floor('],
      ['slot 0 of a pool that begins inside a subnet lies outside of the pool', 'const base = Math.ceil(', 'const base = Math.floor('],
      ['the slot that was given last is never free again', 'step <= slots', 'step < slots'],
      ['uid ranges of neighbours overlap by one', 'uidRanges) * 65536', 'uidRanges) * 65535'],
      ['there are more slots than uid ranges', 'Math.min(last - first, uidRanges)', 'last - first'],
      ['a /24 gets the addresses of a small subnet', 'pool.prefix <= 24 ? 10 : 1', 'pool.prefix < 24 ? 10 : 1'],
      ['256 counts as part of an address', 'part > 255', 'part > 256'],
    ],
  },
  {
    file: 'src/core/naming.ts',
    tests: ['test/unit/naming.test.ts', ...planTests, ...loopTests],
    seeds: 60,
    mutations: [
      ['a longer name that begins like ours is ours', '{10}$/', '{10}/'],
      [
        'the key of a job is its id, which every attempt shares, instead of its handle',
        "return job.handle === '' ? `${job.forge}#${job.id}.${job.attempt}` : job.handle;",
        'return `${job.forge}#${job.id}`;',
      ],
      ['attempts of a job without a handle are not told apart', '#${job.id}.${job.attempt}', '#${job.id}'],
      ['two controllers give the runner of one job the same id', '${controllerId}\\n${job.forge}', '${job.forge}'],
      ['one runner id in thirty-six is too short to be one of ours', ".toString(36).padStart(3, '0')", '.toString(36)'],
      ['a registration that outlives its job is taken for ours', 'return registration.ephemeral && ', 'return '],
      ['a registration of any name is ours', '&& isMachineId(registration.name) ', ''],
      ['a registration of another host is ours', ' && registration.description === policy.description;', ';'],
      ['a controller whose id begins like ours is a namesake', '${policy.controllerId}@`)', '${policy.controllerId}`)'],
    ],
  },
  {
    file: 'src/core/match.ts',
    tests: ['test/unit/naming.test.ts', 'test/unit/plan.test.ts'],
    mutations: [
      ['one label in common is enough', 'job.labels.every(', 'job.labels.some('],
      ['a job without labels is served by everybody', 'job.labels.length > 0 && ', ''],
      ['the scheme is part of the label', '(colon < 0 ? label : label.slice(0, colon))', 'label'],
      ['the farthest profile is called the nearest', 'a.missing.length - b.missing.length', 'b.missing.length - a.missing.length'],
    ],
  },
  {
    file: 'src/core/estimate.ts',
    tests: ['test/property/estimate.test.ts'],
    mutations: [
      [
        'a machine without a record is thought to leave at once',
        'holders.length + strangers >= most) return',
        'holders.length >= most) return',
      ],
      ['the cap of a repository is not thought of', '.length >= mostOfRepository) return undefined;', '.length > 1e9) return undefined;'],
      ['the cap of a profile is not thought of', '(max === undefined || ', '(max !== undefined || '],
      ['who waits for no turn is given a time', "return position !== undefined && reason !== 'id-taken';", "return reason !== 'id-taken';"],
      ['what has lasted long is thought to end like all others', 'all.filter((ms) => ms > lastedMs)', 'all.filter((ms) => ms > 0)'],
      ['one job tells what is usual', 'const enough = 3;', 'const enough = 1;'],
      ['a machine whose job never came tells how long jobs take', "if (pickedAt === undefined && reason !== 'finished') continue;", ''],
      ['a machine that is ending is thought to work on', "if (phase === 'stopping' || phase === 'finalizing')", 'if (false)'],
      ['the first of a repository is always first', 'inFairOrder(waiting, heldOf(holders))', 'inFairOrder(waiting, new Map())'],
    ],
  },
];
