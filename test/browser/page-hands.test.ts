// The page in a real Chromium under somebody's hands: orders with and without the right token, the keyboard alone, a phone, and a proxy between.

import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { reconcilingOf } from '../support/api.ts';
import { useChromium } from '../support/chromium.ts';
import { busyHour, waiting } from '../support/page-picture.ts';
import { pageScene, token, type PageScene } from '../support/page-scene.ts';
import { rememberingLog } from '../support/snapshot-fixture.ts';

const chromium = useChromium();
/** The browser's own note on an answer that is a refusal. */
const refusal = /^console: Failed to load resource: .* (?:401|403|503) /;

/** Everything that a page can keep beyond its memory. */
const keeps = (page: Page): Promise<unknown> =>
  page.evaluate(
    'JSON.stringify([location.href, document.cookie, { ...localStorage }, { ...sessionStorage }, history.state, history.length])',
  );
const dialog = (page: Page) => page.getByRole('dialog');
const focused = (page: Page): Promise<unknown> =>
  page.evaluate("(document.activeElement.id || document.activeElement.getAttribute('aria-label') || '')");

test('a drain asks for the token: a wrong one is refused plainly, the right one drains, and it is kept nowhere but in memory', async () => {
  const log = rememberingLog();
  const scene = await pageScene(busyHour(Date.now()), { log });
  const { page } = await chromium.open(scene.url, { expected: refusal });
  const before = await keeps(page);
  await page.getByRole('button', { name: 'Drain…' }).click();
  expect(await dialog(page).innerText()).toContain('nothing more is started');
  const input = page.getByLabel(/^The token/);
  const give = dialog(page).getByRole('button', { name: 'Drain' });
  const answer = page.locator('#order-answer');
  await give.click();
  await answer.filter({ hasText: 'TOKEN_MISSING' }).waitFor();
  await input.fill('wrong-token-0123456789');
  await give.click();
  await answer.filter({ hasText: 'That is not the token of http.tokenFile. (401 TOKEN_WRONG)' }).waitFor();
  expect([await input.inputValue(), scene.shown().draining]).toEqual(['', false]);
  await input.fill('no token at all');
  await give.click();
  await answer.filter({ hasText: 'That is no token' }).waitFor();
  await input.fill(token);
  await input.press('Enter');
  await answer.filter({ hasText: 'nothing more is started; the service ends when nothing of ours is left' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('#health', { hasText: 'draining' }).waitFor();
  await page.locator('#drain-state', { hasText: 'nothing more is started, 2 still to go' }).waitFor();

  await page.getByRole('button', { name: 'Resume…' }).click();
  expect(await input.isVisible()).toBe(false);
  await dialog(page).getByRole('button', { name: 'Resume' }).click();
  await answer.filter({ hasText: 'waiting jobs are started again' }).waitFor();
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Drain…' }).click();
  await page.getByRole('button', { name: 'Forget it' }).click();
  expect(await input.isVisible()).toBe(true);
  expect(await keeps(page)).toBe(before);
  expect(await page.content()).not.toContain(token);
  expect(log.lines.filter(([, , facts]) => facts?.['status'] === 401).length).toBe(2);
});

test('a runner is stopped and the forges are polled with the token, and a token file that cannot be used is told', async () => {
  const asked: unknown[][] = [];
  const hour = busyHour(Date.now());
  const reconciler = reconcilingOf(() => hour, {
    stop: (...args) => asked.push(['stop', ...args]) > 0,
    wake: (...args) => void asked.push(['wake', ...args]),
  });
  const { url } = await pageScene(hour, { reconciler });
  const { page } = await chromium.open(url, { expected: refusal });
  const [first] = hour.runners.toSorted((a, b) => a.createdAt - b.createdAt);
  await page.locator('#running button', { hasText: 'Stop…' }).first().click();
  expect(await dialog(page).innerText()).toContain(`Job ${first?.job.id} (${first?.job.name}) ends with it and fails`);
  await page.getByLabel(/^The token/).fill(token);
  await page.getByRole('button', { name: 'Stop it' }).click();
  await page.locator('#order-answer', { hasText: 'is asked to end' }).waitFor();
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Poll now…' }).click();
  await dialog(page).getByRole('button', { name: 'Poll now' }).click();
  await page.locator('#order-answer', { hasText: 'asked at once' }).waitFor();
  expect(asked).toEqual([
    ['stop', first?.id],
    ['wake', true],
  ]);

  const bare = await pageScene(hour, { tokenFile: '/nowhere/token' });
  const other = await chromium.open(bare.url, { expected: refusal });
  await other.page.getByRole('button', { name: 'Poll now…' }).click();
  await other.page.getByLabel(/^The token/).fill(token);
  await dialog(other.page).getByRole('button', { name: 'Poll now' }).click();
  await other.page.locator('#order-answer', { hasText: '(403 TOKEN_FILE_UNUSABLE)' }).waitFor();
});

test('the keyboard alone reaches everything: the skip link, the bars by arrows, the log by Enter, out by Escape, back to where it was', async () => {
  const hour = busyHour(Date.now());
  const scene = await pageScene(hour, { logs: { open: () => Promise.resolve({ text: 'a line\n' }) } });
  const { page } = await chromium.open(scene.url);
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the slots');
  expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).not.toBe('none');
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  const newest = hour.runners.toSorted((a, b) => b.createdAt - a.createdAt)[0];
  expect(await focused(page)).toContain(`runner ${newest?.id}`);
  await page.keyboard.press('ArrowLeft');
  // How long it has been running is told anew every few seconds.
  const [left = ''] = String(await focused(page)).split('. From ');
  expect(left).not.toContain(`runner ${newest?.id}`);
  expect(await page.locator('#detail').innerText()).toContain(left);
  await page.keyboard.press('Home');
  const oldest = await focused(page);
  for (const key of ['ArrowDown', 'ArrowUp', 'End', 'Home']) await page.keyboard.press(key);
  expect(await focused(page)).toBe(oldest);
  // A bar that has the focus keeps it while the picture changes.
  scene.show({ ...hour, denials: [] });
  await page.getByText('Nothing waits.').waitFor();
  expect(await focused(page)).toBe(oldest);
  await page.keyboard.press('Enter');
  await page.getByText('a line').waitFor();
  expect(await page.evaluate("document.activeElement.closest('dialog') !== null")).toBe(true);
  await page.keyboard.press('Escape');
  await dialog(page).waitFor({ state: 'hidden' });
  expect(await focused(page)).toBe(oldest);
  await page.keyboard.press('Tab');
  expect(await focused(page)).toMatch(/^Log of .*, runner j/);
  await page.keyboard.press('Tab');
  expect(await focused(page)).toMatch(/^Stop of .*, runner j/);
  await page.keyboard.press('Enter');
  expect(await focused(page)).toBe('order-token');
  await page.keyboard.press('Escape');
  expect(await focused(page)).toMatch(/^Stop of .*, runner j/);
  // Its runner goes, and with it the button: the list is next, not the top of the page.
  scene.show({ ...hour, runners: [], denials: [] });
  await page.getByText('Nothing runs.').waitFor();
  expect(await focused(page)).toBe('running-title');
  const nameless =
    "[...document.querySelectorAll('button, input, pre[tabindex], dialog, section, ol')].filter((node) => !(node.textContent.trim() || node.getAttribute('aria-label') || node.labels?.length || node.getAttribute('aria-labelledby'))).map((node) => node.outerHTML)";
  expect(await page.evaluate(nameless)).toEqual([]);
});

test('on a phone nothing scrolls sideways, whatever the names are, and the dialogs fit', async () => {
  const hour = busyHour(Date.now());
  const long = 'x'.repeat(255);
  const runners = hour.runners.map((runner) => ({ ...runner, job: { ...runner.job, name: long, labels: [long, 'a'] } }));
  const denials = [waiting(9, long, [long, long], 'unmatched', `label \`${long}\` is in no profile`)];
  const scene = await pageScene(
    { ...hour, controllerId: 'c'.repeat(60), runners, denials },
    { logs: { open: () => Promise.resolve({ text: `${long}${long}\n` }) } },
  );
  const { page } = await chromium.open(scene.url, { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true });
  const wide = (): Promise<unknown> =>
    page.evaluate(
      '[document.documentElement.scrollWidth, ...[...document.querySelectorAll("dialog[open]")].map((open) => open.getBoundingClientRect().right)].filter((right) => right > 360)',
    );
  expect(await wide()).toEqual([]);
  await page.locator('#running button', { hasText: 'Log' }).first().tap();
  await page.locator('#log-text .line').first().waitFor();
  expect(await wide()).toEqual([]);
  await page.locator('#log-close').tap();
  await page.getByRole('button', { name: 'Drain…' }).tap();
  await page.getByLabel(/^The token/).waitFor();
  expect(await wide()).toEqual([]);
  await page.locator('#order-cancel').tap();
  const small = await page.evaluate<number>(
    "[...document.querySelectorAll('header button, .rows button')].filter((node) => node.getBoundingClientRect().height < 24).length",
  );
  expect(small).toBe(0);
});

test.each([
  ['below a base path of the service', '/ci/runners', ''],
  ['below a path that the proxy takes away', '', '/elsewhere'],
])('%s the page is whole: it reads, follows and orders', async (_, basePath, cut) => {
  const scene = await pageScene(busyHour(Date.now()), { basePath });
  const url = await proxyTo(scene, cut);
  const path = basePath === '' ? `${cut}/` : basePath;
  const { page } = await chromium.open(url + path);
  expect(new URL(page.url()).pathname).toBe(`${cut}${basePath}/`);
  await page.locator('[data-connection="live"]').waitFor();
  await page.getByRole('button', { name: 'Drain…' }).click();
  await page.getByLabel(/^The token/).fill(token);
  await page.keyboard.press('Enter');
  await page.locator('#order-answer', { hasText: 'nothing more is started' }).waitFor();
  await page.locator('#health', { hasText: 'draining' }).waitFor();
});

/** As docs/OPERATIONS.md has one: asks for a loopback name, says by which it was asked. `cut`: what it takes from the front of the path. */
async function proxyTo(scene: PageScene, cut: string): Promise<string> {
  const { host, hostname, port } = new URL(scene.url);
  const server = createServer((incoming, outgoing) => {
    const headers = { ...incoming.headers, host, 'x-forwarded-host': incoming.headers.host };
    const path = (incoming.url ?? '/').slice(cut.length);
    const onward = request({ hostname, port, path, method: incoming.method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    outgoing.once('close', () => onward.destroy());
    onward.once('error', () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // Another name than the one it asks for.
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}
