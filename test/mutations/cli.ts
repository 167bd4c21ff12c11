// Promises mutations of the command line: what it prints is obeyed by a person, and by a terminal if it is not made harmless.

import type { Target } from './mutation.ts';

const down = 'test/integration/cli-down.test.ts';
const orders = 'test/integration/cli-orders.test.ts';

export const cliTargets: readonly Target[] = [
  {
    file: 'src/http/refusal-log.ts',
    tests: ['test/unit/refusal-log.test.ts'],
    mutations: [
      ['every refusal is a line', 'if (place.told === linesAMinute) {', 'if (place.told > 1_000_000) {'],
      ['each address takes memory', 'places.size < mostAddresses ? address : others', 'places.size >= 0 ? address : others'],
      ['what was left out is never said', 'if (leftOut > 0) log.warn', 'if (leftOut < 0) log.warn'],
      ['a minute never ends', 'if (now - since < minuteMs) continue;', 'if (now - since < minuteMs * 1e6) continue;'],
    ],
  },
  {
    file: 'src/cli/cleanup.ts',
    tests: ['test/integration/cli-cleanup.test.ts'],
    mutations: [
      ['what is only to be told is deleted', "return given.is('yes') ? deleteAll", "return !given.is('json') ? deleteAll"],
      ['what cannot be read is gone', 'if (now.known) left =', 'left ='],
      ['what stays is no failure', 'return left.length === 0 &&', 'return left.length >= 0 &&'],
      ['the program deletes beside a place that was named', " || given.text('socket') !== undefined)", ')'],
    ],
  },
  {
    file: 'src/daemon-beside.ts',
    tests: ['test/integration/end-all-beside.test.ts'],
    mutations: [
      ['the service of another controller is given orders', ' || status.data.controller_id !== controllerId', ''],
      ['a service that refuses is taken for one that obeys', 'if (swept === undefined) return undefined;', ''],
      ['runners are ended while others are started', "await ask('POST', '/api/v1/drain')", "await ask('GET', '/status')"],
      ['a service that drains is waited for until its jobs are over', "await ask('POST', `/api/v1/runners/${runner.id}/stop`);", ''],
      ['the token of the operator is not named', 'authorization: `Bearer', 'x: `Bearer'],
      ['a service that is slow is taken for one that has ended', 'if (isNobody(await ask(', "if ('code' in (await ask("],
      ['an interrupt is not heard', 'while (!ending.aborted && ', 'while ('],
    ],
  },
  {
    file: 'src/daemon-sweep.ts',
    tests: ['test/unit/sweep.test.ts'],
    mutations: [
      [
        'a host that cannot be listed has no machines',
        "if (world.machines.state !== 'known') {",
        "if (world.machines.state === 'unknown' && !confirmed) {",
      ],
      ['a registration with a machine is deleted', '!machines.has(one.registration.name)', 'one.id !== undefined'],
      ['what could not be deleted counts', 'return deleted === free.length &&', 'return deleted <= free.length &&'],
    ],
  },
  {
    file: 'src/cli/render.ts',
    tests: ['test/unit/cli-render.test.ts'],
    mutations: [
      [
        'what others wrote is printed as it is',
        "return visibleLine(typeof cell === 'string' ? cell : cell.text);",
        "return typeof cell === 'string' ? cell : cell.text;",
      ],
    ],
  },
  {
    file: 'src/cli/client.ts',
    tests: [down, orders],
    mutations: [
      ['JSON is printed as it came', 'return visible(text.trim());', 'return text.trim();'],
      ['an answer that was cut in time is taken for whole', 'late.signal.throwIfAborted();', ''],
      ['a 403 is a mere refusal', 'if (status === 401 || status === 403)', 'if (status === 401)'],
    ],
  },
  {
    file: 'src/cli/orders.ts',
    tests: [orders],
    mutations: [
      [
        'a service that failed has drained',
        "if (known.active !== 'failed') return undefined;",
        "if (known.active === 'active') return undefined;\n  return 0;",
      ],
      ['a drain that was taken back is through', "(draining ? drain?.left : 'resumed')", '(draining ? drain?.left : 0)'],
    ],
  },
  {
    file: 'src/cli/status.ts',
    tests: ['test/integration/cli.test.ts'],
    mutations: [
      ['a service that is not well ends with 0', "return status === 'ok' ? 0 : 1;", "return status === 'ok' ? 0 : 0;"],
      [
        'the terminal is left without a cursor',
        String.raw`screen.write('\u001b[?7h\u001b[?25h\u001b[?1049l');`,
        String.raw`screen.write('\u001b[?1049l');`,
      ],
    ],
  },
];
