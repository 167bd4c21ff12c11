// Promises the versioned form of a record on disk: what was written by this version reads back equal, what an older one wrote is brought up to
// date, and of anything else it is said why it cannot be read. The rules of the version are decisions/0008.

import * as z from 'zod';
import type { Runner } from '../core/model.ts';
import { isMachineId } from '../core/naming.ts';
import { isPlausible, timesOf, type Anchor } from '../core/time-line.ts';

/**
 * Raised when what is there changes its meaning, never for a field more: older readers drop those. Each optional field says here why a reader
 * that drops it does no harm.
 * - place: the forge is known by its name alone, as it always was.
 * - timeouts: the clocks of the profile in the configuration hold, and the unit's RuntimeMaxSec.
 * - dispatch: no list has its job, so it is stopped as one whose job is gone; one that reports has a job and is left to its end.
 * - taskId: it is asked of the forge's list when it is needed; a job that is not listed then needs no report.
 * - ownCode: its machine gets no cache.
 * - ending: the clean-up begins anew with what is still to be seen; at worst an end is called machine-lost.
 */
const formatVersion = 1;

/** What makes the form of version n + 1 of the form of version n; the key is n. */
export type Migrations = ReadonlyMap<number, (older: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>>;
const migrations: Migrations = new Map();

const stopReasons = [
  'start-timeout',
  'unpicked',
  'job-timeout',
  'cancelled',
  'job-gone',
  'start-failed',
  'no-job',
  'ttl',
  'operator',
] as const;
const endReasons = [...stopReasons, 'finished', 'machine-failed', 'machine-lost'] as const;

const exit = z.object({
  result: z.string(),
  code: z.string(),
  status: z.string(),
  memoryPeakBytes: z.number().exactOptional(),
  oomKills: z.number().exactOptional(),
  cpuMs: z.number().exactOptional(),
});

const record = z.object({
  version: z.literal(formatVersion),
  runner: z.object({
    id: z.string(),
    forge: z.string(),
    place: z.string().exactOptional(),
    job: z.object({
      id: z.int(),
      handle: z.string(),
      attempt: z.int(),
      repositoryId: z.int(),
      name: z.string(),
      labels: z.array(z.string()),
    }),
    dispatch: z.object({ ttlMs: z.number() }).exactOptional(),
    ownCode: z.literal(true).exactOptional(),
    profile: z.string(),
    machine: z.string(),
    slot: z.int().min(0),
    createdAt: z.number(),
    timeouts: z.object({ startMs: z.number(), pickMs: z.number(), jobMs: z.number(), stopMs: z.number() }).exactOptional(),
    credentials: z.object({ id: z.int(), uuid: z.string(), token: z.string() }).exactOptional(),
    assignedAt: z.number().exactOptional(),
    pickedAt: z.number().exactOptional(),
    missedAt: z.number().exactOptional(),
    taskId: z.int().exactOptional(),
    // A reason that a newer version thought of: that there is a stop, or an end, is what counts.
    stop: z.object({ reason: z.enum(stopReasons).catch('operator'), at: z.number() }).exactOptional(),
    ending: z.object({ reason: z.enum(endReasons).catch('machine-failed'), exit: exit.exactOptional(), at: z.number() }).exactOptional(),
  }),
});

const owner = z.object({ version: z.literal(formatVersion), controllerId: z.string() });

const anchor = z.object({ version: z.literal(formatVersion), bootId: z.string(), offsetMs: z.number() });

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: String(error) });
    return z.NEVER;
  }
});

export function encodeRecord(runner: Runner): string {
  return JSON.stringify({ version: formatVersion, runner }) + '\n';
}

export type Decoded = { readonly runner: Runner } | { readonly unreadable: string };

/** The runner, or why the text is none, as the end of a sentence ("it ..."). Never quotes the text: there is a token in it. */
export function decodeRecord(text: string): Decoded {
  if (text === '') return { unreadable: 'is empty' };
  if (/^\0+$/.test(text)) return { unreadable: 'holds nothing but zeros: the power was cut while it was written, most likely' };
  const value = z.record(z.string(), z.unknown()).safeParse(json.safeParse(text).data).data;
  if (value === undefined) return { unreadable: 'is not whole, or was never a record' };
  const current = upgraded(value, formatVersion, migrations);
  if ('unreadable' in current) return current;
  const { data, error } = record.safeParse(current.value);
  if (data === undefined) return { unreadable: `lacks or spoils ${error?.issues[0]?.path.map(String).join('.') ?? 'something'}` };
  const { runner } = data;
  if (!isMachineId(runner.id) || !isMachineId(runner.machine)) return { unreadable: 'names a runner or machine that cannot be ours' };
  return timesOf(runner).every(isPlausible) ? { runner } : { unreadable: 'speaks of a time that cannot be' };
}

/** What an older version wrote in the form of version `to`. A newer one is not guessed at. */
export function upgraded(
  value: Readonly<Record<string, unknown>>,
  to: number,
  steps: Migrations,
): { readonly value: Readonly<Record<string, unknown>> } | { readonly unreadable: string } {
  const { version } = value;
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) return { unreadable: 'does not say its version' };
  if (version > to) return { unreadable: `was written by a newer version of this program (form ${version}, this one knows ${to})` };
  let current = value;
  for (let from = version; from < to; from += 1) {
    const step = steps.get(from);
    if (step === undefined) throw new Error(`no way from form ${from} of a record to form ${from + 1}`);
    current = { ...step(current), version: from + 1 };
  }
  return { value: current };
}

export function encodeOwner(controllerId: string): string {
  return JSON.stringify({ version: formatVersion, controllerId }) + '\n';
}

/** The controller id a state directory belongs to, or undefined when the text says nothing readable. */
export function decodeOwner(text: string): string | undefined {
  return json.pipe(owner).safeParse(text).data?.controllerId;
}

export function encodeAnchor({ bootId, offsetMs }: Anchor): string {
  return JSON.stringify({ version: formatVersion, bootId, offsetMs }) + '\n';
}

/** The anchor of the time line, or undefined when the text says nothing readable. */
export function decodeAnchor(text: string): Anchor | undefined {
  const { bootId, offsetMs } = json.pipe(anchor).safeParse(text).data ?? {};
  return bootId === undefined || offsetMs === undefined ? undefined : { bootId, offsetMs };
}
