// Promises a real Chromium, brought by scripts/lib when this machine has none, and pages in it that note whatever a page must not do. What is
// started here ends with the tests of the file.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

export type Opened = {
  readonly page: Page;
  /** Dialogs, errors, refusals by the policy, and requests to anybody else, as they came. */
  readonly faults: string[];
};

export type Chromium = {
  /** The page at that address, settled. Faults fail the test at its end but for those that `expected` fits. `before` runs in it before all else. */
  open(url: string, options?: BrowserContextOptions & { readonly expected?: RegExp; readonly before?: string }): Promise<Opened>;
};

/** To be called at the top of a test file. Where no Chromium can be had the tests of the file are skipped, with one line that says why. */
export function useChromium(): Chromium {
  let browser: Browser | undefined;
  let why = '';

  beforeAll(async () => {
    try {
      const { stdout } = await promisify(execFile)('bash', ['-c', '. scripts/lib && bring_chromium'], { cwd: root });
      browser = await chromium.launch({ executablePath: stdout.trim() });
    } catch (error) {
      why = `no Chromium: ${error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)}`;
      process.stderr.write(`tests of the page are skipped, ${why}\n`);
    }
  }, 300_000);
  beforeEach(({ skip }) => skip(browser === undefined, why));
  afterAll(async () => browser?.close());

  return {
    async open(url, { expected, before, ...options } = {}) {
      if (browser === undefined) throw new Error(why);
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, locale: 'en-GB', timezoneId: 'UTC', ...options });
      const page = await context.newPage();
      const faults: string[] = [];
      const note = (fault: string): void => {
        if (expected?.test(fault) !== true) faults.push(fault);
      };
      const { origin } = new URL(url);
      page.on('dialog', (dialog) => {
        note(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on('pageerror', (error) => note(`error: ${error.message}`));
      // A breach of the policy is one of these, too.
      page.on('console', (line) => note(`console: ${line.text()}`));
      page.on('request', (request) => {
        if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith('data:')) note(`request: ${request.url()}`);
      });
      onTestFinished(async () => {
        await context.close();
        expect(faults).toEqual([]);
      });
      if (before !== undefined) await page.addInitScript(before);
      await page.goto(url);
      await page.locator('body:not([data-empty])').waitFor();
      return { page, faults };
    },
  };
}
