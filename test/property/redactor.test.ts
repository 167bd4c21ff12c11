// Laws of what is masked: every secret wherever it stands, and nothing else, whatever surrounds it and however many others are concealed.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRedactor } from '../../src/log-redact.ts';

const secret = fc.stringMatching(/^[a-f0-9]{4,24}$/);
/** Of characters that no secret has in any of its forms, some of which take more than seven bits. */
const between = fc.stringMatching(/^[ .,!é€\u{1f600}]{1,12}$/u);
const parts = fc.array(fc.tuple(between, fc.nat()), { maxLength: 20 });

test('I7 each secret is masked, and all between stays as it was', () => {
  fc.assert(
    fc.property(fc.uniqueArray(secret, { minLength: 1, maxLength: 50 }), parts, (secrets, drawn) => {
      const { conceal, text } = createRedactor();
      for (const one of secrets) conceal(one);
      const said = drawn.map(([before, index]) => `${before}${secrets[index % secrets.length] ?? ''}`).join('');
      expect(text(`${said}.`)).toBe(`${drawn.map(([before]) => `${before}[secret]`).join('')}.`);
    }),
    { numRuns: 300 },
  );
});

test('I7 of two secrets that share characters of a text the first is masked, and what it leaves is no more than its rest', () => {
  const { conceal, text } = createRedactor();
  for (const one of ['abcdef', 'cdefgh', 'ef01']) conceal(one);
  expect(text('abcdefgh cdefgh ef01 ef0')).toBe('[secret]gh [secret] [secret] ef0');
});
