// Promises that the sieve of long lists changes nothing but values that nobody needs, however the text was cut into pieces.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createListSieve } from '../../src/forge/list-sieve.ts';

function sieved(text: Buffer, cuts: readonly number[]): string {
  const sieve = createListSieve();
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)).toSorted((a, b) => a - b), text.length];
  return Buffer.concat(places.slice(1).map((end, index) => sieve(text.subarray(places[index], end)) ?? Buffer.alloc(0))).toString();
}

const cuts = fc.array(fc.nat(), { maxLength: 10 });
const word = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', '\\"', '{"a":[', '字'));
const long = word.map((text) => text.padEnd(5_000, '"\\,:]}'));
const value = fc.oneof(word, fc.array(word), fc.integer(), fc.jsonValue());

test('a list of rows without a long value passes byte for byte, also when it is no list or no JSON at all', () => {
  const text = fc.oneof(
    fc.array(fc.dictionary(word, value)).map((rows) => JSON.stringify(rows)),
    fc.array(fc.dictionary(word, value)).map((rows) => JSON.stringify(rows, undefined, 2)),
    fc.json(),
    fc.string({ unit: 'binary' }),
  );
  fc.assert(
    fc.property(text, cuts, (drawn, places) => {
      fc.pre(drawn.length < 1_000);
      expect(sieved(Buffer.from(drawn), places)).toBe(Buffer.from(drawn).toString());
    }),
    { numRuns: 2_000 },
  );
});

test('a value beyond the bound becomes 0 wherever it stands, and every other one stays', () => {
  const hidden = Symbol('long');
  const cell = fc.oneof(
    { weight: 3, arbitrary: value },
    long.map((text) => ({ [hidden]: text as unknown })),
    fc.array(long, { minLength: 1, maxLength: 2 }).map((list) => ({ [hidden]: list as unknown })),
    long.map((text) => ({ [hidden]: { inner: [{ deep: text }] } as unknown })),
  );
  const isLong = (one: unknown): one is { readonly [hidden]: unknown } => typeof one === 'object' && one !== null && hidden in one;
  const mapped = (row: Readonly<Record<string, unknown>>, change: (one: { readonly [hidden]: unknown }) => unknown): unknown =>
    Object.fromEntries(Object.entries(row).map(([key, one]) => [key, isLong(one) ? change(one) : one]));
  fc.assert(
    fc.property(fc.array(fc.dictionary(fc.string({ maxLength: 20 }), cell, { maxKeys: 4 }), { maxLength: 4 }), cuts, (rows, places) => {
      const text = JSON.stringify(rows.map((row) => mapped(row, (one) => one[hidden])));
      const expected = JSON.stringify(rows.map((row) => mapped(row, () => 0)));
      expect(sieved(Buffer.from(text), places)).toBe(expected);
    }),
    { numRuns: 300 },
  );
});

test('of more rows than any list has it says so, and stops', () => {
  const sieve = createListSieve();
  const rows = Buffer.from('[' + '{},'.repeat(199_999));
  expect(sieve(rows)?.equals(rows)).toBe(true);
  expect(sieve(Buffer.from('{},{},'))).toBeUndefined();
});
