// Promises what becomes of a call to systemd when it answers, refuses, hangs up, is silent or is not there: on a real socket, with a stand-in for PID 1
// that speaks the bus's words. The real one is asked on a host (test/e2e/driver-nspawn.test.ts).

import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { createBus } from '../../src/driver/bus.ts';
import { callOf, list, messageIn, struct, text, uint32, type Value } from '../../src/driver/bus-wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'frc-bus-'));
const path = join(folder, 'private');
let server: Server;
/** What the stand-in does with each call that it hears. */
let answer: (socket: Socket, serial: number) => void;
let connections = 0;
const sockets = new Set<Socket>();
/** Bytes that came in one piece with the greeting: PID 1 would not look at them. */
let together = 0;

beforeEach(async () => {
  connections = 0;
  together = 0;
  server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    let greeted = false;
    let heard: Buffer = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      heard = Buffer.concat([heard, bytes]);
      if (!greeted) {
        const end = heard.indexOf('BEGIN\r\n');
        if (end < 0) return;
        together += heard.length - end - 7;
        greeted = true;
        heard = heard.subarray(end + 7);
        socket.write('OK 0123456789abcdef\r\n');
      }
      for (let found = messageIn(heard); found !== undefined; found = messageIn(heard)) {
        answer(socket, heard.readUInt32LE(8));
        heard = heard.subarray(found.length);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
});

afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise((resolve) => server.close(resolve));
  await rm(path, { force: true });
});

afterAll(() => rm(folder, { recursive: true }));

/** An answer as PID 1 gives it: a call of ours made into one, with the field that says which it answers. */
function replyTo(serial: number, values: readonly Value[], error?: string): Buffer {
  const call = callOf(1, { path: '/p', interface: 'i', member: error ?? 'm', values });
  const body = call.subarray(call.length - call.readUInt32LE(4));
  const signature = values.map((value) => value.signature).join('');
  const fields = Buffer.concat([
    Buffer.from('\u0005\u0001u\0', 'latin1'),
    Buffer.from(Uint32Array.of(serial).buffer),
    ...(error === undefined
      ? []
      : [Buffer.from('\u0004\u0001s\0', 'latin1'), Buffer.from(Uint32Array.of(error.length).buffer), padded(`${error}\0`)]),
    Buffer.from(`\u0008\u0001g\0${String.fromCodePoint(signature.length)}${signature}\0`, 'latin1'),
  ]);
  const head = Buffer.alloc(16);
  head.write(error === undefined ? 'l\u0002' : 'l\u0003', 'latin1');
  head.writeUInt8(1, 3);
  head.writeUInt32LE(body.length, 4);
  head.writeUInt32LE(1, 8);
  head.writeUInt32LE(fields.length, 12);
  return Buffer.concat([head, fields, Buffer.alloc((8 - (fields.length % 8)) % 8), body]);
}

function padded(value: string): Buffer {
  return Buffer.concat([Buffer.from(value), Buffer.alloc((8 - (value.length % 8)) % 8)]);
}

function statesReply(serial: number, states: Readonly<Record<string, string>>): Buffer {
  const rows = Object.entries(states).map(([name, state]) =>
    struct(...[name, 'a machine', 'loaded', state, 'running', '', '/unit'].map((each) => text(each)), uint32(0), text(''), text('/')),
  );
  return replyTo(serial, [list('(ssssssouso)', rows)]);
}

test('units are told with their states, and the line is given back with the last answer', async () => {
  answer = (socket, serial) => {
    const news = replyTo(serial, [text('news')]);
    news.writeUInt8(4, 1);
    socket.write(news);
    socket.write(statesReply(serial, { 'a.service': 'active', 'b.service': 'inactive' }));
  };
  const bus = createBus(path);
  const [first, second] = await Promise.all([bus.statesOf(['a.service'], 5_000), bus.statesOf(['b.service'], 5_000)]);
  expect([first.get('a.service'), second.get('b.service'), connections]).toEqual(['active', 'inactive', 1]);
  await bus.statesOf(['a.service'], 5_000);
  expect(connections).toBe(2);
  expect(together).toBe(0);
});

test('I2 a unit of which nothing is said is an error, not one that has ended', async () => {
  answer = (socket, serial) => void socket.write(statesReply(serial, { 'a.service': 'active' }));
  await expect(createBus(path).statesOf(['a.service', 'b.service'], 5_000)).rejects.toThrow('said nothing of b.service');
});

test('a refusal is told in the words of systemd', async () => {
  answer = (socket, serial) => void socket.write(replyTo(serial, [text('Unit x.service already exists.')], 'org.systemd.UnitExists'));
  await expect(createBus(path).startTransientUnit('x.service', [], 5_000)).rejects.toMatchObject({
    code: 'DRIVER_FAILED',
    message: expect.stringContaining('Unit x.service already exists.') as string,
    details: { error: 'org.systemd.UnitExists' },
  });
});

test('a call that systemd hangs up on, is silent to or never hears is lost sight of, and the next one is made anew', async () => {
  const bus = createBus(path);
  answer = (socket) => void socket.destroy();
  await expect(bus.statesOf(['a.service'], 5_000)).rejects.toThrow(/lost sight of .* hung up/);
  answer = () => undefined;
  await expect(bus.statesOf(['a.service'], 50)).rejects.toThrow('did not answer within 50 ms');
  await expect(createBus(join(folder, 'nobody')).statesOf(['a.service'], 5_000)).rejects.toThrow('ENOENT');
  answer = (socket, serial) => void socket.write(statesReply(serial, { 'a.service': 'active' }));
  expect((await bus.statesOf(['a.service'], 5_000)).get('a.service')).toBe('active');
});
