// Promises what the doctor finds of a webhook: whether its secret can be read, and whether the address that the forge is told leads to this
// service, as far as this host can see. It asks with GET, which wakes no poll and leaves no line in the journal.

import type { Config } from './config/config.ts';
import { ask, type Answered } from './daemon-ask.ts';
import { faultAt, skippedAt, wellAt, type Finding, type Place } from './doctor.ts';

type Webhook = NonNullable<Config['forges'][number]['webhook']>;

/** `code`: of a problem as this service words them, else why no answer came; undefined = somebody else answered. */
export type WebhookAnswer = { readonly status?: number; readonly code: string | undefined };

export async function examineWebhook(forge: string, { ensureUrl }: Webhook): Promise<Finding> {
  const place = { area: `forge ${forge}`, name: 'webhook' };
  if (ensureUrl === undefined) return skippedAt(place, 'Where deliveries are sent to is not known here: webhook.ensure is not set.');
  return webhookFinding(place, ensureUrl, answerOf(await ask(ensureUrl, { headers: { accept: 'application/problem+json' } })));
}

/** What an answer to a GET of the webhook's address means. Pure. */
export function webhookFinding(place: Place, url: string, { status, code }: WebhookAnswer): Finding {
  if (code === 'METHOD_NOT_ALLOWED' || status === 401)
    return wellAt(place, `${url} leads to this service, from here; what the forge makes of it stands at the webhook in its settings.`);
  if (code === 'HOST_REFUSED') {
    const what = `${url} leads to this service, which refuses the name that the proxy asks it by`;
    return faultAt(place, { what, remedy: 'let the proxy send `Host: localhost`, as docs/OPERATIONS.md shows' });
  }
  if (status === undefined) {
    const remedy = 'start the service, and look at the proxy before it, the name and the firewalls; polling goes on meanwhile';
    return faultAt(place, { what: `${url} is not reached from here (${code ?? 'no answer'})`, remedy }, 'warning');
  }
  const what = `${url} answers ${status}, and it is not this service that does`;
  return faultAt(
    place,
    { what, remedy: 'let the proxy pass this path to the service; 502 to 504 say that the service does not run' },
    'warning',
  );
}

function answerOf(answered: Answered): WebhookAnswer {
  return 'status' in answered ? { status: answered.status, code: codeIn(answered) } : answered;
}

function codeIn({ type, text }: { readonly type: string; readonly text: string }): string | undefined {
  if (!type.startsWith('application/problem+json')) return undefined;
  try {
    const problem: unknown = JSON.parse(text);
    return typeof problem === 'object' && problem !== null && 'code' in problem ? String(problem.code) : undefined;
  } catch {
    // Cut short, or not what it says: somebody else's.
    return undefined;
  }
}
