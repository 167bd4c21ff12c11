// How often a forge is asked.

import { describe, expect, test } from 'vitest';
import { ControllerError } from '../../src/errors.ts';
import { createPoller, type Poller } from '../../src/reconciler/poller.ts';

const half = () => 0.5;
function answered(poller: Poller, at: number, tookMs = 4): void {
  poller.succeeded({ jobs: [], poll: poller.begin() }, at, at + tookMs);
}

describe('poll cadence', () => {
  test('a quiet forge is asked at the quiet interval', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    expect(poller.due(0)).toBe(true);
    answered(poller, 0);
    expect(poller.nextAt()).toBe(1_000);
  });
  test('for a minute after something happened it is asked twice as often, never slower than the quiet interval', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    answered(poller, 0);
    poller.stir(100);
    expect(poller.nextAt()).toBe(500);
    answered(poller, 60_200);
    expect(poller.nextAt()).toBe(61_200);
    const eager = createPoller('http://forge.test', { quietMs: 200 }, half);
    answered(eager, 0);
    eager.stir(1);
    expect(eager.nextAt()).toBe(200);
  });
  test('a reply never costs the server more than a twentieth of its time', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    for (const at of [0, 1_000, 2_000]) answered(poller, at, 86);
    expect(poller.nextAt()).toBe(2_000 + 1_720);
  });
  test('one slow answer, or two, put nothing off: a busy moment must not hide what runs', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    for (const [at, ms] of [
      [0, 900],
      [1_000, 600],
      [2_000, 20],
      [3_000, 2_900],
    ] as const) {
      answered(poller, at, ms);
      expect(poller.nextAt()).toBe(at + 1_000);
    }
  });
  test('a list that one person made slow puts the next look off by a minute, not by ten', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    for (const at of [0, 29_000, 58_000]) answered(poller, at, 29_000);
    expect(poller.nextAt()).toBe(58_000 + 60_000);
  });
  test('codeberg.org is asked every 30 seconds at most, as the stock runner does', () => {
    const poller = createPoller('https://codeberg.org', { quietMs: 1_000 }, half);
    answered(poller, 0);
    poller.stir(1);
    expect(poller.nextAt()).toBe(30_000);
  });
  test('a webhook is followed by polls for a while, however many come no quicker than when busy; then the forge is asked more rarely', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000, hookedMs: 30_000 }, half);
    answered(poller, 0);
    expect(poller.nextAt()).toBe(1_000); // before any webhook
    poller.kick(200);
    for (let index = 0; index < 100; index += 1) poller.kick(210 + index);
    expect(poller.nextAt()).toBe(500);
    answered(poller, 500);
    expect(poller.nextAt()).toBe(1_000);
    answered(poller, 15_400);
    expect(poller.nextAt()).toBe(45_400); // rare, and never none
    poller.kick(40_000);
    expect(poller.nextAt()).toBe(15_900); // at once
    expect(poller.status().lastWebhookAt).toBe(40_000);
  });
  test('while jobs come and go webhooks slow nothing down, and a day without any ends what they changed', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000, hookedMs: 30_000 }, half);
    answered(poller, 0);
    poller.kick(0);
    poller.stir(20_000);
    answered(poller, 20_100);
    expect(poller.nextAt()).toBe(20_600);
    answered(poller, 24 * 3_600_000 + 1);
    expect(poller.nextAt()).toBe(24 * 3_600_000 + 1_001);
  });
  test('without an interval of its own a webhook slows nothing down; a shared server is asked no quicker for it', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    answered(poller, 0);
    poller.kick(0);
    answered(poller, 20_000);
    expect(poller.nextAt()).toBe(21_000);
    const shared = createPoller('https://codeberg.org', { quietMs: 1_000 }, half);
    answered(shared, 0);
    shared.kick(1);
    expect(shared.nextAt()).toBe(30_000);
  });
  test('a forge that does not answer is not asked the more for its webhooks', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    poller.failed(new ControllerError('FORGE_UNREACHABLE', 'away'), 0);
    const next = poller.nextAt();
    poller.kick(1);
    expect(poller.nextAt()).toBe(next);
  });
  test('a forge that does not answer is asked less and less, at least every 30 seconds or so, and its last list is not trusted', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    answered(poller, 0);
    const gaps: number[] = [];
    for (let n = 0, now = 1_000; n < 8; n += 1) {
      poller.failed(new ControllerError('FORGE_UNREACHABLE', 'refused'), now);
      gaps.push(poller.nextAt() - now);
      now = poller.nextAt();
    }
    expect(gaps[0]).toBe(1_000);
    expect(gaps).toEqual([...gaps].toSorted((a, b) => a - b));
    expect(gaps.at(-1)).toBe(30_000);
    expect(poller.last().state).toBe('unknown');
    expect(poller.status()).toMatchObject({ lastGoodPollAt: 4, error: { code: 'FORGE_UNREACHABLE', since: 1_000 } });
    answered(poller, 200_000);
    expect(poller.status().error).toBeUndefined();
    poller.failed(new ControllerError('FORGE_UNREACHABLE', 'refused'), 300_000);
    expect(poller.nextAt()).toBe(301_000);
  });
  test('a throttled forge is left alone as long as it asked for', () => {
    const poller = createPoller('http://forge.test', { quietMs: 1_000 }, half);
    poller.failed(new ControllerError('FORGE_THROTTLED', 'slow down', { details: { retryAfterMs: 45_000 } }), 0);
    expect(poller.nextAt()).toBe(45_000);
    poller.hurry();
    poller.stir(1);
    expect(poller.nextAt()).toBe(45_000);
  });
});
