// Promises a plain reading of TypeScript source for the tidiness rules, without a compiler: text with comments and the insides of strings
// and regular expressions blanked out (same length, same lines), what a file imports, and how long its functions are.

export type Source = {
  /** Path from the root of the repository. */
  readonly path: string;
  readonly text: string;
  /** `text` with comments and the insides of strings and regular expressions blanked. */
  readonly code: string;
  readonly lines: readonly string[];
};

const beforeRegex = /(?:^|[([{}=,;:!&|?+*%<>~^-]|\b(?:return|case|typeof|in|of|throw|await|yield|void))\s*$/;

/** Where the string, comment or regular expression that starts at `at` ends (exclusive); `at` when none starts there. */
function endOfQuiet(text: string, at: number, before: string): number {
  const rest = text.slice(at, at + 2);
  const lineEnd = () => (text.indexOf('\n', at) < 0 ? text.length : text.indexOf('\n', at));
  if (rest === '//') return lineEnd();
  if (rest === '/*') return text.indexOf('*/', at + 2) < 0 ? text.length : text.indexOf('*/', at + 2) + 2;
  const first = text[at];
  if (first === "'" || first === '"') return /^(['"])(?:\\[\s\S]|(?!\1)[^\\])*\1?/.exec(text.slice(at, lineEnd()))?.[0].length ?? 1;
  if (first === '/' && beforeRegex.test(before.slice(-40))) {
    const found = /^\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\[])+\/\w*/.exec(text.slice(at, lineEnd()));
    return at + (found?.[0].length ?? 0);
  }
  return at;
}

const blank = (text: string) => text.replaceAll(/[^\n]/g, ' ');

/** Blanks a template literal but keeps the code inside its `${}`; returns the blanked text. */
function blankTemplate(text: string, at: number): string {
  let out = '`';
  let index = at + 1;
  while (index < text.length && text[index] !== '`') {
    if (text[index] === '\\') {
      out += blank(text.slice(index, index + 2));
      index += 2;
    } else if (text.startsWith('${', index)) {
      const inner = codeOf(text.slice(index + 2), true);
      out += `  ${inner}`;
      index += 2 + inner.length;
    } else {
      out += blank(text.charAt(index));
      index += 1;
    }
  }
  return out + text.slice(index, index + 1);
}

/** Blanks comments, strings and regular expressions. With `nested`, stops after the `}` that closes a template's `${`. */
function codeOf(text: string, nested = false): string {
  let out = '';
  let depth = 0;
  while (out.length < text.length) {
    const at = out.length;
    const char = text.charAt(at);
    if (char === '`') {
      out += blankTemplate(text, at);
      continue;
    }
    const quoted = char === "'" || char === '"';
    const end = quoted ? at + endOfQuiet(text, at, out) : endOfQuiet(text, at, out);
    if (end > at) {
      const piece = text.slice(at, end);
      out += quoted && piece.length > 1 ? char + blank(piece.slice(1, -1)) + char : blank(piece);
      continue;
    }
    if (nested && char === '}' && depth === 0) return `${out} `;
    if (char === '{') depth += 1;
    if (char === '}') depth -= 1;
    out += char;
  }
  return out;
}

export function sourceOf(path: string, text: string): Source {
  return { path, text, code: codeOf(text), lines: text.split('\n') };
}

/** Every module named by an import or export, static or dynamic, types included. Relative ones come as paths from the root. */
export function importsOf(source: Source): readonly string[] {
  const found = source.code.matchAll(/\b(?:from|import)\s*\(?\s*(['"])( *)\1/g);
  return [...found].map((one) => {
    const start = one.index + one[0].length - 1 - (one[2]?.length ?? 0);
    const name = source.text.slice(start, start + (one[2]?.length ?? 0));
    if (!name.startsWith('.')) return name;
    return new URL(name, `file:///${source.path}`).pathname.slice(1);
  });
}

const control = new Set(['if', 'for', 'while', 'switch', 'catch', 'with']);
const closing: Readonly<Record<string, string>> = { '(': ')', '{': '}', '[': ']' };

/** Index of the bracket that closes the one at `at`; the end of the text when there is none. */
function closeOf(code: string, at: number): number {
  const stack: string[] = [];
  for (let index = at; index < code.length; index += 1) {
    const char = code.charAt(index);
    const close = closing[char];
    if (close !== undefined) stack.push(close);
    else if (char === stack.at(-1) && stack.pop() !== undefined && stack.length === 0) return index;
  }
  return code.length - 1;
}

/** Index of the body's brace of a function whose parameter list closes at `at`, skipping a return type; -1 when no body follows. */
function bodyAfter(code: string, at: number): number {
  let index = at + 1;
  let angle = 0;
  let typed = false;
  let last = '';
  for (; index < code.length; index += 1) {
    const char = code.charAt(index);
    if (/\s/.test(char)) continue;
    if (code.startsWith('=>', index)) {
      const next = /\S/.exec(code.slice(index + 2));
      return next?.[0] === '{' ? index + 2 + next.index : -1;
    }
    if (char === '{' && angle === 0 && !(typed && /[:|&]/.test(last))) return index;
    if (char === ':' && last === '') typed = true;
    else if (!typed || (angle === 0 && /[;=,)\]}?]/.test(char))) return -1;
    if (char === '<') angle += 1;
    if (char === '>') angle -= 1;
    if (closing[char] !== undefined) index = closeOf(code, index);
    last = char;
  }
  return -1;
}

export type FunctionSpan = {
  /** Empty for arrows and other nameless ones. */
  readonly name: string;
  /** The line it starts on, from 1. */
  readonly line: number;
  /** How many lines it takes, and how many of them belong to no function inside it. */
  readonly length: number;
  readonly own: number;
};

/** Functions, methods and arrows with a body. */
export function functionsOf(source: Source): readonly FunctionSpan[] {
  const { code } = source;
  const lineAt = (index: number) => code.slice(0, index).split('\n').length;
  const spans = [...code.matchAll(/\(/g)].flatMap((open) => {
    const name = /(\w+)\s*(?:<[^<>(){}]*>)?\s*$/.exec(code.slice(Math.max(0, open.index - 200), open.index))?.[1] ?? '';
    if (control.has(name)) return [];
    const body = bodyAfter(code, closeOf(code, open.index));
    if (body < 0) return [];
    return [{ name, line: lineAt(open.index), end: lineAt(closeOf(code, body)) }];
  });
  return spans.map(({ name, line, end }) => {
    const inside = new Set(
      spans
        .filter((one) => one.line > line && one.end < end)
        .flatMap((one) => Array.from({ length: one.end - one.line + 1 }, (_, step) => one.line + step)),
    );
    return { name, line, length: end - line + 1, own: end - line + 1 - inside.size };
  });
}
