// Promises the text of one archived end: the summary as one line of JSON, then the console as it was. What was written by this version reads
// back equal; anything else is none.

import * as z from 'zod';
import { isPlausible } from '../core/time-line.ts';
import type { EndedView } from '../core/snapshot.ts';
import type { Kept } from './archive.ts';

/** Raised when what is there changes its meaning, never for a field more: older readers drop those. */
const formatVersion = 1;

const time = z.number().refine(isPlausible);
const header = z.object({
  version: z.literal(formatVersion),
  ended: z.object({
    id: z.string(),
    forge: z.string(),
    job: z.object({ id: z.int(), name: z.string(), repositoryId: z.int(), attempt: z.int(), handle: z.string() }),
    profile: z.string(),
    createdAt: time,
    assignedAt: time.exactOptional(),
    pickedAt: time.exactOptional(),
    cleaningAt: time.exactOptional(),
    endedAt: time,
    reason: z.string(),
    cause: z.string().exactOptional(),
    exit: z
      .object({
        result: z.string(),
        code: z.string(),
        status: z.string(),
        memoryPeakBytes: z.number().exactOptional(),
        oomKills: z.number().exactOptional(),
        cpuMs: z.number().exactOptional(),
      })
      .exactOptional(),
  }),
  console: z.object({ cut: z.boolean(), trouble: z.string().exactOptional() }),
});

const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: String(error) });
    return z.NEVER;
  }
});

/** More than a summary can take. */
export const mostHeaderBytes = 16_384;

/** `wallOf` says for a person what the stored times, those of the time line, were on the clock. */
export function encodeKept({ ended, console: { lines, ...rest } }: Kept, wallOf: (at: number) => number): string {
  const [from, to] = [ended.createdAt, ended.endedAt].map((at) => new Date(wallOf(at)).toISOString());
  return [JSON.stringify({ version: formatVersion, from, to, ended, console: rest }), ...lines, ''].join('\n');
}

/** Of the text or its beginning; undefined when it was never an end, or is not whole. */
export function decodeEnded(text: string): EndedView | undefined {
  return headerOf(text)?.ended;
}

export function decodeKept(text: string): Kept | undefined {
  const found = headerOf(text);
  if (found === undefined) return undefined;
  const rest = text.slice(text.indexOf('\n') + 1).replace(/\n$/, '');
  return { ended: found.ended, console: { ...found.console, lines: rest === '' ? [] : rest.split('\n') } };
}

function headerOf(text: string): z.infer<typeof header> | undefined {
  const end = text.indexOf('\n');
  return end < 0 ? undefined : json.pipe(header).safeParse(text.slice(0, end)).data;
}
