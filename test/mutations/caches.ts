// Promises faults in who shares what jobs keep, and in what is said of it by its file.

import type { Target } from './mutation.ts';

export const cacheTargets: readonly Target[] = [
  {
    file: 'src/core/cache.ts',
    tests: ['test/unit/cache.test.ts', 'test/unit/reconciler-cache.test.ts'],
    mutations: [
      ['a job of which it is not known is lent what the repository keeps', 'ownCode !== true || ', ''],
      ['a forge that moved is lent what the one before kept', '${forge}-${digest}/', '${forge}-0123456789ab/'],
      ['all repositories of a forge share one', '-${job.repositoryId}`', '-${job.repositoryId === 0 ? 0 : 1}`'],
      ['profiles share one', '${digest}/${profile}-', '${digest}/all-'],
      ['a name may lead elsewhere', 'return isCacheName(name) ? name : undefined;', 'return name;'],
    ],
  },
  {
    file: 'src/driver/cache-image.ts',
    tests: ['test/unit/cache.test.ts'],
    mutations: [
      ['one that is full stays so', 'const fullShare = 0.9;', 'const fullShare = 1.1;'],
      ['many small files are not seen', ' || 1 - ffree / files >= fullShare', ''],
      ['one is never too old', '> maxAgeMs) return', '> Infinity) return'],
      ['a smaller maxSize means nothing', 'bytes !== sizeOf(maxBytes)', 'bytes < sizeOf(maxBytes)'],
      ['what is no file system is taken for one', ' || view.getUint16(at.magic, true) !== magic', ''],
      [
        'what is promised to others counts as free',
        'free - Math.max(0, bytes - allocatedBytes)',
        'free - Math.max(0, 0 * bytes * allocatedBytes)',
      ],
    ],
  },
  {
    file: 'src/driver/caches.ts',
    tests: ['test/integration/caches.test.ts'],
    mutations: [
      ['what jobs could do without stops them', 'if (must) throw fault;', 'throw fault;'],
      ['caches go and make no room by it', 'most >= floor && free(', 'most >= -Infinity && free('],
      [
        'one that is to grow is counted as it was',
        'if (found !== undefined && worn !== undefined) await drop',
        'if (found !== undefined && worn === "") await drop',
      ],
      ['of all profiles one alone is told', 'tellOnce(profile.name, ', "tellOnce('', "],
      ['a start waits for all before it', 'if (left) return;', 'if (left && patienceMs < 0) return;'],
    ],
  },
  {
    file: 'src/driver/cache-files.ts',
    tests: ['test/integration/caches.test.ts'],
    mutations: [
      ['what was unlinked cannot grow', ' && path.endsWith(unlinkedEnding)', ' && path === unlinkedEnding'],
      ['a link on the way leads to other files', 'return await realpath(folder);', 'return folder;'],
    ],
  },
  {
    file: 'src/daemon-ownership.ts',
    tests: ['test/integration/daemon-ownership.test.ts'],
    mutations: [['who may write the caches is nobody', '[config.stateDir, ...caches, ', '[config.stateDir, ']],
  },
  {
    file: 'src/config/cache.ts',
    tests: ['test/unit/config-cache.test.ts'],
    mutations: [
      ['a machine that waits for any job has a cache', 'if (warm !== undefined)', 'if (warm !== undefined && warm.min > 1)'],
      ['a cache may lie over a bind', 'if (bind !== undefined)', 'if (bind !== undefined && bind.writable && bind.target === path)'],
      ["systemd's folder is not looked at", "valueOf(env, 'CACHE_DIRECTORY')", "valueOf(env, 'CACHE_DIR')"],
    ],
  },
  {
    file: 'src/config/guarded.ts',
    tests: ['test/unit/config-cache.test.ts'],
    mutations: [['a bind shows what all repositories keep', '[stateDir, ...ofCaches, ', '[stateDir, ']],
  },
  {
    file: 'src/core/admission.ts',
    tests: ['test/unit/reconciler-cache.test.ts'],
    mutations: [['whose code a job runs is forgotten', '...(isOwnCode(job.origin) ? { ownCode: true } : {}),', '']],
  },
  {
    file: 'src/core/origin.ts',
    tests: ['test/unit/reconciler-cache.test.ts'],
    mutations: [
      ['a fork is lent what the repository keeps', 'return origin?.fork === false && ', 'return origin !== undefined && '],
      ['a job that may look at what strangers bring is lent what the repository keeps', " && origin.event !== 'pull_request_target'", ''],
      ['a job of which the event is not known is lent what the repository keeps', ' && origin.event !== undefined', ''],
    ],
  },
  {
    file: 'src/store/record-wire.ts',
    tests: ['test/unit/record-wire.test.ts'],
    mutations: [['whose code a job runs is not on its record', '    ownCode: z.literal(true).exactOptional(),\n', '']],
  },
];
