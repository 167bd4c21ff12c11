// Promises of the demo what can be shown without a host: its page is reached through two relays as if it were near, streams too, and the
// tables it ends with are those of the command line, with what did not end well told.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEvents } from '../../src/events.ts';
import { createFollowing } from '../../src/http/app.ts';
import { systemClock } from '../../src/clock.ts';
import { openRelay, type Relay } from '../demo/relay.ts';
import { tablesOf } from '../demo/tables.ts';
import { answering, type Answering } from '../support/cli-service.ts';
import { quiet } from '../support/snapshot-fixture.ts';

const client = fileURLToPath(new URL('../../src/runner-status.ts', import.meta.url));
let service: Answering;
let folder = '';
const relays: Relay[] = [];
const events = createEvents(() => 0);
const following = createFollowing({ events, clock: systemClock, start: 0 });
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-demo-'));
  service = await answering(() => quiet, {}, { following });
});
afterEach(async () => {
  for (const relay of relays.splice(0)) relay.close();
  await service.close();
  await rm(folder, { recursive: true, force: true });
});

/** As the demo does it: one beside the service, on a socket, and one where the person is. */
async function near(): Promise<string> {
  const path = join(folder, 'page.sock');
  relays.push(await openRelay({ path }, new URL(service.url), true));
  const outer = await openRelay({ host: '127.0.0.1' }, { socketPath: path });
  relays.push(outer);
  return `http://127.0.0.1:${outer.port}`;
}

test('the address that the demo names leads to the service, whose checks of names and of foreign pages it passes', async () => {
  const url = await near();
  expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: 'ok' });
  const authorization = `Bearer ${'t'.repeat(40)}`;
  const ordered = await fetch(`${url}/api/v1/poll`, {
    method: 'POST',
    headers: { authorization, origin: url, 'sec-fetch-site': 'same-origin' },
  });
  expect(ordered.status).toBe(200);
  const foreign = await fetch(`${url}/api/v1/poll`, { method: 'POST', headers: { authorization, origin: 'http://elsewhere.test' } });
  expect(foreign.status).toBe(403);
});

test('what happens is heard there as it happens', async () => {
  const leave = new AbortController();
  const stream = await fetch(`${await near()}/api/v1/events`, { signal: leave.signal });
  events.publish({ level: 'info', event: 'poll', facts: { forge: 'main' } });
  let heard = '';
  for await (const part of stream.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    heard += part;
    if (heard.includes('"event":"poll"')) break;
  }
  leave.abort();
  expect(heard).toContain('"forge":"main"');
});

test('the demo ends with the tables of the command line: well or not, what became of jobs, and why one would wait', async () => {
  const [status, jobs, explain] = await tablesOf(client, service.url);
  expect(status).toMatchObject({ asked: `runner-status --url ${service.url}`, well: true, text: expect.stringContaining(' is well') });
  expect(jobs).toMatchObject({ well: true });
  expect(explain?.text).toContain('nearest profile: default; missing: ubuntu-latest, gpu');
});

test('a table that cannot be had is shown as such and makes the demo fail', async () => {
  await service.port.close();
  const told = await tablesOf(client, service.url);
  expect(told.map(({ well }) => well)).toEqual([false, false, false]);
  expect(told[0]?.text).toContain('the service does not answer');
});
