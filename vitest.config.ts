// Promises three sets of tests: `fast` runs anywhere, `browser` where there is a Chromium or apt to fetch one, `host` only as root on a systemd
// host (scripts/test boots one). The repository may be read-only: VITEST_CACHE says where else scratch files go.

import { defineConfig } from 'vitest/config';

const minuteMs = 60_000;

export default defineConfig({
  cacheDir: process.env['VITEST_CACHE'] ?? '.cache/vite',
  test: {
    fsModuleCache: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/*.test.ts', 'test/{unit,property,contract,integration,simulation,nix}/**/*.test.ts'],
          testTimeout: 20_000,
          // The first that needs a program of Debian's (scripts/lib) fetches it, and the others wait for that.
          hookTimeout: 2 * minuteMs,
        },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 2 * minuteMs,
        },
      },
      {
        extends: true,
        test: {
          name: 'host',
          include: ['test/e2e/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 3 * minuteMs,
          hookTimeout: 3 * minuteMs,
        },
      },
    ],
  },
});
