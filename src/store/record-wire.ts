// Promises the versioned form of a record on disk: what was written by this version reads back equal; anything else reads as undefined and is
// put aside by the caller.

import * as z from 'zod';
import type { Runner } from '../core/model.ts';
import { isPlausible, timesOf, type Anchor } from '../core/time-line.ts';

/** Raised when a reader of the old form could not read the new one. */
const formatVersion = 1;

const stopReasons = ['start-timeout', 'unpicked', 'job-timeout', 'cancelled', 'job-gone', 'start-failed', 'operator'] as const;
const endReasons = [...stopReasons, 'finished', 'machine-failed', 'machine-lost'] as const;

const exit = z.object({
  result: z.string(),
  code: z.string(),
  status: z.string(),
  memoryPeakBytes: z.number().exactOptional(),
  oomKills: z.number().exactOptional(),
});

const record = z.object({
  version: z.literal(formatVersion),
  runner: z.object({
    id: z.string(),
    forge: z.string(),
    job: z.object({
      id: z.int(),
      handle: z.string(),
      attempt: z.int(),
      repositoryId: z.int(),
      name: z.string(),
      labels: z.array(z.string()),
    }),
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
    stop: z.object({ reason: z.enum(stopReasons), at: z.number() }).exactOptional(),
    ending: z.object({ reason: z.enum(endReasons), exit: exit.exactOptional(), at: z.number() }).exactOptional(),
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

/** The runner, or undefined when the text is not a whole record of a known version. */
export function decodeRecord(text: string): Runner | undefined {
  const runner = json.pipe(record).safeParse(text).data?.runner;
  return runner !== undefined && timesOf(runner).every(isPlausible) ? runner : undefined;
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
  return json.pipe(anchor).safeParse(text).data;
}
