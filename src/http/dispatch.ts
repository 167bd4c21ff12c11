// Promises what may stand in the body of a dispatch, read by hand so that each mistake names its field, and the answer to it. Pure but for
// reading the body, of which no more is taken than one may have.

import { parseDuration } from '../core/units.ts';
import type { DispatchAnswer, DispatchWish } from '../core/dispatched.ts';
import { labelBytes, labelNameOf } from '../core/match.ts';
import type { Refusal } from './handlers.ts';
import { refused } from './parameters.ts';
import type { Show } from './status.ts';
import type { Dispatched } from './wire-v1.ts';

const mostBytes = 16_384;
const mostLabels = 50;
const mostRunners = 100;
const leastTtlMs = 10_000;
const mostTtlMs = 7 * 86_400_000;
const fields = ['labels', 'count', 'ttl', 'forge'];

/** What a body needs to be taken; the text, or why not. */
export async function bodyOf(
  type: string | undefined,
  length: string | undefined,
  body: ReadableStream<Uint8Array> | null,
): Promise<string | Refusal> {
  if (!/^application\/json\b/i.test(type ?? ''))
    return {
      status: 415,
      code: 'CONTENT_TYPE_REFUSED',
      title: 'Not in this form',
      detail: 'Send JSON, and say so: content-type: application/json.',
    };
  const tooLong: Refusal = { status: 413, code: 'BODY_REFUSED', title: 'Too long', detail: `A body has at most ${mostBytes} bytes here.` };
  if (Number(length ?? 0) > mostBytes) return tooLong;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of body ?? []) {
      bytes += part.length;
      if (bytes > mostBytes) return tooLong;
      parts.push(part);
    }
  } catch {
    // Whoever sends may stop when it likes: no bug of ours.
    return {
      status: 400,
      code: 'BODY_CUT',
      title: 'Cut off',
      detail: 'The connection ended, or nothing came any more, before the body was whole.',
    };
  }
  return Buffer.concat(parts).toString('utf8');
}

/** What is asked for; rejects with PARAMETER_INVALID, which names the field. */
export function wishOf(text: string): DispatchWish {
  const said = mapOf(text);
  for (const name of Object.keys(said)) if (!fields.includes(name)) throw refused(name, `is unknown here; there are: ${fields.join(', ')}`);
  const { labels, count, ttl, forge } = said;
  if (forge !== undefined && (typeof forge !== 'string' || forge === '')) throw refused('forge', 'does not fit: write the name of a forge');
  const ttlMs = ttl === undefined ? undefined : ttlOf(ttl);
  return {
    labels: labelsOf(labels),
    count: countOf(count),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(forge === undefined ? {} : { forge }),
  };
}

function mapOf(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refused('body', 'is not JSON: write a map such as {"labels": ["debian"]}');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused('body', 'is no map: write one such as {"labels": ["debian"]}');
  return { ...value };
}

function labelsOf(value: unknown): readonly string[] {
  const items: readonly unknown[] = Array.isArray(value) ? value : [];
  const names = items.flatMap((item) => (typeof item === 'string' ? [labelNameOf(item)] : []));
  const bytes = names.reduce((sum, name) => sum + Buffer.byteLength(name) + 1, 0);
  const fit = names.length === items.length && names.length > 0 && names.length <= mostLabels && bytes <= labelBytes && !names.includes('');
  if (!fit) throw refused('labels', `does not fit: write a list of 1 to ${mostLabels} labels`);
  return [...new Set(names)];
}

function countOf(value: unknown): number {
  if (value === undefined) return 1;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= mostRunners) return value;
  throw refused('count', `does not fit: write a whole number from 1 to ${mostRunners}`);
}

/** Milliseconds of a time as the configuration has them, too. */
function ttlOf(value: unknown): number {
  const ms = parseDuration(value);
  if (ms !== undefined && ms >= leastTtlMs && ms <= mostTtlMs) return ms;
  throw refused('ttl', 'does not fit: write a time from 10s to 168h, such as 20m or 1h30m');
}

export function dispatchedOf({ order, runners, refused: why }: DispatchAnswer, iso: Show): Dispatched {
  const { forge, labels, count, ttlMs } = order;
  const first = runners.find(({ dispatch }) => ttlMs !== undefined && dispatch.ttlMs < ttlMs);
  const started = `${runners.length} of ${count} accepted`;
  const limit = first === undefined ? '' : `; profile ${first.profile} allows no more than ${first.dispatch.ttlMs / 1000} s, job included`;
  return {
    forge,
    labels: [...labels],
    requested: count,
    accepted: runners.length,
    refused: count - runners.length,
    reason: why?.reason ?? null,
    sentence: `${started}${why === undefined ? '' : `: ${why.sentence}`}${limit}`,
    ttl_clamped: first !== undefined,
    runners: runners.map(({ id, profile, machine, createdAt, dispatch }) => ({
      id,
      machine,
      profile,
      ttl_seconds: dispatch.ttlMs / 1000,
      until: iso(createdAt + dispatch.ttlMs),
    })),
  };
}
