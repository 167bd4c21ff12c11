// Promises POST /webhook/{forge}: a delivery that its forge signed wakes the poll of that forge, and nothing else of it is believed or even
// kept. What is not signed with the secret is 401, counted, and told in the log; where no secret is configured there is nothing.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Context } from 'hono';
import type { Clock } from '../clock.ts';
import { isControllerError, type ControllerError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Refusal } from './handlers.ts';
import { createRefusalLog } from './refusal-log.ts';
import type { App, Bindings } from './serve.ts';
import type { ApiSettings } from './status.ts';
import { createToken, type Token } from './token.ts';

export type WebhookOptions = {
  /** Of the configuration in force. */
  readonly settings: () => ApiSettings;
  readonly kick: (forge: string) => void;
  readonly refuse: (c: Context, refusal: Refusal) => Response;
  readonly clock: Clock;
  readonly log: Log;
};

type Verdict = Refusal & { readonly error?: ControllerError };

export const webhookPath = '/webhook/{forge}';

/** The payload of a push names every commit of it; it is hashed as it comes, and kept nowhere. */
const mostBytes = 8 * 1024 * 1024;
const signature = /^(?:sha256=)?([0-9a-f]{64})$/i;
/** All of the same sum: who is asked by what name is the forge's matter. */
const signed = ['x-forgejo-signature', 'x-gitea-signature', 'x-hub-signature-256'];

const absent: Refusal = { status: 404, code: 'NOT_FOUND', title: 'Not found', detail: 'No webhook is configured under this name.' };
const notJson: Refusal = {
  status: 415,
  code: 'CONTENT_TYPE_REFUSED',
  title: 'Not in this form',
  detail: 'Set the content type of the webhook to application/json.',
};
const tooLong: Refusal = {
  status: 413,
  code: 'BODY_REFUSED',
  title: 'Too long',
  detail: `A delivery has at most ${mostBytes} bytes here.`,
};
const cut: Refusal = {
  status: 400,
  code: 'BODY_CUT',
  title: 'Cut off',
  detail: 'The connection ended, or nothing came any more, before the delivery was whole.',
};
const unsigned: Refusal = {
  status: 401,
  code: 'SIGNATURE_MISSING',
  title: 'Who sends this is not known',
  detail: 'Give the webhook the secret that stands in the file of webhook.secretFile: it signs each delivery.',
};
const wrong: Refusal = {
  status: 401,
  code: 'SIGNATURE_WRONG',
  title: 'Who sends this is not known',
  detail: 'This is not signed with the secret that stands in the file of webhook.secretFile.',
};
const unusable: Refusal = {
  status: 503,
  code: 'TOKEN_FILE_UNUSABLE',
  title: 'The signature cannot be checked',
  detail: 'The file that webhook.secretFile names holds no secret that may be used; the log of the service says why.',
};

export function mountWebhook(app: App, basePath: string, options: WebhookOptions): void {
  const { settings, kick, refuse, clock, log } = options;
  const secrets = new Map<string, Token>();
  const refusals = createRefusalLog(clock, log);

  const secretOf = (path: string): Token => {
    const secret = secrets.get(path) ?? createToken(path, log, 'secret of a webhook');
    secrets.set(path, secret);
    return secret;
  };

  async function judge(c: Context, forge: string): Promise<Verdict | undefined> {
    const path = settings().forges.find(({ name }) => name === forge)?.webhook?.secretFile;
    if (path === undefined) return absent;
    if (!/^application\/json\b/i.test(c.req.header('content-type') ?? '')) return notJson;
    if (Number(c.req.header('content-length') ?? 0) > mostBytes) return tooLong;
    const given = signed.flatMap((name) => signature.exec(c.req.header(name) ?? '')?.[1] ?? [])[0];
    if (given === undefined) return unsigned;
    try {
      const sum = await sumOf(c.req.raw.body, await secretOf(path).text());
      if ('code' in sum) return sum;
      return timingSafeEqual(Buffer.from(given, 'hex'), sum) ? undefined : wrong;
    } catch (error) {
      if (!isControllerError(error)) throw error;
      return { ...unusable, error };
    }
  }

  app.post(basePath + webhookPath.replace('{forge}', ':forge'), async (c) => {
    const forge = c.req.param('forge') ?? '';
    const verdict = await judge(c, forge);
    if (verdict === undefined) {
      log.debug('webhook', { forge, what: (c.req.header('x-forgejo-event-type') ?? '').slice(0, 60) }, 'the forge is asked at once');
      kick(forge);
      return c.body(null, 204);
    }
    const { error, ...refusal } = verdict;
    const known = refusal.code === absent.code ? {} : { forge };
    const by = addressOf(c);
    refusals.tell(by, (more) => {
      if (error !== undefined) log.error('http', { error }, error.message);
      log.warn('webhook', { ...known, by, code: refusal.code, status: refusal.status, ...more }, 'a delivery is refused');
    });
    return refuse(c, refusal);
  });
}

async function sumOf(body: ReadableStream<Uint8Array> | null, secret: string): Promise<Buffer | Refusal> {
  const sum = createHmac('sha256', secret);
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length;
      if (bytes > mostBytes) return tooLong;
      sum.update(chunk);
    }
  } catch {
    // Whoever sends may stop when it likes: no bug of ours, and told like every refusal.
    return cut;
  }
  return sum.digest();
}

function addressOf(c: Context<{ Bindings: Bindings }>): string {
  const { incoming } = { ...c.env };
  return incoming?.socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown';
}
