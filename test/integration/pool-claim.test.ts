// Two controllers on one host and the addresses that they give to machines.

import { expect, onTestFinished, test } from 'vitest';
import { claimPool } from '../../src/driver/pool-claim.ts';

const pool = { first: '192.0.2.0', last: '192.0.2.127' };
async function claimed(id: string, over: Partial<typeof pool> = {}): Promise<() => void> {
  const giveBack = await claimPool(`p${process.pid}-${id}`, { ...pool, ...over });
  onTestFinished(giveBack);
  return giveBack;
}

test('I6 a pool that another controller of this host has is refused by name, until that one has ended', async () => {
  const giveBack = await claimed('a');
  await expect(claimed('b')).rejects.toMatchObject({
    code: 'DRIVER_UNAVAILABLE',
    exitCode: 3,
    message: expect.stringMatching(
      /192\.0\.2\.0-192\.0\.2\.127 of the controller `p\d+-a`, which runs on this host: give each its own network\.pool/,
    ),
  });
  giveBack();
  await claimed('b');
});

test.each([
  ['its first address', '192.0.1.0', '192.0.2.0'],
  ['its last address', '192.0.2.127', '192.0.3.0'],
  ['all of it', '192.0.1.0', '192.0.3.0'],
  ['a part of it', '192.0.2.64', '192.0.2.95'],
])('a pool that shares %s is refused, and its refusal leaves no claim', async (_, first, last) => {
  await claimed('a');
  await expect(claimed('b', { first, last })).rejects.toThrow(/overlaps/);
  await claimed('c', { first: '192.0.2.128', last: '192.0.2.255' });
});

test('the same controller may claim again, and pools side by side are no matter', async () => {
  await claimed('a');
  await expect(claimed('a')).resolves.toBeTypeOf('function');
  await expect(claimed('b', { first: '192.0.1.0', last: '192.0.1.255' })).resolves.toBeTypeOf('function');
});
