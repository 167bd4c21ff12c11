// Promises mutations of what is released and how: a hash that Nix would not find, a tag that goes back.

import type { Target } from './mutation.ts';

export const packageTargets: readonly Target[] = [
  {
    file: 'scripts/release-tags.ts',
    tests: ['test/unit/release-tags.test.ts'],
    mutations: [
      ['latest goes back', "...(newest(() => true) ? ['latest'] : []),", "'latest',"],
      ['a line follows the lines above it', 'one.major === major && one.minor === minor', 'one.major === major'],
      ['what is before a release moves tags', 'if (version.before !== undefined) return [];', ''],
      ['what is before a release comes after it', 'return a.before === undefined ? 1 : -1;', 'return a.before === undefined ? -1 : 1;'],
      ['numbers before a release are words', 'return Number(part) - Number(other);', 'return part < other ? -1 : 1;'],
    ],
  },
  {
    file: 'scripts/audit.ts',
    tests: ['test/integration/audit.test.ts'],
    mutations: [
      ['packages for tests alone are audited, too', "['audit', '--omit=dev', '--json', ", "['audit', '--json', "],
      ['a form that is not known says that nothing is', "answer['auditReportVersion'] !== 2 || typeof", 'typeof'],
      ['who was not asked is well', "'unasked' in found ? 2 : found", "'unasked' in found ? 0 : found"],
    ],
  },
  {
    file: 'scripts/nar.ts',
    tests: ['test/integration/npm-hash.test.ts'],
    mutations: [
      ['names are in the order of the language', 'Buffer.compare(Buffer.from(a), Buffer.from(b))', '(a < b ? -1 : 1)'],
      ['who may execute a file is forgotten', 'if ((stat.mode & executable) !== 0)', 'if ((stat.mode & executable) < 0)'],
      ['nothing is filled up', 'Buffer.alloc((8 - (bytes.length % 8)) % 8)', 'Buffer.alloc(0)'],
    ],
  },
  {
    file: 'scripts/npm-hash.ts',
    tests: ['test/integration/npm-hash.test.ts'],
    mutations: [
      ['packages for development count', "path !== '' && dev !== true", "path !== ''"],
      [
        'what a package is does not count',
        "[path, { integrity = '' }]) => [path, integrity]",
        "[path, { version = '' }]) => [path, version]",
      ],
      ['who may execute what differs', 'chmodSync(path, 0o644);', 'chmodSync(path, 0o755);'],
    ],
  },
];
