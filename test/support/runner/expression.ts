// Evaluates the small part of `${{ }}` that the stand-in claims: literals, dotted names, ==, !=, !, &&, ||, parentheses and the four status
// functions. Anything else is an error with the expression in it, never a guess.

import { textOf } from './plain-mapping.ts';

export type Names = Readonly<Record<string, unknown>>;

export type Status = { readonly failed: boolean; readonly cancelled: boolean };

const tokenPattern = /\s*(?:('(?:[^']|'')*')|(\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|(==|!=|&&|\|\||[!().[\]]))/y;

function tokensOf(source: string): string[] {
  const tokens: string[] = [];
  tokenPattern.lastIndex = 0;
  const end = source.trimEnd().length;
  while (tokenPattern.lastIndex < end) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(source);
    if (match === null) throw new Error(`the stand-in cannot read the expression ${JSON.stringify(source)} from character ${at}`);
    tokens.push(match[0].trim());
  }
  return tokens;
}

function truthy(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== '';
}

function looseEqual(left: unknown, right: unknown): boolean {
  if (typeof left === 'string' && typeof right === 'string') return left.toLowerCase() === right.toLowerCase();
  if (typeof left === typeof right) return left === right;
  return Number(left ?? 0) === Number(right ?? 0);
}

function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, key)) return (value as Names)[key];
  const same = Object.keys(value).find((name) => name.toLowerCase() === key.toLowerCase());
  return same === undefined ? undefined : (value as Names)[same];
}

function statusOf(name: string, status: Status): boolean | undefined {
  if (name === 'always') return true;
  if (name === 'cancelled') return status.cancelled;
  if (name === 'failure') return status.failed && !status.cancelled;
  return name === 'success' ? !status.failed && !status.cancelled : undefined;
}

/** The value of one expression, without its braces. */
export function evaluate(source: string, names: Names, status: Status): unknown {
  const tokens = tokensOf(source);
  const refuse = (): never => {
    throw new Error(`the stand-in cannot evaluate the expression ${JSON.stringify(source)}`);
  };
  const take = (token: string): boolean => tokens[0] === token && tokens.shift() !== undefined;
  const expect = (token: string): void => {
    if (!take(token)) refuse();
  };
  const named = (first: string): unknown => {
    if (first === 'true' || first === 'false') return first === 'true';
    if (first === 'null') return null;
    if (take('(')) {
      expect(')');
      return statusOf(first, status) ?? refuse();
    }
    let value = memberOf(names, first);
    for (;;) {
      if (take('.')) value = memberOf(value, tokens.shift() ?? refuse());
      else if (take('[')) {
        value = memberOf(value, textOf(either()));
        expect(']');
      } else return value;
    }
  };
  const primary = (): unknown => {
    if (take('!')) return !truthy(primary());
    if (take('(')) {
      const value = either();
      expect(')');
      return value;
    }
    const token = tokens.shift() ?? refuse();
    if (token.startsWith("'")) return token.slice(1, -1).replaceAll("''", "'");
    if (/^\d/.test(token)) return Number(token);
    return /^[A-Za-z_]/.test(token) ? named(token) : refuse();
  };
  const comparison = (): unknown => {
    let left = primary();
    for (;;) {
      if (take('==')) left = looseEqual(left, primary());
      else if (take('!=')) left = !looseEqual(left, primary());
      else return left;
    }
  };
  const both = (): unknown => {
    let left = comparison();
    while (take('&&')) {
      const right = comparison();
      left = truthy(left) ? right : left;
    }
    return left;
  };
  const either = (): unknown => {
    let left = both();
    while (take('||')) {
      const right = both();
      left = truthy(left) ? left : right;
    }
    return left;
  };
  const value = either();
  return tokens.length === 0 ? value : refuse();
}

/** A text with every `${{ }}` replaced by its value. */
export function interpolate(text: string, names: Names, status: Status): string {
  return text.replaceAll(/\$\{\{(.*?)\}\}/gs, (_, source: string) => textOf(evaluate(source, names, status)));
}

/** Whether an `if:` lets its step run; without a status function, success() is implied. */
export function condition(source: unknown, names: Names, status: Status): boolean {
  const text = textOf(source).trim();
  const bare = /^\$\{\{(.*)\}\}$/s.exec(text)?.[1] ?? text;
  const implied = !/\b(always|failure|success|cancelled)\s*\(/.test(bare);
  if (implied && (status.failed || status.cancelled)) return false;
  return bare.trim() === '' || truthy(evaluate(bare, names, status));
}
