// Promises mutations of the page: what it may do, and what its timeline shows.

import type { Target } from './mutation.ts';

const answer = 'test/integration/http-page.test.ts';
const spans = 'test/unit/page-spans.test.ts';

export const pageTargets: readonly Target[] = [
  {
    file: 'src/http/page.ts',
    tests: [answer],
    mutations: [
      ['the page gets the policy of the API', "'content-security-policy': policy,", ''],
      ['without its last slash the page leads out of the base path', "basePath.slice(basePath.lastIndexOf('/') + 1)", 'basePath'],
    ],
  },
  {
    file: 'src/page/making.ts',
    tests: [answer],
    mutations: [
      ['any script may run', "`script-src '${hashOf(script)}'`", '"script-src \'unsafe-inline\'"'],
      ['the page may ask anybody', '"connect-src \'self\'"', '"connect-src *"'],
      ['text may become markup', ',\n    "trusted-types \'none\'",', ','],
    ],
  },
  {
    file: 'src/page/browser/spans.ts',
    tests: [spans],
    mutations: [
      ['bars lie on each other', 'other.from < span.to && span.from < other.to', 'other.from < span.to && span.to < other.from'],
      ['lanes jump when the oldest is gone', 'if (lane !== undefined) put(span, lane);', ''],
      ['one that has just ended is shown twice', '!ended.has(keyOf(runner))', 'ended.size >= 0'],
      ['what ended long ago stays', 'to > now - hourMs', 'from > 0'],
      ['a bad end looks like a good one', "done.reason === 'finished' ? 'running' : 'bad'", "'running'"],
      ['a job that was over at once never ran', "picked ?? (reason === 'finished' ? assigned : null)", 'picked'],
      ['time runs backwards within a bar', 'Math.min(Math.max(at, from), to)', 'at'],
    ],
  },
  {
    file: 'src/page/browser/words.ts',
    tests: [spans],
    mutations: [
      [
        'what hides is shown as it is',
        'export function shown(text: string): string {\n  return visibleLine(text);',
        'export function shown(text: string): string {\n  return text;',
      ],
      ["a console's colours are shown", ".replaceAll(escapeSequence, '')", ''],
    ],
  },
];
