// Promises that lines of many machines are told apart by who wrote them, and that one that floods takes nothing from the others.

import { describe, expect, test } from 'vitest';
import { mostLines, plainLine, sharesOf } from '../../src/driver/journal-text.ts';

const [a, b] = ['j0000001aaa', 'j0000002bbb'];
const both = [{ id: a }, { id: b }];
const linesOf = (found: ReturnType<typeof sharesOf>, id: string): readonly string[] | undefined => found.shares.get(id)?.newestFirst;

describe('the text of a look at the journal', () => {
  test('gives each machine its own lines, the newest first, control characters and all', () => {
    const text = `1700000002.000001 ${b}[7]: two\r\u001b[31m\n1700000001.500000 ${a}[6]: \n1700000001.000000 ${a}: one: 1\n`;
    const found = sharesOf(text, both, 100);
    expect([linesOf(found, a), linesOf(found, b), found.count]).toEqual([['', 'one: 1'], ['two\r\u001b[31m'], 3]);
  });

  test('lets no line speak in the name of another machine, nor of nobody', () => {
    const text = `1700000002.000001 ${b}[7]: 1700000002.000001 ${a}[6]: forged\n       1700000002.000001 ${a}[6]: continued\n1700000001.0 j0000003ccc[5]: foreign\n`;
    const found = sharesOf(text, both, 100);
    expect(linesOf(found, a)).toEqual([]);
    expect(linesOf(found, b)).toEqual([`1700000002.000001 ${a}[6]: forged`]);
  });

  test('keeps the newest lines that fit, in bytes and in number, and says that there were more', () => {
    const text = ['ccc', 'bb', 'ä', 'a'].map((line, at) => `${1_700_000_009 - at}.000000 ${a}[7]: ${line}\n`).join('');
    const cut = sharesOf(text, both, 7).shares;
    expect(cut.get(a)).toMatchObject({ newestFirst: ['ccc', 'bb'], full: true });
    expect(cut.get(b)).toMatchObject({ newestFirst: [], full: false });
    expect(sharesOf(text, both, 12).shares.get(a)).toMatchObject({ newestFirst: ['ccc', 'bb', 'ä', 'a'], full: false });
    const many = `1700000009.000000 ${a}[7]: x\n`.repeat(mostLines + 1);
    expect(linesOf(sharesOf(many, both, 1_000_000), a)).toHaveLength(mostLines);
  });

  test('leaves out what an earlier machine of the same name wrote', () => {
    const text = `1700000031.000000 ${a}[8]: again\n1700000001.000000 ${a}[7]: before\n`;
    expect(linesOf(sharesOf(text, [{ id: a, afterMs: 1_700_000_010_000 }], 100), a)).toEqual(['again']);
  });
});

describe('a line that is to stand in a log', () => {
  test.each([
    ['\u001b[31mred\u001b[0m and\u0007 rung\tthere\r', 'red and  rung there'],
    ['\u202eturned', 'turned'],
    ['x'.repeat(400), 'x'.repeat(400)],
    ['x'.repeat(401), `${'x'.repeat(400)}...`],
  ])('%j is plain and short', (line, plain) => {
    expect(plainLine(line)).toBe(plain);
  });

  test('is looked at no further than a few times its length, whatever escape sequences it is made of', () => {
    expect(plainLine(`${'\u001b[31m'.repeat(100)}in sight`)).toBe('in sight');
    expect(plainLine(`${'\u001b[31m'.repeat(10_000)}out of sight`)).toBe('...');
  });
});
