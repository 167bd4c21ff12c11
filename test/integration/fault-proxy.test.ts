// What the proxy of the chaos run does to the connections that go through it.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.ts';

/** A server that counts, behind a proxy. */
async function openPair() {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    response.end('a whole answer');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy = await startFaultProxy({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }, () => 0.3);
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  return { proxy, asked: () => asked };
}

const ask = async (proxy: FaultProxy) =>
  fetch(`http://127.0.0.1:${proxy.port}/`, { signal: AbortSignal.timeout(2_000) }).then(
    async (response) => `${response.status} ${await response.text().catch(() => 'cut in the body')}`,
    () => 'no answer',
  );

test('requests and answers pass while the weather is calm', async () => {
  const { proxy, asked } = await openPair();
  expect([await ask(proxy), asked()]).toEqual(['200 a whole answer', 1]);
});

test.for([
  ['cut', 'no answer', 0],
  ['lose', 'no answer', 1],
  ['error', '502 <html><h1>the gateway has no answer</h1></html>', 0],
  ['slow', '200 a whole answer', 1],
  ['truncate', '200 cut in the body', 1],
] as const)('the fault %s answers "%s" and reaches the server %i times', async ([kind, answer, reached]) => {
  const { proxy, asked } = await openPair();
  proxy.storm([kind], 1);
  expect([await ask(proxy), asked()]).toEqual([answer, reached]);
  expect(proxy.struck().get(kind)).toBe(1);
  proxy.calm();
  expect(await ask(proxy)).toBe('200 a whole answer');
});

test('a request that hangs had its effect, and is cut off when the weather calms', async () => {
  const { proxy, asked } = await openPair();
  proxy.storm(['hang'], 1);
  const answer = ask(proxy);
  await expect.poll(asked).toBe(1);
  await expect.poll(() => proxy.struck().get('hang')).toBe(1);
  proxy.calm();
  expect(await answer).toBe('no answer');
});

test('a server that is down refuses, and is there again on the same port', async () => {
  const { proxy } = await openPair();
  await proxy.down();
  expect(await ask(proxy)).toBe('no answer');
  await proxy.up();
  expect(await ask(proxy)).toBe('200 a whole answer');
});
