// Promises a small DNS server on one address, by UDP and by TCP: it knows some names, answers those that begin with `big.` over UDP with the mark
// that the answer does not fit, and tells by which way it was asked for what.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

export type NameServer = {
  /** `udp small.test` for each question, in the order in which they came. */
  readonly asked: readonly string[];
  close(): Promise<void>;
};

export async function openNameServer(address: string, names: Readonly<Record<string, string>>): Promise<NameServer> {
  const asked: string[] = [];
  const answer = (way: 'udp' | 'tcp', question: Buffer): Buffer => {
    const { name, end } = nameIn(question);
    asked.push(`${way} ${name}`);
    const cut = way === 'udp' && name.startsWith('big.');
    const known = cut || question.readUInt16BE(end) !== 1 ? undefined : names[name];
    const head = Buffer.alloc(12);
    question.copy(head, 0, 0, 2);
    // An answer, recursion wanted and had; 3 = there is no such name.
    head.writeUInt16BE(0x8180 | (cut ? 0x0200 : 0) | (Object.hasOwn(names, name) ? 0 : 3), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(known === undefined ? 0 : 1, 6);
    const record = known === undefined ? [] : [Buffer.from('c00c00010001000000050004', 'hex'), Buffer.from(known.split('.').map(Number))];
    return Buffer.concat([head, question.subarray(12, end + 4), ...record]);
  };
  const udp = createSocket('udp4');
  udp.on('message', (question, { port, address: from }) => udp.send(answer('udp', question), port, from));
  udp.bind(53, address);
  const tcp = createServer((socket) => {
    let held = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const size = held.readUInt16BE(0);
        const said = answer('tcp', held.subarray(2, 2 + size));
        const length = Buffer.alloc(2);
        length.writeUInt16BE(said.length);
        socket.write(Buffer.concat([length, said]));
        held = held.subarray(2 + size);
      }
    });
  });
  tcp.listen(53, address);
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')]);
  return {
    asked,
    async close() {
      await Promise.all([new Promise<void>((resolve) => void udp.close(resolve)), new Promise((resolve) => void tcp.close(resolve))]);
    },
  };
}

/** The name that is asked for, and where the type begins. */
function nameIn(question: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let size = question.readUInt8(at); size > 0; size = question.readUInt8(at)) {
    labels.push(question.toString('latin1', at + 1, at + 1 + size).toLowerCase());
    at += 1 + size;
  }
  return { name: labels.join('.'), end: at + 1 };
}
