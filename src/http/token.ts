// Promises the operator's token as its file holds it now: read at each use, concealed from the log before it is compared, compared in constant
// time. Who asks learns whether it fits and nothing more.

import { createHash, timingSafeEqual } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { ControllerError } from '../errors.ts';
import type { Log } from '../log.ts';

export type Token = {
  /** Rejects with STORE_FAILED when the file holds no token that may be used. */
  fits(given: string): Promise<boolean>;
};

/** Far more than a token needs; a larger file is the wrong file. */
const mostBytes = 64 * 1024;
/** What can be tried out is no secret. */
const leastCharacters = 16;

export function createToken(path: string, log: Pick<Log, 'conceal'>): Token {
  let concealed: string | undefined;
  return {
    async fits(given) {
      const token = await read(path);
      if (concealed !== token) log.conceal(token);
      concealed = token;
      return timingSafeEqual(digestOf(given), digestOf(token));
    },
  };
}

/** Of one length, whatever was given. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

async function read(path: string): Promise<string> {
  const token = (await textOf(path)).trim();
  if (token.startsWith('PENDING-')) throw refuse(path, 'holds a placeholder: put a real token into it');
  if (!/^[!-~]*$/.test(token)) throw refuse(path, 'holds more than one word: it must be one line with the token alone');
  if (token.length < leastCharacters) throw refuse(path, `holds fewer than ${leastCharacters} characters: put a longer token into it`);
  return token;
}

async function textOf(path: string): Promise<string> {
  try {
    // Not to wait for a writer, if it is a pipe.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const status = await file.stat();
      if (!status.isFile() || status.size > mostBytes) throw refuse(path, 'is no file of a token');
      if ((status.mode & 0o022) !== 0) throw refuse(path, 'may be changed by others: set its mode to 0600');
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof ControllerError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw refuse(path, `cannot be read (${code}): check its owner and mode`, error);
  }
}

function refuse(path: string, what: string, cause?: unknown): ControllerError {
  return new ControllerError('STORE_FAILED', `The token file of the API (${path}) ${what}.`, { cause });
}
