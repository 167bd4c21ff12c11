// Webhooks and statuses of commits in the configuration. Webhooks: off unless a secret's file is named, never quicker than without, never so rare that a lost delivery costs much.

import { describe, expect, test } from 'vitest';
import { guardedPathsOf, renderConfig } from '../../src/config/config.ts';
import { basicYaml, load, refusal } from '../support/config-fixture.ts';

const secret = 'webhook-secret-0123456789';
const files = { '/run/hook': secret };
const withHook = (text: string): string => basicYaml.replace('tokenFile', `webhook: {${text}}, tokenFile`);

const off = (yaml: string): string => yaml.replace('tokenFile', 'pollInterval: none, tokenFile');
const withStatus = (text: string): string => basicYaml.replace('tokenFile', `waitingStatus: {${text}}, tokenFile`);

describe('webhook', () => {
  test('none is taken unless the file of its secret is named, and the secret is not in the configuration (I7)', async () => {
    expect((await load({ yaml: basicYaml })).forges[0]?.webhook).toBeUndefined();
    const config = await load({ yaml: withHook('secretFile: /run/hook'), files });
    expect(config.forges[0]?.webhook).toEqual({ secretFile: '/run/hook', pollIntervalMs: 1_000 });
    expect(JSON.stringify(config) + renderConfig(config)).not.toContain(secret);
    expect(guardedPathsOf(config)).toContain('/run/hook');
  });
  test('what check-config prints loads to the same, with the interval that webhooks allow', async () => {
    const config = await load({
      yaml: withHook('secretFile: /run/hook, pollInterval: 1m, ensure: "https://ci.example.org/r/webhook/default"'),
      files,
    });
    expect(config.forges[0]?.webhook?.ensureUrl).toBe('https://ci.example.org/r/webhook/default');
    expect(config.forges[0]?.webhook?.pollIntervalMs).toBe(60_000);
    expect((await load({ yaml: renderConfig(config), files })).forges).toEqual(config.forges);
  });
  test('what the webhook in the forge is to tell may be set, and whether it tells anything; a word that Forgejo would drop is warned of', async () => {
    const yaml = withHook(
      'secretFile: /run/hook, ensure: "https://a/webhook/default", events: [push, pull_request, pushed], active: false',
    );
    const { forges, warnings } = await load({ yaml, files });
    expect(forges[0]?.webhook).toMatchObject({ events: ['push', 'pull_request', 'pushed'], inactive: true });
    expect(warnings.join()).toContain('forges[0].webhook.events: the string "pushed" is no event that is known here');
    expect(warnings).toHaveLength(2);
    expect((await load({ yaml: renderConfig(await load({ yaml, files })), files })).forges).toEqual(forges);
  });
  test('an interval that is shorter than without webhooks changes nothing, and is warned of', async () => {
    const { forges, warnings } = await load({ yaml: withHook('secretFile: /run/hook, pollInterval: 200ms'), files });
    expect(forges[0]?.webhook?.pollIntervalMs).toBe(1_000);
    expect(warnings.join()).toContain('forges[0].webhook.pollInterval');
  });
  test('polling can be switched off for one forge: it is asked every ten minutes to be safe, and a warning says what that means', async () => {
    const config = await load({ yaml: off(withHook('secretFile: /run/hook')), files });
    expect(config.forges[0]).toMatchObject({ unpolled: true, pollIntervalMs: 600_000, webhook: { pollIntervalMs: 600_000 } });
    expect(config.warnings.join()).toMatch(/forges\[0\]\.pollInterval: .*every 10m alone: schedules, .* come with no webhook/);
    expect((await load({ yaml: renderConfig(config), files })).forges).toEqual(config.forges);
    const alone = await load({ yaml: off(basicYaml) });
    expect(alone.warnings.join()).toContain('no webhook is set, so nobody says when a job waits');
    const { mistakes } = await refusal({ yaml: off(withHook('secretFile: /run/hook, pollInterval: 1m')), files });
    expect(mistakes).toMatchObject([{ path: 'forges[0].webhook.pollInterval', message: 'has no effect where the forge is not polled' }]);
    expect((await refusal({ yaml: `${basicYaml}pollInterval: none\n` })).mistakes).toMatchObject([{ path: 'pollInterval' }]);
  });
  test.each([
    ['pollInterval: 1m', 'forges[0].webhook.secretFile'],
    ['secretFile: /run/absent', 'forges[0].webhook.secretFile'],
    ['secretFile: /run/hook, events: [push]', 'forges[0].webhook.events'],
    ['secretFile: /run/hook, active: true', 'forges[0].webhook.active'],
    ['secretFile: /run/hook, ensure: "https://ci.example.org/webhook/default", events: []', 'forges[0].webhook.events'],
    ['secretFile: /run/hook, ensure: "https://ci.example.org/webhook/default", events: [Push]', 'forges[0].webhook.events[0]'],
    ['secretFile: /run/hook, ensure: "https://ci.example.org/webhook/default", active: 1', 'forges[0].webhook.active'],
    ['secretFile: /run/hook, pollInterval: 5m', 'forges[0].webhook.pollInterval'],
    ['secretFile: /run/hook, ensure: "https://ci.example.org/webhook/other"', 'forges[0].webhook.ensure'],
    ['secretFile: /run/hook, ensure: "https://u:p@ci.example.org/webhook/default"', 'forges[0].webhook.ensure'],
    ['secretFile: /run/hook, secret: abc', 'forges[0].webhook.secret'],
  ])('{%s} is refused', async (text, path) => {
    const { mistakes, all } = await refusal({ yaml: withHook(text), files });
    expect(mistakes.map((mistake) => mistake.path)).toEqual([path]);
    expect(all).not.toContain(secret);
  });
});

describe('waitingStatus', () => {
  test('no commit is told anything unless it is asked for', async () => {
    expect((await load({ yaml: basicYaml })).forges[0]?.waitingStatus).toBeUndefined();
    const config = await load({ yaml: withStatus('after: 2m') });
    expect(config.forges[0]?.waitingStatus).toEqual({ afterMs: 120_000 });
    expect((await load({ yaml: renderConfig(config) })).forges).toEqual(config.forges);
  });
  test.each(['', 'after: 1s', 'after: soon', 'after: 2m, context: x'])('{%s} is refused', async (text) => {
    expect((await refusal({ yaml: withStatus(text) })).all).toContain('forges[0].waitingStatus');
  });
});
