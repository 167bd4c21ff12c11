// Promises the webhook that the service makes sure of itself: one at its target, signed with the secret that its file holds, at each kind of
// scope; what it cannot do it says with the right that is missing. Against the stand-in, which answers as was recorded.

import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Scope } from '../../src/core/model.ts';
import type { Forge } from '../../src/forge/forge.ts';
import { createForgejo } from '../../src/forge/forgejo.ts';
import { serveHttp } from '../../src/http/app.ts';
import { createLog } from '../../src/log.ts';
import { anApi, reconcilingOf } from '../support/api.ts';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { refusalFrom } from '../support/forgejo-under-test.ts';
import { busy, settings } from '../support/snapshot-fixture.ts';

const target = 'http://127.0.0.1:9/webhook/main';
const secret = 'webhook-secret-0123456789';
const repository: Scope = { kind: 'repository', owner: 'acme', name: 'demo' };
let folder: string;
let secretFile: string;
let standIn: ForgejoStandIn;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-ensure-'));
  secretFile = join(folder, 'secret');
  await writeFile(secretFile, `${secret}\n`, { mode: 0o600 });
  standIn = await startForgejo();
  await standIn.control.addOrganization({ name: 'acme', owners: [standIn.admin] });
  await standIn.control.addRepository({ repository: 'acme/demo' });
  lines = [];
});
afterEach(async () => {
  await standIn.close();
  await rm(folder, { recursive: true });
});

type Wish = { readonly events?: readonly string[]; readonly inactive?: true };

async function aForge(scope: Scope = repository, ensureUrl = target, token = standIn.token, wish: Wish = {}): Promise<Forge> {
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, token);
  const log = createLog({ level: 'debug', destination: { write: (line) => void lines.push(line) } });
  const forge = createForgejo({
    name: 'main',
    url: standIn.url,
    instanceUrl: standIn.url,
    scope,
    tokenFile,
    clock: systemClock,
    log,
    webhook: { secretFile, ensureUrl, ...wish },
  });
  onTestFinished(() => forge.close());
  return forge;
}

const api = (path: string, method = 'GET', json?: unknown): Promise<Response> =>
  fetch(`${standIn.url}/api/v1${path}`, {
    method,
    headers: { authorization: `token ${standIn.token}`, 'content-type': 'application/json' },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });

