// Promises that a long JSON list of rows comes through small: a field whose value is longer than any real one becomes 0, everything else
// passes as it is, byte for byte. What people write into their workflows may be of any size, and it stands in everybody's list. Pure.

/** Ten times what a runner can be told of labels, and more than a name or a list of needs has. */
const longestValue = 4_096;

/** More than a list has room for whose rows are whole: each takes 200 bytes here, and many times what it takes here when it is parsed. */
const mostRows = 200_000;

const [quote, comma, colon, backslash] = [0x22, 0x2c, 0x3a, 0x5c];
const [openList, closeList, openMap, closeMap] = [0x5b, 0x5d, 0x7b, 0x7d];
const instead = Buffer.of(0x30);

/** A value of a row while it is read; what it held is let go once it is too long. */
type Held = { bytes: number; pieces: Buffer[] };

/**
 * Give it the pieces of `[{...}, ...]` in order; each call returns a copy of what of them goes on, and undefined once there are too many rows.
 * Text of another shape passes.
 */
export function createListSieve(): (piece: Buffer) => Buffer | undefined {
  let depth = 0;
  let rows = 0;
  let inString = false;
  let escaped = false;
  let held: Held | undefined;

  function keep(part: Buffer, passed: Buffer[]): void {
    if (held === undefined) passed.push(part);
    else {
      held.bytes += part.length;
      if (held.bytes <= longestValue) held.pieces.push(part);
      else held.pieces.length = 0;
    }
  }

  function release(passed: Buffer[]): void {
    if (held === undefined) return;
    passed.push(...(held.bytes <= longestValue ? held.pieces : [instead]));
    held = undefined;
  }

  /** A byte outside of strings. True when the value of a field ends before it; what begins one is seen by the caller. */
  function endsValue(byte: number): boolean {
    if (byte === openList || byte === openMap) depth += 1;
    else if (byte === closeList || byte === closeMap) {
      depth -= 1;
      if (depth === 1) rows += 1;
      return depth === 1;
    }
    return byte === comma && depth === 2;
  }

  return (piece) => {
    const passed: Buffer[] = [];
    let from = 0;
    for (let at = 0; at < piece.length; at += 1) {
      const byte = piece[at] ?? 0;
      if (escaped) escaped = false;
      else if (inString) {
        if (byte === backslash) escaped = true;
        else if (byte === quote) inString = false;
      } else if (byte === quote) inString = true;
      else if (endsValue(byte)) {
        keep(piece.subarray(from, at), passed);
        release(passed);
        from = at;
      } else if (byte === colon && depth === 2 && held === undefined) {
        keep(piece.subarray(from, at + 1), passed);
        held = { bytes: 0, pieces: [] };
        from = at + 1;
      }
    }
    keep(piece.subarray(from), passed);
    // A copy: a few bytes that were kept as they lie would keep their whole piece.
    return rows > mostRows ? undefined : Buffer.concat(passed);
  };
}
