// Faults in what is kept of machines that ended: its bounds, its secrecy, and whose words are whose.

import type { Target } from './mutation.ts';

export const archiveTargets: readonly Target[] = [
  {
    file: 'src/archive/shelf.ts',
    tests: ['test/integration/archive.test.ts'],
    mutations: [
      ['room for an end is made after it was written', 'maxBytes: bounds.maxBytes - entry.bytes', 'maxBytes: bounds.maxBytes'],
      ['what is old stays for as long as there is room', 'total > maxBytes || entry.agesFrom + maxAgeMs <= at', 'total > maxBytes'],
      ['anybody may read what is kept', '{ mode: 0o600, flag: ', '{ mode: 0o644, flag: '],
      ['an end of times to come is kept for ever', 'agesFrom: Math.min(Number(time), now)', 'agesFrom: Number(time)'],
    ],
  },
  {
    file: 'src/archive/file-archive.ts',
    tests: ['test/integration/archive.test.ts'],
    mutations: [
      ['a console is kept with its secrets', 'written.lines.map(mask)', 'written.lines.slice()'],
      ['a failure is told at every end', 'complained = true;', 'complained = false;'],
      ['one bug ends the archive', '      complain(error, facts);\n', '      throw error;\n'],
      ['each end costs a look at the journal', 'const perLook = 10;', 'const perLook = 1;'],
      ['a text under a wrong name is believed', 'kept?.ended.id === id ? kept : undefined', 'kept'],
    ],
  },
  {
    file: 'src/driver/journal-text.ts',
    tests: ['test/unit/driver-journal-text.test.ts'],
    mutations: [
      ['a line is looked at as a whole, however long it is', 'line.slice(0, lookedAt).toWellFormed()', 'line'],
      [
        'a line moves the cursor of who reads the log',
        'stripVTControlCharacters(line.slice(0, lookedAt).toWellFormed())',
        'line.slice(0, lookedAt)',
      ],
      ['a machine speaks in the name of another one', '/^(\\d+\\.\\d+) (\\w{11})', '/(\\d+\\.\\d+) (j\\w{10})'],
      ['an earlier machine of that name is heard, too', ' || Number(seconds) * 1000 <= (after.get(id) ?? 0)', ''],
    ],
  },
];
