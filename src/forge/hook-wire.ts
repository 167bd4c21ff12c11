// Promises the border between Forgejo's JSON of webhooks and our model, as forgejo-wire is it for the rest. Pure.

import * as z from 'zod';
import { parse, type Parsed } from './forgejo-wire.ts';

export type Hook = {
  readonly id: number;
  readonly url: string;
  readonly contentType: string;
  readonly active: boolean;
  readonly events: readonly string[];
  /** Epoch milliseconds, to the second. */
  readonly madeAt: number;
};

/** modules/structs/hook.go, Hook. The secret is never told. */
const hook = z
  .object({
    id: z.int().positive(),
    active: z.boolean(),
    events: z.array(z.string()).nullable(),
    config: z.object({ url: z.string().default(''), content_type: z.string().default('') }),
    created_at: z.iso.datetime({ offset: true }),
  })
  .transform(({ id, active, events, config, created_at: made }): Hook => ({
    id,
    active,
    events: events ?? [],
    url: config.url,
    contentType: config.content_type,
    madeAt: Date.parse(made),
  }));

export function parseHook(json: unknown): Parsed<Hook> {
  return parse(hook, json);
}

/** An empty list may be null, as that of jobs is. */
export function parseHooks(json: unknown): Parsed<readonly Hook[]> {
  return parse(
    z
      .array(hook)
      .nullable()
      .transform((rows) => rows ?? []),
    json,
  );
}

type Wish = {
  readonly url: string;
  readonly secret: string;
  readonly events: readonly string[];
  readonly active: boolean;
  readonly system: boolean;
};

/** Body of POST .../hooks. Without `is_system_webhook` one of the site is only a pattern for new repositories. */
export function hookBodyOf({ url, secret, events, active, system }: Wish): string {
  const config = { url, content_type: 'json', secret, ...(system ? { is_system_webhook: 'true' } : {}) };
  return JSON.stringify({ type: 'forgejo', active, events, config });
}
