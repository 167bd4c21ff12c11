// Promises that only an operator changes anything: who opened the socket that is root's, or who names the token. Pages of other sites are
// refused before that. Each refusal is counted, and a few a minute of each address are lines of the log, never with what was named.

import type { Clock } from '../clock.ts';
import { isControllerError, type ControllerError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Refusal } from './handlers.ts';
import { createRefusalLog } from './refusal-log.ts';
import { createToken } from './token.ts';

/** Where connections come from: over a socket that only root may open, from this host, or from anywhere. */
export type Reach = 'socket' | 'loopback' | 'network';

export type Request = {
  readonly method: string;
  readonly path: string;
  readonly header: (name: string) => string | undefined;
  /** The address of who asks; undefined over the socket. */
  readonly address: string | undefined;
};

export type Admittance = {
  /** Undefined = may do what it asks. */
  refusalOf(request: Request): Promise<Refusal | undefined>;
};

const realm = 'Bearer realm="forgejo-runner-controller"';
const noToken: Refusal = {
  status: 403,
  code: 'NO_TOKEN_CONFIGURED',
  title: 'Not over this way',
  detail:
    'No token is configured for this. Name a file with one as http.tokenFile and start the service again, or ask as root over its Unix socket (http.socket).',
};
const unusable: Refusal = {
  status: 403,
  code: 'TOKEN_FILE_UNUSABLE',
  title: 'The token cannot be checked',
  detail: 'The file that http.tokenFile names holds no token that may be used; the log of the service says why.',
};
const missing: Refusal = {
  status: 401,
  code: 'TOKEN_MISSING',
  title: 'Who asks is not known',
  detail: 'Send the token of http.tokenFile as `Authorization: Bearer TOKEN`, or ask as root over the Unix socket.',
  headers: { 'www-authenticate': realm },
};
const wrong: Refusal = {
  status: 401,
  code: 'TOKEN_WRONG',
  title: 'Who asks is not known',
  detail: 'That is not the token of http.tokenFile.',
  headers: { 'www-authenticate': `${realm}, error="invalid_token"` },
};
const elsewhere: Refusal = {
  status: 403,
  code: 'ORIGIN_REFUSED',
  title: 'Not for pages of other sites',
  detail: 'A page of another site may not change anything here.',
};

type Verdict = Refusal & { readonly error?: ControllerError };

export function createAdmittance(reach: Reach, tokenFile: string | undefined, log: Log, clock: Pick<Clock, 'now'>): Admittance {
  const token = tokenFile === undefined ? undefined : createToken(tokenFile, log);
  const refusals = createRefusalLog(clock, log);
  let refused = 0;

  async function judge({ method, header }: Request): Promise<Verdict | undefined> {
    if (method === 'POST' && isElsewhere(header)) return elsewhere;
    if (reach === 'socket') return undefined;
    if (token === undefined) return noToken;
    const [, given] = /^Bearer ([!-~]{1,4096})$/i.exec(header('authorization') ?? '') ?? [];
    if (given === undefined) return missing;
    try {
      return (await token.fits(given)) ? undefined : wrong;
    } catch (error) {
      if (!isControllerError(error)) throw error;
      return { ...unusable, error };
    }
  }

  return {
    async refusalOf(request) {
      refusals.settle();
      const verdict = await judge(request);
      if (verdict === undefined) return undefined;
      refused += 1;
      const { error, ...refusal } = verdict;
      const { method, path, address = 'socket' } = request;
      refusals.tell(address, (facts) => {
        if (error !== undefined) log.error('http', { error }, error.message);
        const { code, status } = refusal;
        log.warn('http', { by: address, method, path: path.slice(0, 200), code, status, refused, ...facts }, 'refused');
      });
      return refusal;
    },
  };
}

/** A browser says which site's page asks, and no page can forge these. A proxy says under which name it was asked. */
function isElsewhere(header: Request['header']): boolean {
  const site = header('sec-fetch-site');
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true;
  const origin = header('origin');
  if (origin === undefined) return false;
  const own = header('x-forwarded-host') ?? header('host') ?? '';
  return !URL.canParse(origin) || new URL(origin).host !== own.toLowerCase();
}
