// Promises durations and sizes as people write them (`20m`, `1h30m`, `4GiB`), both ways: what is formatted parses to the same number.
// Pure; what is not understood is undefined, never a guess.

const durationUnits = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const decimal = 1_000;
const binary = 1_024;
const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KB: decimal,
  MB: decimal ** 2,
  GB: decimal ** 3,
  TB: decimal ** 4,
  KiB: binary,
  MiB: binary ** 2,
  GiB: binary ** 3,
  TiB: binary ** 4,
};
/** As systemd and Docker read them: one letter is binary. */
const sizeLetters: Readonly<Record<string, number>> = { K: binary, M: binary ** 2, G: binary ** 3, T: binary ** 4 };

/** Milliseconds of `1h30m`, `500ms`, `1.5h`; a bare number is seconds. Undefined when it is no duration, or not a whole safe number of ms. */
export function parseDuration(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
  if (/^\d+(?:\.\d+)?$/.test(text)) return wholeOf(Number(text) * 1_000);
  if (!/^(?:\d+(?:\.\d+)?\s*(?:ms|s|m|h|d)\s*)+$/.test(text)) return undefined;
  let sum = 0;
  let last = Number.POSITIVE_INFINITY;
  for (const [, count, unit] of text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)/g)) {
    const size = durationUnits[unit as keyof typeof durationUnits];
    // `30m1h` and `1m1m` are slips of the pen, not durations.
    if (size >= last) return undefined;
    last = size;
    sum += Number(count) * size;
  }
  return wholeOf(sum);
}

/** The shortest form that parses back to the same number: `1h30m`, `250ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let rest = ms;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / durationUnits[unit]);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * durationUnits[unit];
  }
  return text;
}

/** Bytes of `4GiB`, `10GB`, `1.5 GiB`, `512M` (one letter is binary); a bare number is bytes. Undefined when it is no size. */
export function parseSize(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text);
  if (match === null) return undefined;
  const [, count, unit = ''] = match;
  const size = unit === '' ? 1 : unitOf(unit);
  // Half a byte is a slip; a fraction of a unit is rounded to whole bytes.
  return size === undefined ? undefined : wholeOf(unit === '' ? Number(count) : Math.round(Number(count) * size));
}

/** The largest binary unit that divides it, else bytes: `4GiB`, `1536MiB`, `1000`. */
export function formatSize(bytes: number): string {
  for (const unit of ['TiB', 'GiB', 'MiB', 'KiB']) {
    const size = sizeUnits[unit] ?? 1;
    if (bytes > 0 && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}

function unitOf(unit: string): number | undefined {
  const wanted = unit.toLowerCase();
  const name = Object.keys(sizeUnits).find((known) => known.toLowerCase() === wanted);
  return name === undefined ? sizeLetters[unit.toUpperCase()] : sizeUnits[name];
}

function wholeOf(value: number): number | undefined {
  const whole = Math.round(value);
  // 1e-6 forgives what binary fractions do to `1.1s`; anything finer than a millisecond is not a duration here.
  return Number.isSafeInteger(whole) && Math.abs(value - whole) < 1e-6 ? whole : undefined;
}