describe('the webhook that is made sure of', () => {
  test.each<Scope>([repository, { kind: 'organization', name: 'acme' }, { kind: 'user' }, { kind: 'instance' }])(
    'is made once at %j, however often it is asked for',
    async (scope) => {
      const forge = await aForge(scope);
      expect(await forge.keepWebhook?.()).toBe('made');
      for (let index = 0; index < 3; index += 1) expect(await forge.keepWebhook?.()).toBe('kept');
      expect(await standIn.control.hooks()).toMatchObject([{ url: target, secret }]);
      expect(lines.join('\n')).not.toContain(secret);
    },
  );

  test('those of others stay, also on further pages', async () => {
    const other = { type: 'forgejo', active: true, config: { url: 'http://elsewhere.test/', content_type: 'json' } };
    for (let index = 0; index < 120; index += 1) await api('/repos/acme/demo/hooks', 'POST', other);
    const forge = await aForge();
    expect([await forge.keepWebhook?.(), await forge.keepWebhook?.()]).toEqual(['made', 'kept']);
    expect((await standIn.control.hooks()).filter(({ url }) => url === target)).toHaveLength(1);
    expect(await standIn.control.hooks()).toHaveLength(121);
  });

  test.each([
    ['is not active', { active: false }],
    ['misses what it needs', { events: ['push'] }],
    ['sends forms', { config: { url: target, content_type: 'form', secret } }],
  ])('one that %s is replaced, and two become one', async (_, over) => {
    const events = ['push', 'action_run_success', 'action_run_failure'];
    const made = { type: 'forgejo', active: true, events, config: { url: target, content_type: 'json', secret }, ...over };
    await api('/repos/acme/demo/hooks', 'POST', made);
    await api('/repos/acme/demo/hooks', 'POST', made);
    const forge = await aForge();
    expect([await forge.keepWebhook?.(), await forge.keepWebhook?.()]).toEqual(['replaced', 'kept']);
    expect(await standIn.control.hooks()).toMatchObject([{ url: target, secret, active: true, id: 3 }]);
  });

  test('tells of the events that it is to and of no others, and one that told of more or of less is replaced once', async () => {
    const [none, few, others, all] = await Promise.all(
      [{}, { events: ['push', 'issues'] }, { events: ['issues', 'action_run_recover'] }, {}].map((wish) =>
        aForge(repository, target, undefined, wish),
      ),
    );
    const outcomes: unknown[] = [];
    for (const forge of [none, few, few, others, others, all, all]) outcomes.push(await forge?.keepWebhook?.());
    expect(outcomes).toEqual(['made', 'replaced', 'kept', 'replaced', 'kept', 'replaced', 'kept']);
    await few?.keepWebhook?.();
    expect(await (await api('/repos/acme/demo/hooks')).json()).toMatchObject([{ events: ['push', 'issues'] }]);
  });

  test('one whose server drops what it does not know is not made anew for ever', async () => {
    const forge = await aForge(repository, target, undefined, { events: ['push', 'event_of_tomorrow'] });
    expect([await forge.keepWebhook?.(), await forge.keepWebhook?.(), await forge.keepWebhook?.()]).toEqual(['made', 'kept', 'kept']);
  });

  test('may be there and send nothing, until it is to', async () => {
    const [quiet, loud] = [await aForge(repository, target, undefined, { inactive: true }), await aForge()];
    expect([await quiet.keepWebhook?.(), await quiet.keepWebhook?.()]).toEqual(['made', 'kept']);
    await standIn.control.push({ repository: 'acme/demo', path: 'README.md', content: 'hello' });
    expect(await standIn.control.hooks()).toMatchObject([{ active: false, deliveries: [] }]);
    expect(await loud.keepWebhook?.()).toBe('replaced');
    expect(await standIn.control.hooks()).toMatchObject([{ active: true }]);
  });

  test('of two that are as they should be one goes', async () => {
    const forge = await aForge();
    await forge.keepWebhook?.();
    const events = ['push', 'action_run_success', 'action_run_failure'];
    await api('/repos/acme/demo/hooks', 'POST', {
      type: 'forgejo',
      active: true,
      events,
      config: { url: target, content_type: 'json', secret },
    });
    expect([await forge.keepWebhook?.(), await forge.keepWebhook?.()]).toEqual(['replaced', 'kept']);
    expect(await standIn.control.hooks()).toMatchObject([{ id: 1 }]);
  });

  test('a secret that was changed since is told to the forge, by a webhook that is made anew', async () => {
    const forge = await aForge();
    await forge.keepWebhook?.();
    await writeFile(secretFile, 'another-secret-0123456789');
    const later = new Date(Date.now() + 5_000);
    await utimes(secretFile, later, later);
    expect(await forge.keepWebhook?.()).toBe('replaced');
    expect(await standIn.control.hooks()).toMatchObject([{ secret: 'another-secret-0123456789' }]);
  });

  test('none is wanted unless its target is set', async () => {
    const forge = createForgejo({
      name: 'main',
      url: standIn.url,
      instanceUrl: standIn.url,
      scope: repository,
      tokenFile: '/nowhere',
      clock: systemClock,
      log: createLog({ level: 'error' }),
      webhook: { secretFile },
    });
    onTestFinished(() => forge.close());
    expect(await forge.keepWebhook?.()).toBe('none');
    expect(await standIn.control.hooks()).toEqual([]);
  });

  test.each<readonly [Scope, string]>([
    [repository, 'write:repository'],
    [{ kind: 'organization', name: 'acme' }, 'write:organization'],
    [{ kind: 'instance' }, 'write:admin'],
  ])('at %j a token without the right is told which it needs', async (scope, right) => {
    const token = await standIn.control.addToken({ user: standIn.admin, scopes: [right.replace('write', 'read')] });
    const forge = await aForge(scope, target, token);
    const asked = forge.keepWebhook?.() ?? Promise.resolve();
    await expect(refusalFrom(asked)).resolves.toMatchObject({
      code: 'FORGE_UNAUTHORIZED',
      message: expect.stringContaining(right),
      details: { scope: right },
    });
  });
});

test('from a push to the poll: the forge signs what it was told to, and the service asks it', async () => {
  const kicked = Promise.withResolvers<string>();
  const forges = [{ name: 'main', pollIntervalMs: 1_000, webhook: { secretFile, pollIntervalMs: 1_000 } }];
  const reconciler = reconcilingOf(() => busy, { kick: kicked.resolve });
  const serving = await serveHttp({ app: anApi({ reconciler, settings: () => ({ ...settings, forges }) }), host: '127.0.0.1', port: 0 });
  onTestFinished(() => serving.close());
  const forge = await aForge(repository, `${serving.url}/webhook/main`);
  await forge.keepWebhook?.();
  await standIn.control.push({ repository: 'acme/demo', path: 'README.md', content: 'hello' });
  expect(await kicked.promise).toBe('main');
  await expect.poll(async () => (await standIn.control.hooks())[0]?.deliveries, { timeout: 20_000 }).toEqual([204]);
});
