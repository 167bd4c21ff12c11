// Promises the scalars of a configuration: what each is called when it is asked for, and how it is understood. Pure.

import { isIP } from 'node:net';
import { isAbsolute, normalize } from 'node:path';
import { isControllerId } from '../core/naming.ts';
import { addressToNumber, numberToAddress } from '../core/subnets.ts';
import { parseDuration, parseSize } from '../core/units.ts';
import { describe, looksSecret, type Kind } from './reader.ts';

const minute = 60_000;
const year = 365 * 24 * 60 * minute;

export function integer(min: number, max: number, expected = `a whole number from ${min} to ${max}`): Kind<number> {
  return {
    expected,
    parse(value) {
      const number = typeof value === 'string' && /^-?\d{1,15}$/.test(value.trim()) ? Number(value) : value;
      return typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max ? { value: number } : undefined;
    },
  };
}

/** Milliseconds. */
export function duration(minMs: number, maxMs = year, example = '20m, 1h30m or 500ms'): Kind<number> {
  return {
    expected: `a duration such as ${example} (a bare number is seconds)`,
    parse(value) {
      const ms = parseDuration(value);
      if (ms === undefined) return undefined;
      if (ms < minMs) return { message: `is ${describe(value)}, which is too short`, remedy: `write at least ${minMs} ms` };
      if (ms > maxMs) return { message: `is ${describe(value)}, which is too long`, remedy: `write at most ${maxMs / 1000} s` };
      return { value: ms };
    },
  };
}

/** Bytes; `none` = no limit. Less than 16 MiB is taken for a forgotten unit. */
export const size: Kind<number | 'none'> = {
  expected: 'a size such as 4GiB, 512MiB or 10GB, or none',
  parse(value) {
    if (value === 'none') return { value: 'none' };
    const bytes = parseSize(value);
    if (bytes === undefined) return undefined;
    if (bytes < 16 * 1024 ** 2)
      return { message: `is ${describe(value)}: less than 16MiB, so no job can run`, remedy: 'write a size with its unit, such as 4GiB' };
    return { value: bytes };
  },
};

/** Bytes that must stay free; 0 = whatever is free will do. */
export const freeSpace: Kind<number> = {
  expected: 'a size such as 1GiB or 512MiB, or 0 to start machines whatever is free',
  parse(value) {
    const bytes = parseSize(value);
    if (bytes === undefined) return undefined;
    if (bytes > 0 && bytes < 1024 ** 2)
      return {
        message: `is ${describe(value)}: less than 1MiB protects nothing`,
        remedy: 'write a size with its unit, such as 1GiB, or 0',
      };
    return { value: bytes };
  },
};

/** Bytes that may be kept, from `least` to `most`; 0 = nothing. */
export function keptSize(least: number, most: number, example: string): Kind<number> {
  return {
    expected: `a size such as ${example}, or 0 to keep none`,
    parse(value) {
      const bytes = parseSize(value);
      if (bytes === undefined || bytes === 0) return bytes === undefined ? undefined : { value: 0 };
      if (bytes < least)
        return { message: `is ${describe(value)}: too small to keep anything`, remedy: `write at least ${least} bytes, or 0` };
      if (bytes > most) return { message: `is ${describe(value)}, which is too much`, remedy: `write at most ${most} bytes` };
      return { value: bytes };
    },
  };
}

/** Processors; `none` = no limit. */
export const cpus: Kind<number | 'none'> = {
  expected: 'a number of processors such as 2 or 1.5, or none',
  parse(value) {
    if (value === 'none') return { value: 'none' };
    const number = typeof value === 'string' && /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : value;
    return typeof number === 'number' && number >= 0.01 && number <= 8192 ? { value: number } : undefined;
  },
};

export const tasks: Kind<number | 'none'> = {
  expected: 'a whole number of tasks from 16, or none',
  parse: (value) => (value === 'none' ? { value } : integer(16, 4_194_304).parse(value)),
};

/** The SHA-256 of a file, as sha256sum or as Nix writes it; in hexadecimal. */
export const sha256: Kind<string> = {
  expected: 'a SHA-256 such as sha256sum prints (64 hexadecimal digits), or sha256-... in base64',
  parse(value) {
    if (typeof value !== 'string') return undefined;
    if (/^[0-9a-f]{64}$/i.test(value)) return { value: value.toLowerCase() };
    return /^sha256-[A-Za-z0-9+/]{43}=$/.test(value) ? { value: Buffer.from(value.slice(7), 'base64').toString('hex') } : undefined;
  },
};

