// The page in a real Chromium against the real API: what it shows, that it stays true without a reload, and that a stranger's words are text.

import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { AppOptions } from '../../src/http/app.ts';
import { useChromium } from '../support/chromium.ts';
import { busyHour, waiting } from '../support/page-picture.ts';
import { pageScene } from '../support/page-scene.ts';
import { quiet } from '../support/snapshot-fixture.ts';

const chromium = useChromium();
const away = /^console: Failed to load resource: net::ERR_/;

test('shows health, version, forges, the slots of the last hour, who runs, who waits and why, and what ended with its cause', async () => {
  const picture = busyHour(Date.now());
  const { url } = await pageScene(picture);
  const { page } = await chromium.open(url);
  const text = await page.locator('body').innerText();
  expect(await page.title()).toBe('5/8, 3 waiting · ci-1');
  for (const words of ['Runners of ci-1', 'well', 'live', 'version 0.1.0', 'up 1 d 3 h', '5 of 8 slots in use, 3 jobs waiting'])
    expect(text).toContain(words);
  expect(text).toContain('main Forgejo 16.0.1, organization builders: 3 waiting, 5 running');
  expect(await page.locator('#waiting li').allInnerTexts()).toEqual([
    expect.stringContaining('(a concurrency group, most likely)'),
    expect.stringContaining('all 2 machines of profile `large` are in use'),
    expect.stringMatching(/build \(arm64\).*label `arm64` is in no profile; nearest is `default`/s),
  ]);
  expect(await page.locator('#running li').count()).toBe(5);
  expect(await page.locator('#ended li', { hasText: 'killed: memory limit 4 GiB' }).count()).toBe(1);
  expect(await page.locator('.lane').count()).toBe(8);
  // There is one bar for each, and no two lie on each other.
  const lanes = await page.evaluate<[number, number][][]>(`[...document.querySelectorAll('.track')].map((track) =>
    [...track.querySelectorAll('.bar')].map((bar) => [parseFloat(bar.style.left), parseFloat(bar.style.left) + parseFloat(bar.style.width)]))`);
  const inHour = picture.ended.filter(({ endedAt }) => endedAt > Date.now() - 3_600_000).length;
  expect(lanes.flat().length).toBe(inHour + 5);
  for (const bars of lanes)
    for (const [index, [, to]] of bars.entries()) expect(bars[index + 1]?.[0] ?? 100).toBeGreaterThanOrEqual(to - 0.01);
  const bar = page.locator('.bar[data-end="bad"]').first();
  await bar.hover();
  const told = await page.locator('#detail').innerText();
  for (const words of [
    /\(job \d+/,
    /repository \d+ at main/,
    /ran for \d+ min/,
    /was cleaned up for/,
    // With its day where that is not today.
    /ended at (?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d, .* of memory at most: killed/,
  ])
    expect(told).toMatch(words);
  expect(await bar.getAttribute('aria-label')).toBe(told);
  const running = page.locator('.bar[data-end="none"] .phase.running').first();
  expect(await running.count()).toBe(1);
});

test("a stranger's words are text: names, labels, sentences and the console run nothing, load nothing and hide nothing", async () => {
  const evil = [
    '<img src="https://evil.example/x" onerror="alert(1)">',
    '<script>alert(2)</script>',
    '"><svg onload=alert(3)>',
    '\u202ereversed\u2066 \u200bhidden',
    '{{constructor.constructor("alert(4)")()}}',
  ];
  const name = evil.join(' ');
  const now = Date.now();
  const hour = busyHour(now);
  const text = `\u001b[31mred\u001b[0m ${name}\u001b]0;title\u0007\n`;
  const logs: AppOptions['logs'] = { open: () => Promise.resolve({ text }) };
  const error = { code: '<b>X</b>', message: name, since: now - 40_000 };
  const scene = await pageScene(
    {
      ...hour,
      controllerId: 'ci-1',
      host: { machines: 1, error },
      forges: hour.forges.map((forge) => ({ ...forge, name, version: name, error })),
      denials: [waiting(1, name, evil, 'unmatched', `label ${name}`)],
      runners: hour.runners.map((runner) => ({ ...runner, job: { ...runner.job, name, labels: evil }, lastError: error })),
      ended: hour.ended.map((ended) => ({ ...ended, job: { ...ended.job, name }, cause: name, reason: 'x' })),
    },
    { logs },
  );
  // Not well, which the browser notes as a failed request.
  const { page } = await chromium.open(scene.url, { expected: /^console: Failed to load resource: .* 503/ });
  const shown = name.replaceAll(/[\u202e\u2066\u200b]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  for (const place of ['#running strong', '#waiting strong', '#ended strong', '#ended .chip', '#forges strong'])
    expect(await page.locator(place).first().textContent()).toBe(shown);
  expect(await page.locator('#waiting .chip').allTextContents()).toContain(evil[0]);
  await page.locator('#ended button').first().click();
  await page.getByText('That is all').waitFor();
  expect(await page.locator('#log-text').textContent()).toBe(`red ${shown}\n`);
  expect(await page.locator('body img, body svg, body script:not(body > script), body b, body iframe').count()).toBe(0);
});

test('what changes is shown at once and without a reload, as the events tell', async () => {
  const hour = busyHour(Date.now());
  const scene = await pageScene({ ...hour, denials: [] });
  // Else it would also look by itself now and then.
  const { page } = await chromium.open(scene.url, { before: 'window.setInterval = () => 0' });
  await page.getByText('Nothing waits.').waitFor();
  await page.locator('[data-connection="live"]').waitFor();
  await page.evaluate('window.loadedOnce = true');
  scene.show({ ...hour, denials: [waiting(2001, 'release', ['debian'], 'capacity', 'all 8 machines are in use (maxConcurrent)', 1)] });
  await page.locator('#waiting', { hasText: 'all 8 machines are in use' }).waitFor();
  const [gone, ...rest] = hour.runners;
  const ended = {
    id: gone?.id ?? '',
    forge: 'main',
    job: hour.ended[0]?.job ?? { id: 1, name: '', repositoryId: 1, attempt: 1, handle: '' },
    profile: 'default',
    createdAt: gone?.createdAt ?? 0,
  };
  scene.show({
    ...hour,
    runners: rest,
    denials: [],
    ended: [{ ...ended, endedAt: Date.now(), reason: 'job-timeout', cause: 'ran longer than 30 min' }, ...hour.ended],
  });
  await page.locator('#ended li', { hasText: 'ran longer than 30 min' }).waitFor();
  await page.getByText('Nothing waits.').waitFor();
  expect(await page.locator('#running li').count()).toBe(rest.length);
  expect(await page.evaluate('window.loadedOnce')).toBe(true);
});

test('while the service is away it says so and how old the picture is; started again on its port it is followed again by itself', async () => {
  const hour = busyHour(Date.now());
  const scene = await pageScene(hour);
  const { page } = await chromium.open(scene.url, { expected: away });
  await page.locator('[data-connection="live"]').waitFor();
  await page.evaluate('window.loadedOnce = true');
  scene.show(hour);
  const resumed = page.waitForRequest((request) => request.url().endsWith('/api/v1/events') && 'last-event-id' in request.headers());
  await scene.stop();
  await page.locator('[data-connection="away"]').waitFor();
  expect(await page.locator('#health').innerText()).toBe('unknown');
  expect(await page.locator('#notice').innerText()).toMatch(/^The service does not answer since (?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d\./);
  await page.locator('#age', { hasText: /is [1-9]\d* s old/ }).waitFor();
  expect(await page.locator('#running li').count()).toBe(5);
  scene.show({ ...hour, startedAt: Date.now(), runners: [] });
  await scene.start();
  await page.locator('[data-connection="live"]').waitFor();
  await page.locator('#restarted', { hasText: 'was started again' }).waitFor();
  await page.getByText('Nothing runs.').waitFor();
  // Of the start before this one: the service knows that it is.
  expect((await resumed).headers()['last-event-id']).toMatch(/^[0-9a-z]+-1$/);
  expect(await page.locator('#notice').innerText()).toBe('');
  scene.show({ ...hour, startedAt: Date.now() });
  await page.locator('#running li').nth(4).waitFor();
  expect(await page.evaluate('window.loadedOnce')).toBe(true);
});

test('where no more may follow the events it asks every few seconds, says so, and follows once it may', async () => {
  const hour = busyHour(Date.now());
  const scene = await pageScene(hour, { followers: 0 });
  const { page } = await chromium.open(scene.url, { expected: /^console: Failed to load resource: .* 503/ });
  await page.locator('[data-connection="asking"]').waitFor();
  expect(await page.locator('#notice').innerText()).toContain('TOO_MANY_FOLLOWERS');
  scene.show({ ...hour, runners: [] });
  await page.getByText('Nothing runs.').waitFor();
});

test('a tab that nobody looks at follows nothing; looked at again it shows what happened meanwhile', async () => {
  const hour = busyHour(Date.now());
  const scene = await pageScene(hour, { followers: 1 });
  const { page } = await chromium.open(scene.url);
  await page.locator('[data-connection="live"]').waitFor();
  const turn = (hidden: boolean): Promise<unknown> =>
    page.evaluate(
      `Object.defineProperty(document, 'hidden', { configurable: true, value: ${hidden} }); document.dispatchEvent(new Event('visibilitychange'))`,
    );
  const events = `${scene.url}api/v1/events`;
  expect((await fetch(events)).status).toBe(503);
  await turn(true);
  const leave = new AbortController();
  await expect.poll(async () => (await fetch(events, { signal: leave.signal })).status, { timeout: 20_000 }).toBe(200);
  leave.abort();
  scene.show({ ...hour, runners: [] });
  await turn(false);
  await page.getByText('Nothing runs.').waitFor();
  await page.locator('[data-connection="live"]').waitFor();
});

test('where no more may follow a log, what it holds is shown once', async () => {
  const logs: AppOptions['logs'] = { open: (_, following) => Promise.resolve(following ? 'too-many' : { text: 'so far\n' }) };
  const { url } = await pageScene(busyHour(Date.now()), { logs });
  const { page } = await chromium.open(url, { expected: /^console: Failed to load resource: .* 503/ });
  await page.locator('#running button', { hasText: 'Log' }).first().click();
  await page.getByText('this is what it has written until now').waitFor();
  expect(await page.locator('#log-text').textContent()).toBe('so far\n');
});

test('the log of a runner comes as it is written, and ends with the cause', async () => {
  let write: ReadableStreamDefaultController<Uint8Array> | undefined;
  const logs: AppOptions['logs'] = {
    open: () => Promise.resolve({ stream: new ReadableStream<Uint8Array>({ start: (controller) => void (write = controller) }) }),
  };
  const say = (text: string): void => write?.enqueue(new TextEncoder().encode(text));
  const hour = busyHour(Date.now());
  const { url } = await pageScene(hour, { logs });
  const { page } = await chromium.open(url);
  await page.locator('#running button', { hasText: 'Log' }).first().click();
  await page.getByRole('dialog').waitFor();
  say('first line\n\rsecond ');
  const lines = page.locator('#log-text .line');
  await page.getByText('first line').waitFor();
  expect(await lines.allTextContents()).toEqual(['first line']);
  say('line\n');
  await page.getByText('second line', { exact: true }).waitFor();
  for (let line = 0; line < 6_000; line += 1) say(`${line}\n`);
  await page.getByText('5999', { exact: true }).waitFor();
  expect(await lines.count()).toBe(5_000);
  say('(the machine ended: finished)\n');
  write?.close();
  await page.getByText('That is all: the log has ended.').waitFor();
  expect(await lines.last().textContent()).toBe('(the machine ended: finished)');
});

test('looks the same way in light and dark, with words that can be read against their ground', async ({ onTestFinished }) => {
  const { url } = await pageScene(busyHour(Date.now()));
  const temporary = await mkdtemp(join(tmpdir(), 'frc-images-'));
  onTestFinished(() => rm(temporary, { recursive: true }));
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page } = await chromium.open(url, { colorScheme, viewport: { width: 1200, height: 760 } });
    await page.locator('[data-connection="live"]').waitFor();
    expect(await page.evaluate(`(${contrasts})()`)).toEqual([]);
    const kept = fileURLToPath(new URL(`../../docs/images/page-${colorScheme}.png`, import.meta.url));
    // A run of the tests leaves the tree as it was.
    const wanted = process.env['PAGE_IMAGES'] !== undefined || !existsSync(kept);
    const image = await page.screenshot({ path: wanted ? kept : join(temporary, `${colorScheme}.png`) });
    expect(image.length).toBeLessThan(150_000);
  }
  const background = (page: Awaited<ReturnType<typeof chromium.open>>['page']) =>
    page.evaluate('getComputedStyle(document.body).backgroundColor');
  const [light, dark] = [await chromium.open(url, { colorScheme: 'light' }), await chromium.open(url, { colorScheme: 'dark' })];
  expect(await background(light.page)).not.toBe(await background(dark.page));
});

/** Runs in the page: texts whose contrast with what lies behind them is below 4.5 (WCAG AA). */
const contrasts = `() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => {
    const [r, g, b] = rgb(color).map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (let at = node; at !== null; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if (rgb(color)[3] > 250) return color;
    }
    return 'white';
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const weak = [];
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (texts.currentNode.data.trim() === '' || node.checkVisibility?.() !== true || node.closest('script, .bar') !== null) continue;
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(texts.currentNode.data + ' ' + ratio.toFixed(2));
  }
  return weak;
}`;

test('a service that has nothing to show says so', async () => {
  const { url } = await pageScene(quiet);
  const { page } = await chromium.open(url);
  const text = await page.locator('main').innerText();
  for (const words of ['Nothing runs.', 'Nothing waits.', 'Nothing has ended yet.', '0 of 7 slots in use, 0 jobs waiting'])
    expect(text).toContain(words);
});
