// Promises the operator's token as its file holds it now: read at each use, concealed from the log before it is compared, compared in constant
// time. Who asks learns whether it fits and nothing more.

import { createHash, timingSafeEqual } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { ControllerError, errnoOf } from '../errors.ts';
import type { Log } from '../log.ts';

export type Token = {
  /** Rejects with STORE_FAILED when the file holds no token that may be used. */
  fits(given: string): Promise<boolean>;
  /** What the file holds; rejects likewise. */
  text(): Promise<string>;
};

/** Far more than a token needs; a larger file is the wrong file. */
const mostBytes = 64 * 1024;
/** What can be tried out is no secret. */
const leastCharacters = 16;

/** `what` it is, for a sentence. */
export function createToken(path: string, log: Pick<Log, 'conceal'>, what = 'token of the API'): Token {
  let concealed: string | undefined;
  async function text(): Promise<string> {
    const token = await read({ path, what });
    if (concealed !== token) log.conceal(token);
    concealed = token;
    return token;
  }
  return { text, fits: async (given) => timingSafeEqual(digestOf(given), digestOf(await text())) };
}

/** Of one length, whatever was given. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

type Place = { readonly path: string; readonly what: string };

async function read(place: Place): Promise<string> {
  const token = (await textOf(place)).trim();
  if (token.startsWith('PENDING-')) throw refuse(place, 'holds a placeholder: put a real one into it');
  if (!/^[!-~]*$/.test(token)) throw refuse(place, 'holds more than one word: it must be one line with that alone');
  if (token.length < leastCharacters) throw refuse(place, `holds fewer than ${leastCharacters} characters: put a longer one into it`);
  return token;
}

async function textOf(place: Place): Promise<string> {
  const { path } = place;
  try {
    // Not to wait for a writer, if it is a pipe.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const status = await file.stat();
      if (!status.isFile() || status.size > mostBytes) throw refuse(place, 'is no such file');
      if ((status.mode & 0o022) !== 0) throw refuse(place, 'may be changed by others: set its mode to 0600');
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof ControllerError) throw error;
    const code = errnoOf(error) ?? 'unknown error';
    throw refuse(place, `cannot be read (${code}): check its owner and mode`, error);
  }
}

function refuse({ path, what }: Place, trouble: string, cause?: unknown): ControllerError {
  return new ControllerError('STORE_FAILED', `The file of the ${what} (${path}) ${trouble}.`, { cause });
}