export const flag: Kind<boolean> = {
  expected: 'true or false',
  parse: (value) =>
    typeof value === 'boolean' ? { value } : value === 'true' || value === 'false' ? { value: value === 'true' } : undefined,
};

export function oneOf<T extends string>(words: readonly T[]): Kind<T> {
  return {
    expected: `one of ${words.join(', ')}`,
    parse(value) {
      const word = words.find((candidate) => candidate === value);
      return word === undefined ? undefined : { value: word };
    },
  };
}

/** An absolute path, normalised. Colons and control characters are refused: systemd and mount options give them a meaning. */
export function absolutePath(expected: string): Kind<string> {
  return {
    expected: `${expected} as an absolute path`,
    parse(value) {
      if (typeof value !== 'string' || !isAbsolute(value) || /[:\p{Cc}]/u.test(value) || value.length > 4000) return undefined;
      if (/(?:^|\/)\.\.(?:\/|$)/.test(value))
        return { message: `is ${describe(value)}, which goes up with ..`, remedy: 'write the path it ends at' };
      const path = normalize(value);
      return { value: path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path };
    },
  };
}

/** A web address, without a trailing slash; a path is allowed (a forge below a sub-path). */
export const webAddress: Kind<string> = {
  expected: 'an address such as https://forge.example.org',
  parse(value) {
    if (typeof value !== 'string' || !URL.canParse(value)) return undefined;
    const url = new URL(value);
    // It travels to each machine in one piece with the labels (PIPE_BUF).
    if (url.href.length > 1_000) return { message: 'is longer than 1000 characters' };
    if (url.username !== '' || url.password !== '')
      return { message: 'carries a user name or password (not shown)', remedy: 'write the address alone and put the token into tokenFile' };
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return { message: `is ${describe(value)}, which is neither http nor https` };
    if (value.includes('?') || value.includes('#'))
      return { message: 'has a query or a fragment', remedy: 'write the address without ? and #' };
    return { value: `${url.origin}${url.pathname.replace(/\/+$/, '')}` };
  },
};

/** A name that keys logs, /status and metrics. */
export const plainName: Kind<string> = {
  expected: 'a name of lower-case letters, digits, dot, dash and underscore, at most 63 characters',
  parse: (value) => (typeof value === 'string' && /^[a-z0-9][a-z0-9._-]{0,62}$/.test(value) && !looksSecret(value) ? { value } : undefined),
};

export const controllerId: Kind<string> = {
  expected: 'lower-case letters, digits and dashes, at most 16 characters, not starting or ending with a dash',
  parse: (value) => (typeof value === 'string' && isControllerId(value) ? { value } : undefined),
};

/** The name of an owner, organization or repository as Forgejo allows it. */
export const forgeWord: Kind<string> = {
  expected: 'a name as it stands in the address of the forge',
  parse: (value) => (typeof value === 'string' && isForgeWord(value) ? { value } : undefined),
};

export const repository: Kind<{ readonly owner: string; readonly name: string }> = {
  expected: 'owner/name',
  parse(value) {
    if (typeof value !== 'string') return undefined;
    const [owner = '', name = '', ...rest] = value.split('/');
    return isForgeWord(owner) && isForgeWord(name) && rest.length === 0 ? { value: { owner, name } } : undefined;
  },
};

function isForgeWord(text: string): boolean {
  return /^[\w.-]{1,100}$/.test(text) && text !== '.' && text !== '..';
}

export type Range = { readonly first: string; readonly last: string };

/** `192.168.100.0-192.168.199.255` or a CIDR, as first and last address. A CIDR with host bits is refused with the right one. */
export const addressRange: Kind<Range> = {
  expected: 'two IPv4 addresses such as 192.168.100.0-192.168.199.255, or a CIDR such as 10.90.0.0/16',
  parse(value) {
    if (typeof value !== 'string') return undefined;
    if (value.includes('/')) {
      const cidr = parseCidr(value);
      if (cidr === undefined) return undefined;
      if (cidr.base !== cidr.address)
        return { message: `is ${describe(value)}, which has host bits`, remedy: `write ${numberToAddress(cidr.base)}/${cidr.bits}` };
      return { value: { first: numberToAddress(cidr.base), last: numberToAddress(cidr.base + 2 ** (32 - cidr.bits) - 1) } };
    }
    const [first = '', last = '', ...rest] = value.split('-').map((part) => part.trim());
    if (isIP(first) !== 4 || isIP(last) !== 4 || rest.length > 0) return undefined;
    if (addressToNumber(first) > addressToNumber(last)) return { message: `is ${describe(value)}, which runs backwards` };
    return { value: { first, last } };
  },
};

