// The runner RPC's messages in protobuf's binary form, written down field by field from the fact sheet. Not the generated code: that loads
// descriptors first, and a second, independent reading of the numbers lets a test hold the two against each other.

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

export const resultNames = ['RESULT_UNSPECIFIED', 'RESULT_SUCCESS', 'RESULT_FAILURE', 'RESULT_CANCELLED', 'RESULT_SKIPPED'] as const;
export const Result = { unspecified: 0, success: 1, failure: 2, cancelled: 3, skipped: 4 } as const;
export type ResultCode = (typeof Result)[keyof typeof Result];

export type Need = { readonly outputs: Readonly<Record<string, string>>; readonly result: number };
export type Task = {
  readonly id: number;
  readonly payload: string;
  readonly context: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, string>>;
  readonly needs: Readonly<Record<string, Need>>;
  readonly vars: Readonly<Record<string, string>>;
};
export type DeclaredRunner = { readonly name: string; readonly labels: readonly string[]; readonly ephemeral: boolean };
export type LogRow = { readonly timeMs: number; readonly content: string };
export type StepState = {
  readonly id: number;
  readonly result: ResultCode;
  readonly startedAtMs?: number | undefined;
  readonly stoppedAtMs?: number | undefined;
  readonly logIndex: number;
  readonly logLength: number;
};
export type TaskState = Omit<StepState, 'logIndex' | 'logLength'> & { readonly steps: readonly StepState[] };

type Visit = (field: number, wireType: WireType, reader: BinaryReader) => boolean;

/** Walks over one message; a field the visitor does not take is skipped, as protobuf asks for. */
function read(bytes: Uint8Array, visit: Visit): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!visit(field, wireType, reader)) reader.skip(wireType, field);
  }
}

/** Says that the field was taken; the reading has happened in the argument. */
const taken = (read: unknown): boolean => read !== taken;

function readMap<T>(bytes: Uint8Array, valueOf: (reader: BinaryReader) => T, into: Record<string, T>): void {
  let key = '';
  let value: T | undefined;
  read(bytes, (field, _, reader) =>
    field === 1 ? taken((key = reader.string())) : field === 2 ? taken((value = valueOf(reader))) : false,
  );
  if (value !== undefined) into[key] = value;
}

function readStruct(bytes: Uint8Array): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  read(bytes, (field, _, reader) => field === 1 && taken(readMap(reader.bytes(), (value) => readValue(value.bytes()) ?? null, fields)));
  return fields;
}

function readValue(bytes: Uint8Array): unknown {
  let value: unknown;
  read(bytes, (field, _, reader) => {
    if (field === 1) return taken(reader.int32());
    if (field === 2) return taken((value = reader.double()));
    if (field === 3) return taken((value = reader.string()));
    if (field === 4) return taken((value = reader.bool()));
    if (field === 5) return taken((value = readStruct(reader.bytes())));
    if (field === 6) return taken((value = readList(reader.bytes())));
    return false;
  });
  return value;
}

function readList(bytes: Uint8Array): unknown[] {
  const values: unknown[] = [];
  read(bytes, (field, _, reader) => field === 1 && taken(values.push(readValue(reader.bytes()))));
  return values;
}

function readNeed(bytes: Uint8Array): Need {
  const outputs: Record<string, string> = {};
  let result = 0;
  read(bytes, (field, _, reader) => {
    if (field === 1) return taken(readMap(reader.bytes(), (value) => value.string(), outputs));
    return field === 2 && taken((result = reader.int32()));
  });
  return { outputs, result };
}

function readTask(bytes: Uint8Array): Task {
  let id = 0;
  let payload = '';
  let context: Record<string, unknown> = {};
  const secrets: Record<string, string> = {};
  const vars: Record<string, string> = {};
  const needs: Record<string, Need> = {};
  read(bytes, (field, _, reader) => {
    if (field === 1) return taken((id = Number(reader.int64())));
    if (field === 2) return taken((payload = Buffer.from(reader.bytes()).toString('utf8')));
    if (field === 3) return taken((context = readStruct(reader.bytes())));
    if (field === 4) return taken(readMap(reader.bytes(), (value) => value.string(), secrets));
    if (field === 6) return taken(readMap(reader.bytes(), (value) => readNeed(value.bytes()), needs));
    return field === 7 && taken(readMap(reader.bytes(), (value) => value.string(), vars));
  });
  return { id, payload, context, secrets, needs, vars };
}

