// Promises the few calls to systemd that a machine's life needs many times, made to PID 1 itself by its own socket: no program is started for
// them, here or by the shell. It asks that the caller is root of the host, in whatever sandbox; what is called is constant, and nothing secret.

import { connect, type Socket } from 'node:net';
import { getuid } from 'node:process';
import { timeoutOf } from '../clock.ts';
import { ControllerError } from '../errors.ts';
import { callOf, list, messageIn, struct, text, texts, variant, type Call, type Message, type Value } from './bus-wire.ts';

export type UnitProperty = readonly [name: string, value: Value];

export type Bus = {
  /** Resolves when systemd has taken the unit on: it is loaded, and its start is in line. */
  startTransientUnit(unit: string, properties: readonly UnitProperty[], timeoutMs: number): Promise<void>;
  /** ActiveState of each of these units. One that systemd does not know is "inactive". */
  statesOf(units: readonly string[], timeoutMs: number): Promise<ReadonlyMap<string, string>>;
};

const systemdSocket = '/run/systemd/private';

type Line = {
  readonly socket: Socket;
  readonly waiting: Map<number, (answer: Message | string) => void>;
  /** Calls that wait for the greeting: what came with ours in one piece would lie unread until the next call. */
  unsent: Buffer[] | undefined;
};

/** All of these reject with DRIVER_FAILED: systemd said no, or was lost sight of, and then what it did is unknown. */
export function createBus(socketPath = systemdSocket): Bus {
  let line: Line | undefined;
  let serials = 0;

  function open(): Line {
    const socket = connect(socketPath);
    const made: Line = { socket, waiting: new Map(), unsent: [] };
    let heard: Buffer = Buffer.alloc(0);
    const lose = (why: string): void => {
      if (line === made) line = undefined;
      for (const settle of made.waiting.values()) settle(why);
      made.waiting.clear();
      socket.destroy();
    };
    socket.on('error', (error) => lose(error.message));
    socket.on('close', () => lose('it hung up'));
    socket.on('data', (bytes) => {
      heard = Buffer.concat([heard, bytes]);
      try {
        if (made.unsent !== undefined) {
          const end = heard.indexOf('\r\n');
          if (end < 0) return;
          const said = heard.toString('latin1', 0, end);
          if (!said.startsWith('OK ')) return lose(`it does not let us in: ${said}`);
          for (const each of made.unsent) socket.write(each);
          made.unsent = undefined;
          heard = heard.subarray(end + 2);
        }
        for (let found = messageIn(heard); found !== undefined; found = messageIn(heard)) {
          heard = heard.subarray(found.length);
          const { message } = found;
          if (message !== undefined) made.waiting.get(message.answers)?.(message);
        }
      } catch (error) {
        lose((error as Error).message);
      }
    });
    socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(getuid?.())).toString('hex')}\r\nBEGIN\r\n`);
    return made;
  }

  async function answerTo(call: Call, timeoutMs: number): Promise<Message | string> {
    serials = (serials % 0x7fff_ffff) + 1;
    const serial = serials;
    line ??= open();
    const { socket, waiting, unsent } = line;
    const late = timeoutOf(timeoutMs);
    try {
      return await new Promise((settle) => {
        waiting.set(serial, settle);
        late.signal.addEventListener('abort', () => settle(`it did not answer within ${timeoutMs} ms`));
        const bytes = callOf(serial, call);
        if (unsent === undefined) socket.write(bytes);
        else unsent.push(bytes);
      });
    } finally {
      late.cancel();
      waiting.delete(serial);
      // Not kept: systemd tells everything about all units to everybody who is connected.
      if (waiting.size === 0) hangUp(socket);
    }
  }

  function hangUp(socket: Socket): void {
    if (line?.socket === socket) line = undefined;
    socket.destroy();
  }

  async function call(member: string, values: readonly Value[], timeoutMs: number): Promise<Message> {
    const manager = { path: '/org/freedesktop/systemd1', interface: 'org.freedesktop.systemd1.Manager' };
    const answer = await answerTo({ ...manager, member, values }, timeoutMs);
    if (typeof answer === 'string') throw failed(`systemd was lost sight of at ${socketPath} (${member}): ${answer}`);
    const { error, signature, body } = answer;
    if (error !== undefined) throw failed(`systemd refused ${member}: ${signature.startsWith('s') ? body.text() : error}`, error);
    return answer;
  }

  return {
    async startTransientUnit(unit, properties, timeoutMs) {
      const set = properties.map(([name, value]) => struct(text(name), variant(value)));
      await call('StartTransientUnit', [text(unit), text('fail'), list('(sv)', set), list('(sa(sv))', [])], timeoutMs);
    },
    async statesOf(units, timeoutMs) {
      const { body } = await call('ListUnitsByNames', [texts(units)], timeoutMs);
      const states = new Map<string, string>();
      body.u32();
      body.align(8);
      while (body.more()) {
        body.align(8);
        // Name, description, LoadState, ActiveState, SubState, followed; path; number of a job, its type and path.
        const [name = '', , , state = ''] = Array.from({ length: 7 }, () => body.text());
        body.u32();
        for (const _ of ['type', 'path']) body.text();
        states.set(name, state);
      }
      const unsaid = units.find((unit) => !states.has(unit));
      if (unsaid !== undefined) throw failed(`systemd said nothing of ${unsaid}`);
      return states;
    },
  };
}

/** The bus of this host. */
export const systemd: Bus = createBus();

function failed(sentence: string, error?: string): ControllerError {
  return new ControllerError('DRIVER_FAILED', `${sentence}.`, { details: error === undefined ? {} : { error } });
}
