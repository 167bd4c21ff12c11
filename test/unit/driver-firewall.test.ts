// When the firewall is looked at, and what becomes of a table that somebody flushed, altered or took away for good.

import { expect, test } from 'vitest';
import { createFirewall } from '../../src/driver/firewall.ts';
import { ControllerError } from '../../src/errors.ts';
import type { Log } from '../../src/log.ts';
import { createTestClock } from '../support/clock.ts';
import { aNetwork } from '../support/build.ts';

const network = aNetwork();
const rules = (address: string) => ({ controllerId: 'main', network, endpoints: [{ address, port: 443 }], nameservers: [] });

/** A kernel with one table: its rules are its fingerprint. */
async function createRig() {
  const kernel: { rules: string | undefined; refuses: boolean; looks: number; writes: number } = {
    rules: undefined,
    refuses: false,
    looks: 0,
    writes: 0,
  };
  const lines: string[] = [];
  const note = (level: string) => (event: string, facts?: object, message?: string) =>
    void lines.push(`${level} ${event} ${message ?? ''} ${JSON.stringify(facts)}`);
  const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error'), conceal: () => undefined };
  const clock = createTestClock();
  const firewall = createFirewall({
    controllerId: 'main',
    clock,
    log,
    tables: {
      replace: async (text) => {
        if (kernel.refuses) throw new ControllerError('DRIVER_FAILED', 'nft ended with exit code 1: Operation not permitted');
        kernel.writes += 1;
        kernel.rules = text;
      },
      fingerprint: async (table) => {
        expect(table).toBe('forgejo-runner-main');
        kernel.looks += 1;
        return kernel.rules;
      },
    },
  });
  await firewall.apply(rules('192.0.2.1'));
  kernel.looks = 0;
  return { kernel, lines, clock, firewall, wanted: kernel.rules };
}

test('a whole table is looked at every two seconds at most, and never written', async () => {
  const { kernel, lines, clock, firewall } = await createRig();
  for (let tick = 0; tick < 100; tick += 1) {
    clock.advance(100);
    await firewall.look();
  }
  expect([kernel.looks, kernel.writes, lines]).toEqual([5, 1, []]);
});

test('those who look at once share one look', async () => {
  const { kernel, clock, firewall } = await createRig();
  clock.advance(2_000);
  await Promise.all([firewall.look(), firewall.look(), firewall.look()]);
  expect(kernel.looks).toBe(1);
});

test.each([
  ['gone', undefined],
  ['altered', 'table inet forgejo-runner-main { chain through-host { accept } }'],
])('a table that is %s is applied again at the next look, and said once', async (what, found) => {
  const { kernel, lines, clock, firewall, wanted } = await createRig();
  kernel.rules = found;
  clock.advance(1_999);
  await firewall.look();
  expect(kernel.rules).toBe(found);
  clock.advance(1);
  await firewall.look();
  expect(kernel.rules).toBe(wanted);
  clock.advance(2_000);
  await firewall.look();
  expect(lines).toEqual([expect.stringMatching(new RegExp(`^warn host-error our nftables table was ${what} .*"withinMs":2000`))]);
});

test('a table that cannot be applied again is an error for whoever starts a machine, until it can', async () => {
  const { kernel, lines, clock, firewall, wanted } = await createRig();
  kernel.rules = undefined;
  kernel.refuses = true;
  clock.advance(2_000);
  for (let tries = 0; tries < 3; tries += 1)
    await expect(firewall.look()).rejects.toMatchObject({ code: 'DRIVER_FAILED', message: expect.stringContaining('not permitted') });
  kernel.refuses = false;
  await firewall.look();
  expect(kernel.rules).toBe(wanted);
  expect(lines.map((line) => line.split(' ')[0])).toEqual(['error', 'warn']);
});

test('rules that changed are those that are kept from then on, also when somebody looks meanwhile', async () => {
  const { kernel, lines, clock, firewall } = await createRig();
  clock.advance(2_000);
  await Promise.all([firewall.look(), firewall.apply(rules('192.0.2.2')), firewall.look()]);
  clock.advance(2_000);
  await firewall.look();
  expect(kernel.rules).toContain('192.0.2.2');
  expect([kernel.writes, lines]).toEqual([2, []]);
});

test('machines that come at once with resolvers of their own are in the rules when each of them may start, in one or two writes', async () => {
  const { kernel, lines, clock, firewall } = await createRig();
  const ids = Array.from({ length: 20 }, (_, index) => `j00000${10 + index}abc`);
  await Promise.all(
    ids.map(async (id) => {
      await firewall.narrow(id, ['10.2.0.1']);
      expect(kernel.rules).toContain(`"fr-${id}" . 10.2.0.1`);
    }),
  );
  expect(kernel.writes).toBeLessThanOrEqual(3);
  clock.advance(2_000);
  await firewall.look();
  expect(lines).toEqual([]);
});

test('they stay in the rules that are applied again, and leave them with the first change after they are gone', async () => {
  const { kernel, clock, firewall } = await createRig();
  await firewall.apply(rules('192.0.2.1'), new Map([['j0000001abc', ['10.2.0.1']]]));
  kernel.rules = undefined;
  clock.advance(2_000);
  await firewall.look();
  expect(kernel.rules).toContain('"fr-j0000001abc" . 10.2.0.1');
  await firewall.narrow('j0000002def', ['10.2.0.2']);
  expect(kernel.rules).toContain('"fr-j0000001abc" . 10.2.0.1');
  firewall.forget('j0000001abc');
  await firewall.apply(rules('192.0.2.2'));
  expect(kernel.rules).not.toContain('j0000001abc');
  expect(kernel.rules).toContain('"fr-j0000002def" . 10.2.0.2');
});

test('a machine whose resolvers cannot be put into the rules does not start, and the next try writes them', async () => {
  const { kernel, firewall } = await createRig();
  kernel.refuses = true;
  await expect(firewall.narrow('j0000001abc', ['10.2.0.1'])).rejects.toMatchObject({ code: 'DRIVER_FAILED' });
  kernel.refuses = false;
  await firewall.narrow('j0000001abc', ['10.2.0.1']);
  expect(kernel.rules).toContain('"fr-j0000001abc" . 10.2.0.1');
});

test('before any rules were applied there is nothing to look at', async () => {
  const { kernel, clock } = await createRig();
  const firewall = createFirewall({
    controllerId: 'main',
    clock,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, conceal: () => undefined },
    tables: { replace: () => Promise.reject(new Error('never')), fingerprint: () => Promise.reject(new Error('never')) },
  });
  await firewall.look();
  expect(kernel.looks).toBe(0);
});
