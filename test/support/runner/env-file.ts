// Reads the files through which steps speak back (outputs and environment): `name=value` lines and `name<<END` blocks.

import { readFileSync } from 'node:fs';

export function parseEnvFile(text: string): Record<string, string> {
  const values: Record<string, string> = {};
  const lines = text.split('\n');
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    const block = /^([^=<]+)<<(.+)$/.exec(line);
    const equals = line.indexOf('=');
    if (block !== null) {
      const [, name = '', end] = block;
      const body: string[] = [];
      for (let next = lines.shift(); next !== undefined && next !== end; next = lines.shift()) body.push(next);
      values[name] = body.join('\n');
    } else if (equals > 0) values[line.slice(0, equals)] = line.slice(equals + 1);
    else if (line.trim() !== '') throw new Error(`invalid format '${line}', expected a line with '=' or '<<'`);
  }
  return values;
}

export function readEnvFile(path: string): Record<string, string> {
  return parseEnvFile(readFileSync(path, 'utf8'));
}