export function readDeclareResponse(bytes: Uint8Array): DeclaredRunner {
  let name = '';
  let ephemeral = false;
  const labels: string[] = [];
  read(bytes, (outer, _, response) => {
    if (outer !== 1) return false;
    read(response.bytes(), (field, _, reader) => {
      if (field === 4) return taken((name = reader.string()));
      if (field === 9) return taken(labels.push(reader.string()));
      return field === 10 && taken((ephemeral = reader.bool()));
    });
    return true;
  });
  return { name, labels, ephemeral };
}

/** FetchTaskResponse has the task first, FetchSingleTaskResponse has it second. */
export function readFetchResponse(bytes: Uint8Array, single: boolean): { task: Task | undefined; tasksVersion: number } {
  const taskField = single ? 2 : 1;
  let task: Task | undefined;
  let tasksVersion = 0;
  read(bytes, (field, _, reader) => {
    if (field === taskField) return taken((task = readTask(reader.bytes())));
    return field === 3 - taskField && taken((tasksVersion = Number(reader.int64())));
  });
  return { task, tasksVersion };
}

export function readUpdateTaskResponse(bytes: Uint8Array): { result: number; sentOutputs: readonly string[] } {
  let result = 0;
  const sentOutputs: string[] = [];
  read(bytes, (outer, _, response) => {
    if (outer === 2) return taken(sentOutputs.push(response.string()));
    if (outer !== 1) return false;
    read(response.bytes(), (field, _, reader) => field === 2 && taken((result = reader.int32())));
    return true;
  });
  return { result, sentOutputs };
}

export function readUpdateLogResponse(bytes: Uint8Array): { ackIndex: number } {
  let ackIndex = 0;
  read(bytes, (field, _, reader) => field === 1 && taken((ackIndex = Number(reader.int64()))));
  return { ackIndex };
}

function text(writer: BinaryWriter, field: number, value: string): void {
  if (value !== '') writer.tag(field, WireType.LengthDelimited).string(value);
}

function whole(writer: BinaryWriter, field: number, value: number): void {
  if (value !== 0) writer.tag(field, WireType.Varint).int64(value);
}

function time(writer: BinaryWriter, field: number, ms: number | undefined): void {
  if (ms === undefined) return;
  writer.tag(field, WireType.LengthDelimited).fork();
  whole(writer, 1, Math.floor(ms / 1000));
  whole(writer, 2, Math.floor(ms % 1000) * 1_000_000);
  writer.join();
}

export function writeDeclareRequest(version: string, labels: readonly string[]): Uint8Array {
  const writer = new BinaryWriter();
  text(writer, 1, version);
  for (const label of labels) writer.tag(2, WireType.LengthDelimited).string(label);
  return writer.finish();
}

/** The body of FetchTask (without a handle, one task at a time) and of FetchSingleTask. */
export function writeFetchRequest(tasksVersion: number, handle: string | undefined): Uint8Array {
  const writer = new BinaryWriter();
  whole(writer, 1, tasksVersion);
  if (handle === undefined) whole(writer, 2, 1);
  else writer.tag(2, WireType.LengthDelimited).string(handle);
  return writer.finish();
}

function writeStep(writer: BinaryWriter, step: StepState): void {
  writer.tag(5, WireType.LengthDelimited).fork();
  whole(writer, 1, step.id);
  whole(writer, 2, step.result);
  time(writer, 3, step.startedAtMs);
  time(writer, 4, step.stoppedAtMs);
  whole(writer, 5, step.logIndex);
  whole(writer, 6, step.logLength);
  writer.join();
}

export function writeUpdateTaskRequest(state: TaskState, outputs: Readonly<Record<string, string>>): Uint8Array {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).fork();
  whole(writer, 1, state.id);
  whole(writer, 2, state.result);
  time(writer, 3, state.startedAtMs);
  time(writer, 4, state.stoppedAtMs);
  for (const step of state.steps) writeStep(writer, step);
  writer.join();
  for (const [key, value] of Object.entries(outputs)) {
    writer.tag(2, WireType.LengthDelimited).fork();
    text(writer, 1, key);
    text(writer, 2, value);
    writer.join();
  }
  return writer.finish();
}

export function writeUpdateLogRequest(taskId: number, index: number, rows: readonly LogRow[], noMore: boolean): Uint8Array {
  const writer = new BinaryWriter();
  whole(writer, 1, taskId);
  whole(writer, 2, index);
  for (const row of rows) {
    writer.tag(3, WireType.LengthDelimited).fork();
    time(writer, 1, row.timeMs);
    text(writer, 2, row.content);
    writer.join();
  }
  if (noMore) writer.tag(4, WireType.Varint).bool(true);
  return writer.finish();
}
