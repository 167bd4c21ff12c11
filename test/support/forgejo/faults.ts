// Promises what may go wrong between a client and the stand-in, switched on by rules: which requests, what happens to them, how often or
// with which seeded probability. Chooses and spoils answers; the socket belongs to server.ts.

import type { Reply } from './reply.ts';

export type Fault =
  /** The answer comes later. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** Another answer: before the request had its effect, or instead of the true answer to it. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly when?: When;
    }
  /** The connection ends: before the effect, or after it, so that its answer is lost. */
  | { readonly kind: 'cut'; readonly when: When }
  /** The effect happens and nothing is ever answered. */
  | { readonly kind: 'hang' }
  /** The headers promise the whole body and the connection ends in the middle of it. */
  | { readonly kind: 'truncate' }
  /** An endless list: at least so many bytes of valid JSON. */
  | { readonly kind: 'huge'; readonly bytes: number }
  /** 429; `retryAfter` as the header has it: seconds or a date. */
  | { readonly kind: 'throttle'; readonly retryAfter: string }
  /** The true status with this text as its body. */
  | { readonly kind: 'wrong-json'; readonly text: string }
  | { readonly kind: 'redirect'; readonly status: 301 | 302 | 307 | 308; readonly location: string };

export type When = 'before' | 'after';

export type Rule = {
  /** `METHOD path` with `*` for anything, for example `GET *runners/jobs` or `* *RunnerService/UpdateTask`. */
  readonly route: string;
  readonly fault: Fault;
  /** How often it happens; without it, until the faults are cleared. */
  readonly times?: number;
  /** Of 1; drawn from `seed`, so that a run can be repeated. */
  readonly probability?: number;
  readonly seed?: number;
};

export type Faults = {
  /** The number of the rule; rules are tried in this order and the first that strikes is the only one. */
  add(rule: Rule): number;
  clear(): void;
  /** The fault for this request, counted as struck. */
  strike(method: string, path: string): Fault | undefined;
  /** How often each rule has struck, in their order. */
  struck(): readonly number[];
};

type Armed = { readonly rule: Rule; readonly pattern: RegExp; readonly draw: () => number; struck: number };

export function createFaults(): Faults {
  let armed: Armed[] = [];
  return {
    add: (rule) => armed.push({ rule, pattern: patternOf(rule.route), draw: randomOf(rule.seed ?? 1), struck: 0 }),
    clear: () => {
      armed = [];
    },
    strike: (method, path) => {
      for (const entry of armed) {
        const { rule, pattern, draw } = entry;
        if (entry.struck >= (rule.times ?? Infinity) || !pattern.test(`${method} ${path}`)) continue;
        if (rule.probability !== undefined && draw() >= rule.probability) continue;
        entry.struck += 1;
        return rule.fault;
      }
      return undefined;
    },
    struck: () => armed.map((entry) => entry.struck),
  };
}

/** The answer that is given instead of doing anything; undefined = the request goes through. */
export function refusedBy(fault: Fault | undefined): Reply | undefined {
  if (fault?.kind === 'status' && fault.when !== 'after') return statusReply(fault);
  if (fault?.kind === 'throttle')
    return { status: 429, headers: { 'retry-after': fault.retryAfter, 'content-type': 'text/plain' }, body: Buffer.from('slow down') };
  if (fault?.kind === 'redirect') return { status: fault.status, headers: { location: fault.location }, body: Buffer.alloc(0) };
  return undefined;
}

/** What is left of a true answer. */
export function spoilt(reply: Reply, fault: Fault | undefined): Reply {
  if (fault?.kind === 'status') return statusReply(fault);
  if (fault?.kind === 'wrong-json') return { ...reply, body: Buffer.from(fault.text) };
  if (fault?.kind === 'huge') return { ...reply, body: Buffer.from(`[${'{},'.repeat(Math.ceil(fault.bytes / 3))}{}]\n`) };
  return reply;
}

function statusReply({ status, body = '', headers = { 'content-type': 'text/plain' } }: Extract<Fault, { kind: 'status' }>): Reply {
  return { status, headers, body: Buffer.from(body) };
}

function patternOf(route: string): RegExp {
  const parts = route.split('*').map((plain) => plain.replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.*')}$`);
}

/** mulberry32: small, seeded, good enough to spread faults. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
