// Promises the access token as its file holds it now: read again whenever the file changes, concealed from the log before anybody gets
// it. Rejects with FORGE_UNAUTHORIZED and the remedy when there is no usable token; an error never holds what the file holds.

import { constants, open, stat } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { placeOf } from '../core/token-rights.ts';
import { ControllerError, errnoOf } from '../errors.ts';
import type { Log } from '../log.ts';

export type TokenFile = {
  /** The token, without surrounding white space. */
  read(): Promise<string>;
};

/** Far more than a token needs; a larger file is the wrong file. */
const maxBytes = 64n * 1024n;

export function createTokenFile(options: { readonly forge: string; readonly path: string; readonly log: Pick<Log, 'conceal'> }): TokenFile {
  const { forge, path, log } = options;
  let known: { readonly mark: string; readonly token: string } | undefined;

  const refuse = (what: string, cause?: unknown): ControllerError =>
    new ControllerError('FORGE_UNAUTHORIZED', `The token file of forge "${forge}" (${path}) ${what}.`, {
      cause,
      details: { forge, tokenFile: path },
    });

  function checkKind(status: BigIntStats): void {
    if (!status.isFile()) throw refuse('is not a regular file');
    if (status.size > maxBytes) throw refuse(`has ${status.size} bytes: that is no access token`);
  }

  /** Content and mark come from one open file, so a file that is replaced meanwhile cannot mix them. */
  async function load(): Promise<{ readonly mark: string; readonly text: string }> {
    // Not to wait for a writer, if it became a pipe since it was looked at.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const status = await file.stat({ bigint: true });
      checkKind(status);
      return { mark: markOf(status), text: await file.readFile('utf8') };
    } finally {
      await file.close();
    }
  }

  async function look<T>(step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      if (error instanceof ControllerError) throw error;
      const code = errnoOf(error) ?? 'unknown error';
      const remedy =
        code === 'ENOENT'
          ? `does not exist: put an access token into ${placeOf(path)}`
          : `cannot be read (${code}): check its owner and mode`;
      throw refuse(remedy, error);
    }
  }

  async function read(): Promise<string> {
    const status = await look(() => stat(path, { bigint: true }));
    if (known?.mark === markOf(status)) return known.token;
    checkKind(status);
    const { mark, text } = await look(load);
    const token = text.trim();
    if (token === '') throw refuse('is empty: put an access token into it');
    if (token.startsWith('PENDING-')) throw refuse('still holds the placeholder PENDING-...: put a real access token into it');
    if (!/^[!-~]+$/.test(token)) throw refuse('holds white space or control characters inside: it must be one line with the token alone');
    if (known?.token !== token) log.conceal(token);
    known = { mark, token };
    return token;
  }

  return { read };
}

/** Changes with every rename over the file and every write into it. */
function markOf(status: BigIntStats): string {
  return `${status.dev}:${status.ino}:${status.size}:${status.mtimeNs}:${status.ctimeNs}`;
}
