// Promises how headers stand in a file: one `name: value` on each line, empty lines and those that begin with # left out. Pure; says which line
// is none without showing it, for it may be a secret.

/** The headers, or the number of the first line that is none. */
export function headersIn(text: string): Readonly<Record<string, string>> | number {
  const headers: Record<string, string> = {};
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) continue;
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+)\s*:\s*([\t -~]+)$/.exec(trimmed) ?? [];
    if (name === undefined || value === undefined) return index + 1;
    headers[name.toLowerCase()] = value;
  }
  return headers;
}
