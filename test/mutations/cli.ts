// Promises mutations of the command line: what it prints is obeyed by a person, and by a terminal if it is not made harmless.

import type { Target } from './mutation.ts';

const down = 'test/integration/cli-down.test.ts';
const orders = 'test/integration/cli-orders.test.ts';

export const cliTargets: readonly Target[] = [
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