/** An IPv4 network, normalised to its base; a bare address is a /32. */
export const network: Kind<string> = {
  expected: 'an IPv4 network such as 10.1.2.0/24',
  parse(value) {
    const cidr = typeof value === 'string' ? parseCidr(value.includes('/') ? value : `${value}/32`) : undefined;
    return cidr === undefined ? undefined : { value: `${numberToAddress(cidr.base)}/${cidr.bits}` };
  },
};

/** First and last address of a network that `network` understood. */
export function boundsOf(cidr: string): readonly [number, number] {
  const [address = '', bits = '32'] = cidr.split('/');
  const first = addressToNumber(address);
  return [first, first + 2 ** (32 - Number(bits)) - 1];
}

function parseCidr(text: string): { readonly address: number; readonly base: number; readonly bits: number } | undefined {
  const [address = '', bitsText = '', ...rest] = text.split('/');
  const bits = /^\d{1,2}$/.test(bitsText) ? Number(bitsText) : 99;
  if (isIP(address) !== 4 || bits > 32 || rest.length > 0) return undefined;
  const number = addressToNumber(address);
  const step = 2 ** (32 - bits);
  return { address: number, base: Math.floor(number / step) * step, bits };
}

export const nameserver: Kind<string> = {
  expected: 'the IPv4 address of a resolver that machines can reach',
  parse(value) {
    if (typeof value !== 'string' || isIP(value) !== 4) return undefined;
    if (value.startsWith('127.')) return { message: `is ${describe(value)}: in a machine that is the machine itself` };
    return { value };
  },
};

const cronRanges = [
  [0, 59],
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;
const cronNames = /\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat)[a-z]*\b/gi;

/** Five fields, or six with seconds first. A light check: the daemon's cron has the last word. */
export const cron: Kind<string> = {
  expected: 'a cron expression of five or six fields, such as "*/10 * * * *"',
  parse(value) {
    if (typeof value !== 'string') return undefined;
    const fields = value.trim().split(/\s+/);
    if (fields.length !== 5 && fields.length !== 6) return undefined;
    const ranges = fields.length === 5 ? cronRanges.slice(1) : cronRanges;
    const good = fields.every((field, index) => {
      const [min, max] = ranges[index] ?? [0, 0];
      const bare = min === 1 || max === 7 ? field.replaceAll(cronNames, String(min)) : field;
      return bare.split(',').every((part) => isCronPart(part, min, max));
    });
    return good ? { value: fields.join(' ') } : undefined;
  },
};

function isCronPart(part: string, min: number, max: number): boolean {
  const match = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part);
  if (match === null) return false;
  const [, from, to, step] = match;
  const low = from === undefined ? min : Number(from);
  const high = to === undefined ? low : Number(to);
  return low >= min && high <= max && low <= high && (step === undefined || Number(step) > 0);
}

/** Where to listen: an IP address or localhost. */
export const bindHost: Kind<string> = {
  expected: 'an address of this host such as 127.0.0.1',
  parse: (value) => (typeof value === 'string' && (isIP(value) !== 0 || value === 'localhost') ? { value } : undefined),
};

/** `127.0.0.1:8080`, `[::1]:8080`, or `:8080`, which means loopback: nothing here listens to the world by leaving something out. */
export const listenAddress: Kind<{ readonly host: string; readonly port: number }> = {
  expected: 'address:port such as 127.0.0.1:8080',
  parse(value) {
    const match = typeof value === 'string' ? /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value) : null;
    if (match === null) return undefined;
    const host = match[1] ?? (match[2] === '' ? '127.0.0.1' : (match[2] ?? ''));
    const port = Number(match[3]);
    return port <= 65_535 && bindHost.parse(host) !== undefined ? { value: { host, port } } : undefined;
  },
};
