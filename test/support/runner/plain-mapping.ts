// Reads a YAML or JSON text into a plain mapping. Nested mappings of simple scalars, which is what a runner's config is, are read here:
// loading the YAML library would add a third to the time from start to Declare.

export type Mapping = { readonly [key: string]: unknown };

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Any scalar as text, nothing as the empty text, the rest as JSON. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}

function scalarOf(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

/** The mapping, or undefined when the text has anything but block mappings of plain scalars, comments and empty lines. */
export function parsePlainMapping(text: string): Mapping | undefined {
  const root: Record<string, unknown> = {};
  const open: { indent: number; target: Record<string, unknown> }[] = [{ indent: 0, target: root }];
  let pending: Record<string, unknown> | undefined;
  for (const line of text.split('\n')) {
    if (/^\s*(#.*)?$/.test(line)) continue;
    const match = /^( *)([A-Za-z_][\w-]*):(?: +([A-Za-z0-9_/.][\w/.-]*))? *$/.exec(line);
    if (match === null) return undefined;
    const [, spaces = '', key = '', value] = match;
    if (/^(null|Null|NULL|True|TRUE|False|FALSE|0[xo].*)$/.test(value ?? '')) return undefined;
    const indent = spaces.length;
    if (pending !== undefined && indent > (open.at(-1)?.indent ?? 0)) open.push({ indent, target: pending });
    pending = undefined;
    while ((open.at(-1)?.indent ?? 0) > indent) open.pop();
    const level = open.at(-1);
    if (level === undefined || level.indent !== indent) return undefined;
    if (value === undefined) level.target[key] = pending = {};
    else level.target[key] = scalarOf(value);
  }
  return root;
}

/** Any YAML text as a mapping; an empty document is an empty mapping. Throws what the YAML library throws. */
export async function parseMapping(text: string): Promise<Mapping> {
  const plain = parsePlainMapping(text);
  if (plain !== undefined) return plain;
  const { parse } = await import('yaml');
  const parsed: unknown = parse(text);
  return isMapping(parsed) ? parsed : {};
}
