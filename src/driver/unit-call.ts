// Promises the unit of a machine as systemd's bus takes it: the same properties as in a unit file (nspawn-unit.ts), each in the bus's own name and
// type. Pure.

import { constants } from 'node:os';
import type { UnitProperty } from './bus.ts';
import { flag, int32, list, struct, text, texts, uint32, uint64, type Value } from './bus-wire.ts';
import { commandOf, exitRecorderCommandOf, unitPropertiesOf, type UnitInput } from './nspawn-unit.ts';

/** `program`: where nspawn is, absolute. */
export function unitCallOf(input: UnitInput, program: string): readonly UnitProperty[] {
  const recorder = exitRecorderCommandOf(input);
  return [
    // Forgotten when it has ended, however it did.
    ['CollectMode', text('inactive-or-failed')],
    ...unitPropertiesOf(input).flatMap(([name, value]) => (name === 'ExecStopPost' ? [] : propertiesOf(name, value))),
    ['ExecStopPostEx', list('(sasas)', [struct(text(recorder[0] ?? ''), texts(recorder), texts(['privileged']))])],
    ['ExecStart', list('(sasb)', [struct(text(program), texts(commandOf(input, program)), flag(false))])],
  ];
}

const forms: Readonly<Record<string, (value: string) => readonly UnitProperty[]>> = {
  ...named(text, ['Description', 'Slice', 'Type', 'NotifyAccess', 'KillMode', 'OOMPolicy', 'DevicePolicy', 'SyslogIdentifier']),
  ...named(text, ['NetworkNamespacePath']),
  ...named((value) => texts(wordsOf(value)), ['After', 'Environment', 'SystemCallArchitectures']),
  ...named((value) => flag(value === 'yes'), ['Delegate']),
  ...named((value) => uint64(BigInt(value)), ['MemoryMax', 'MemorySwapMax', 'TasksMax']),
  ...named((value) => uint32(Number(value)), ['LogRateLimitBurst']),
  RuntimeMaxSec: (value) => [['RuntimeMaxUSec', microsecondsOf(value)]],
  TimeoutStartSec: (value) => [['TimeoutStartUSec', microsecondsOf(value)]],
  TimeoutStopSec: (value) => [['TimeoutStopUSec', microsecondsOf(value)]],
  LogRateLimitIntervalSec: (value) => [['LogRateLimitIntervalUSec', microsecondsOf(value)]],
  CPUQuota: (value) => [['CPUQuotaPerSecUSec', uint64(Number(value.replace('%', '')) * 10_000)]],
  LimitNOFILE: (value) => bothLimits('LimitNOFILE', value),
  LimitCORE: (value) => bothLimits('LimitCORE', value),
  DeviceAllow: (value) => [['DeviceAllow', list('(ss)', [struct(...wordsOf(value).map((word) => text(word)))])]],
  SystemCallErrorNumber: (value) => [['SystemCallErrorNumber', int32(errorNumberOf(value))]],
  SystemCallFilter: (value) => [['SystemCallFilter', struct(flag(!value.startsWith('~')), texts(wordsOf(value.replace('~', ''))))]],
};

function propertiesOf(name: string, value: string): readonly UnitProperty[] {
  const form = forms[name];
  if (form === undefined) throw new Error(`the bus's form of ${name}= is not known here`);
  return form(value);
}

function named(
  of: (value: string) => Value,
  names: readonly string[],
): Readonly<Record<string, (value: string) => readonly UnitProperty[]>> {
  return Object.fromEntries(names.map((name) => [name, (value: string) => [[name, of(value)] as const]]));
}

const wordsOf = (value: string): readonly string[] => value.split(' ');

function bothLimits(name: string, value: string): readonly UnitProperty[] {
  return [
    [name, uint64(BigInt(value))],
    [`${name}Soft`, uint64(BigInt(value))],
  ];
}

/** Of whole seconds or milliseconds. */
function microsecondsOf(value: string): Value {
  const [, count = '', unit] = /^(\d+)(ms|s)$/.exec(value) ?? [];
  if (count === '') throw new Error(`${value} is no time that we write`);
  return uint64(BigInt(count) * (unit === 's' ? 1_000_000n : 1_000n));
}

function errorNumberOf(name: string): number {
  const found = Object.entries(constants.errno).find(([each]) => each === name)?.[1];
  if (found === undefined) throw new Error(`${name} is no error of this system`);
  return found;
}
