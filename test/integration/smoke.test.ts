// Promises that the smoke script finds a service well that is well, and says of every other one what is not as promised; it is the same script
// for people, for automation and for the tests on a host.

import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { serveHttp } from '../../src/http/app.ts';
import { anApi, reconcilingOf } from '../support/api.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { fixedClock, quiet } from '../support/snapshot-fixture.ts';
import { smoke } from '../smoke/checks.ts';
import { openStage } from '../smoke/stage.ts';

const program = fileURLToPath(new URL('../../scripts/smoke.ts', import.meta.url));
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

type Ended = { readonly code: number; readonly stdout: string };

function end(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { env: { PATH: '/usr/bin:/bin', ...env } }, (error, stdout) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout });
    });
  });
}

const page = () => Promise.resolve({ html: '<!doctype html>', policy: "default-src 'none'" });

async function aService(picture: Snapshot, basePath = '', metered = true): Promise<string> {
  const metrics = createMetrics({ now: () => 0, perRepository: false });
  const metering = { render: () => metrics.render(picture, fixedClock), requestAnswered: () => undefined };
  const app = anApi({ reconciler: reconcilingOf(() => picture), basePath, page, ...(metered ? { metering } : {}) });
  const serving = await serveHttp({ app, host: '127.0.0.1', port: 0 });
  closing.push(() => serving.close());
  return serving.url + basePath;
}

/** What failed, and why. */
const failures = async (url: string): Promise<readonly string[]> =>
  (await smoke({ url })).filter(({ ok }) => !ok).map(({ name, said }) => `${name}: ${said}`);

test('a service of its own, the real API over the real loop, answers all as promised', async () => {
  const stage = await openStage();
  closing.push(() => stage.close());
  expect(await failures(stage.url)).toEqual([]);
});

test('the script needs no service and no root: it makes one, and ends with 0 and the sum', async () => {
  const { code, stdout } = await end([]);
  expect(stdout).toMatch(/\n(\d+) passed, 0 failed\n$/);
  expect(stdout).toContain('GET /api/v1/jobs: 1 waiting, 0 running, 0 done');
  expect(code).toBe(0);
});

test('a URL by word or by FORGEJO_RUNNER_CONTROLLER_URL is asked instead, also below a path', async () => {
  const url = await aService(quiet, '/runners');
  const [word, variable] = await Promise.all([end(['--url', url]), end([], { FORGEJO_RUNNER_CONTROLLER_URL: `${url}/` })]);
  expect(word.stdout).toContain(`smoke: ${url}\n`);
  for (const { code, stdout } of [word, variable]) expect([code, stdout]).toEqual([0, expect.stringMatching(/ passed, 0 failed\n$/)]);
});

test('what is not well is said with its reason, and ends with 1', async () => {
  const url = await aService({ ...quiet, forges: quiet.forges.map((forge) => ({ ...forge, lastGoodPollAt: 0 })) });
  const { code, stdout } = await end(['--url', url]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^FAILED +GET \/health: it is not well: /m);
});

test('a part that is missing or open is told', async () => {
  expect(await failures(await aService(quiet, '', false))).toEqual([expect.stringContaining('GET /metrics: answered 404')]);
});

test('somebody else, and nobody, fail at every question', async () => {
  const server = createServer((_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const told = await smoke({ url });
  expect(told.filter(({ ok }) => ok)).toEqual([]);
  expect(told.find(({ name }) => name === 'orders without a token')?.said).toContain('it was obeyed');
  server.closeAllConnections();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  expect((await smoke({ url })).filter(({ ok }) => ok)).toEqual([]);
});
