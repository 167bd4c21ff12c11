// Promises messages of D-Bus as bytes, as far as calls to systemd need them: a value knows its own type, answers are cut out of what has come
// so far. Pure; little-endian alone, as this machine and its PID 1 are.

/** Bytes that grow; everything is aligned to their beginning. */
type Writer = {
  readonly length: () => number;
  readonly align: (to: number) => void;
  readonly u8: (value: number) => void;
  readonly u32: (value: number) => void;
  readonly u64: (value: bigint) => void;
  readonly bytes: (value: Buffer) => void;
  readonly setU32: (at: number, value: number) => void;
  readonly done: () => Buffer;
};

export type Value = { readonly signature: string; readonly write: (to: Writer) => void };

function createWriter(): Writer {
  let held = Buffer.alloc(1024);
  let length = 0;
  const put = (size: number, alignment: number, write: (into: Buffer, at: number) => void): void => {
    const at = Math.ceil(length / alignment) * alignment;
    while (at + size > held.length) held = Buffer.concat([held, Buffer.alloc(held.length)]);
    length = at + size;
    write(held, at);
  };
  return {
    length: () => length,
    align: (to) => put(0, to, () => undefined),
    u8: (value) => put(1, 1, (into, at) => into.writeUInt8(value, at)),
    u32: (value) => put(4, 4, (into, at) => into.writeUInt32LE(value, at)),
    u64: (value) => put(8, 8, (into, at) => into.writeBigUInt64LE(value, at)),
    bytes: (value) => put(value.length, 1, (into, at) => value.copy(into, at)),
    setU32: (at, value) => void held.writeUInt32LE(value, at),
    done: () => held.subarray(0, length),
  };
}

const alignments: ReadonlyMap<string, number> = new Map([
  ['y', 1],
  ['g', 1],
  ['v', 1],
  ['t', 8],
  ['(', 8],
]);

function alignmentOf(signature: string): number {
  return alignments.get(signature.charAt(0)) ?? 4;
}

function textual(signature: 's' | 'o', value: string): Value {
  return {
    signature,
    write(to) {
      const bytes = Buffer.from(`${value}\0`);
      to.u32(bytes.length - 1);
      to.bytes(bytes);
    },
  };
}

export const text = (value: string): Value => textual('s', value);
const path = (value: string): Value => textual('o', value);
const byte = (value: number): Value => ({ signature: 'y', write: (to) => to.u8(value) });
export const uint32 = (value: number): Value => ({ signature: 'u', write: (to) => to.u32(value) });
/** Not below zero: nothing that we send is. */
export const int32 = (value: number): Value => ({ signature: 'i', write: (to) => to.u32(value) });
export const uint64 = (value: number | bigint): Value => ({ signature: 't', write: (to) => to.u64(BigInt(value)) });
export const flag = (value: boolean): Value => ({ signature: 'b', write: (to) => to.u32(value ? 1 : 0) });

function signatureValue(value: string): Value {
  return {
    signature: 'g',
    write(to) {
      to.u8(value.length);
      to.bytes(Buffer.from(`${value}\0`, 'latin1'));
    },
  };
}

/** `of`: the signature of the items, which an empty list has, too. */
export function list(of: string, items: readonly Value[]): Value {
  return {
    signature: `a${of}`,
    write(to) {
      to.u32(0);
      const lengthAt = to.length() - 4;
      to.align(alignmentOf(of));
      const begin = to.length();
      for (const item of items) item.write(to);
      to.setU32(lengthAt, to.length() - begin);
    },
  };
}

export const texts = (values: readonly string[]): Value => list('s', values.map(text));

export function struct(...fields: readonly Value[]): Value {
  return {
    signature: `(${fields.map(({ signature }) => signature).join('')})`,
    write(to) {
      to.align(8);
      for (const field of fields) field.write(to);
    },
  };
}

export function variant(value: Value): Value {
  return {
    signature: 'v',
    write(to) {
      signatureValue(value.signature).write(to);
      value.write(to);
    },
  };
}

export type Call = { readonly path: string; readonly interface: string; readonly member: string; readonly values: readonly Value[] };

const field = (code: number, value: Value): Value => struct(byte(code), variant(value));

export function callOf(serial: number, call: Call): Buffer {
  const body = createWriter();
  for (const value of call.values) value.write(body);
  const head = createWriter();
  // Little-endian, a call, no flags, version 1 of the protocol.
  for (const each of [0x6c, 1, 0, 1]) head.u8(each);
  head.u32(body.length());
  head.u32(serial);
  list('(yv)', [
    field(1, path(call.path)),
    field(2, text(call.interface)),
    field(3, text(call.member)),
    ...(call.values.length === 0 ? [] : [field(8, signatureValue(call.values.map(({ signature }) => signature).join('')))]),
  ]).write(head);
  head.align(8);
  return Buffer.concat([head.done(), body.done()]);
}

export type Reader = {
  readonly more: () => boolean;
  readonly align: (to: number) => void;
  readonly u8: () => number;
  readonly u32: () => number;
  readonly text: () => string;
  readonly signature: () => string;
};

function readerOf(bytes: Buffer): Reader {
  let at = 0;
  const take = (size: number, alignment: number): number => {
    const from = Math.ceil(at / alignment) * alignment;
    at = from + size;
    return from;
  };
  const textOf = (length: number): string => {
    const from = take(length + 1, 1);
    return bytes.toString('utf8', from, from + length);
  };
  const u8 = (): number => bytes.readUInt8(take(1, 1));
  const u32 = (): number => bytes.readUInt32LE(take(4, 4));
  return {
    more: () => at < bytes.length,
    align: (to) => void take(0, to),
    u8,
    u32,
    text: () => textOf(u32()),
    signature: () => textOf(u8()),
  };
}

/** What came: `answers` is the serial of the call, 0 for what answers none. `error` is the name of one, and then the body begins with a sentence. */
export type Message = { readonly answers: number; readonly error: string | undefined; readonly signature: string; readonly body: Reader };

const signal = 4;

/** The first whole message, and how many bytes it took; undefined while it is not whole. News are only counted, not read. Throws at what is no message. */
export function messageIn(heard: Buffer): { readonly message: Message | undefined; readonly length: number } | undefined {
  if (heard.length < 16) return undefined;
  if (heard.readUInt8(0) !== 0x6c) throw new Error('it speaks another byte order than ours');
  const head = 16 + heard.readUInt32LE(12);
  const bodyAt = Math.ceil(head / 8) * 8;
  const length = bodyAt + heard.readUInt32LE(4);
  if (heard.length < length) return undefined;
  if (heard.readUInt8(1) === signal) return { message: undefined, length };
  let [answers, signature] = [0, ''];
  let error: string | undefined;
  const reader = readerOf(heard.subarray(0, head));
  for (let skipped = 0; skipped < 4; skipped += 1) reader.u32();
  while (reader.more()) {
    reader.align(8);
    const code = reader.u8();
    const type = reader.signature();
    const value = type === 'u' ? reader.u32() : type === 'g' ? reader.signature() : reader.text();
    if (code === 5 && typeof value === 'number') answers = value;
    if (code === 4 && typeof value === 'string') error = value;
    if (code === 8 && typeof value === 'string') signature = value;
  }
  return { message: { answers, error, signature, body: readerOf(heard.subarray(bodyAt, length)) }, length };
}
