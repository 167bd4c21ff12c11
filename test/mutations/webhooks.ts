// Promises mutations of webhooks: whom they believe, and what they may change.

import type { Target } from './mutation.ts';

export const webhookTargets: readonly Target[] = [
  {
    file: 'src/http/webhook.ts',
    tests: ['test/integration/webhook.test.ts'],
    mutations: [
      ['every sum is the right one', "timingSafeEqual(Buffer.from(given, 'hex'), sum) ? undefined : wrong", 'undefined'],
      ['a delivery without a sum is taken', 'if (given === undefined) return unsigned;', 'if (given === undefined) return undefined;'],
      ['a forge without a webhook takes any', 'if (path === undefined) return absent;', 'if (path === undefined) return undefined;'],
      ['a body of any length is read', 'if (bytes > mostBytes) return tooLong;', ''],
      ['each refusal is a line', 'refusals.tell(by, (more) =>', '((by: string, lines: (more: object) => void) => lines({}))(by, (more) =>'],
      ['whoever hangs up makes this service report a bug', '    return cut;\n', "    throw new Error('cut');\n"],
      ['another forge is woken', 'kick(forge);', "kick('');"],
    ],
  },
  {
    file: 'src/reconciler/poller.ts',
    tests: ['test/unit/poller.test.ts', 'test/unit/reconciler-more.test.ts'],
    mutations: [
      ['webhooks are trusted for ever', 'const trustedForMs = 24 * 3_600_000;', 'const trustedForMs = Number.MAX_SAFE_INTEGER;'],
      ['a webhook is followed by one poll', 'const kickedForMs = 15_000;', 'const kickedForMs = 0;'],
      [
        'each webhook is a poll at once',
        'nextAt = Math.min(nextAt, last.at + intervalAt(now));\n    },\n    succeeded',
        'nextAt = 0;\n    },\n    succeeded',
      ],
      ['webhooks make polls as rare as busy ones', 'now - kickedAt < trustedForMs ? Math.max(quietMs, hookedMs) : quietMs', 'quietMs'],
    ],
  },
  {
    file: 'src/forge/webhook.ts',
    tests: ['test/integration/webhook-ensure.test.ts'],
    mutations: [
      ['one more is made at each look', 'if (good !== undefined) return', 'if (good === undefined) return'],
      ['the webhooks of others are ours', '.filter((hook) => hook.url === url)', ''],
      ['an old secret is kept for ever', '&& hook.madeAt >= secretSince', ''],
      ['a webhook that is switched off is good enough', 'return active === (inactive !== true) && ', 'return '],
      [
        'a webhook that tells of more than it is to is good enough',
        'hook.events.every((told) => events.some((wanted) => isOf(told, wanted)))',
        'true',
      ],
      ['what the server drops is asked for at each look', 'asMade.set(made.id, JSON.stringify(made.events));', ''],
      ['only the first page is looked at', 'if (rows.length < pageSize) return all;', 'return all;'],
      ['two stay two', 'filter((hook) => hook !== good)', 'filter((hook) => good === undefined && hook !== good)'],
    ],
  },
];
