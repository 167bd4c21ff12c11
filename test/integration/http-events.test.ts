// Promises the stream of events over a real socket: what happens as it happens, resumed where it broke, and no follower can hold the service
// up, be it by number, by not reading, or at its end.

import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { createEvents, type Events } from '../../src/events.ts';
import { createFollowing, serveHttp, type Serving } from '../../src/http/app.ts';
import { eventSchema } from '../../src/http/wire-v1.ts';
import { problemSchema } from '../../src/http/wire.ts';
import { anApi } from '../support/api.ts';
import { now, startedAt } from '../support/snapshot-fixture.ts';

const open: Serving[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.close()));
});

type Scene = {
  readonly url: string;
  readonly events: Events;
  readonly following: ReturnType<typeof createFollowing>;
  readonly serving: Serving;
};

async function scene({ most = 4, heartbeatMs = 60_000, start = startedAt, idleMs = 15_000 } = {}): Promise<Scene> {
  const events = createEvents(() => now);
  const following = createFollowing({ events, clock: systemClock, start, most, heartbeatMs });
  const serving = await serveHttp({ app: anApi({ following }), host: '127.0.0.1', port: 0, idleMs });
  open.push(serving);
  return { url: `${serving.url}/api/v1/events`, events, following, serving };
}

const say = (events: Events, runner: string): void => events.publish({ level: 'info', event: 'launch', facts: { runner } });

/** Blocks of a stream as they come. */
async function follow(url: string, headers: Readonly<Record<string, string>> = {}) {
  const [response] = (await once(request(url, { headers, agent: false }).end(), 'response')) as [IncomingMessage];
  expect(response.headers['content-type']).toBe('text/event-stream');
  const blocks = (async function* () {
    let text = '';
    for await (const part of response.setEncoding('utf8')) {
      text += String(part);
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        yield text.slice(0, end);
        text = text.slice(end + 2);
      }
    }
  })();
  const next = async (): Promise<string> => {
    const { value, done } = await blocks.next();
    return done === true ? 'the end' : value;
  };
  expect(await next()).toBe('retry: 2000');
  return { next, fact: async () => factOf(await next()), leave: () => response.destroy() };
}

function factOf(block: string): { readonly id: string; readonly runner: unknown } {
  const [, id = '', data = ''] = /^id: (.+)\ndata: (.+)$/.exec(block) ?? [];
  return { id, runner: eventSchema.strict().parse(JSON.parse(data)).facts['runner'] };
}

test('a follower gets what happens from now on, each fact with its number, level and text', async () => {
  const { url, events } = await scene();
  say(events, 'before');
  const { next, leave } = await follow(url);
  events.publish({ level: 'warn', event: 'retry', facts: { runner: 'a', attempts: 2 }, message: 'once \u202emore' });
  const block = await next();
  expect(block).not.toMatch(/\p{Cf}/u);
  expect(JSON.parse(block.split('data: ')[1] ?? '')).toEqual({
    id: 2,
    at: new Date(now).toISOString(),
    level: 'warn',
    event: 'retry',
    message: 'once \u202emore',
    facts: { runner: 'a', attempts: 2 },
  });
  leave();
});

test('after=N begins with what is kept, Last-Event-ID goes on where the connection broke', async () => {
  const { url, events } = await scene();
  for (const runner of ['a', 'b', 'c']) say(events, runner);
  const first = await follow(`${url}?after=1`);
  expect((await first.fact()).runner).toBe('b');
  const { id, runner } = await first.fact();
  expect(runner).toBe('c');
  first.leave();
  say(events, 'd');
  // The address is that of the first time: the number of the last event says more.
  const again = await follow(`${url}?after=0`, { 'last-event-id': id });
  expect((await again.fact()).runner).toBe('d');
  again.leave();
});

test('an id of another start of the service, or one that is none, begins with all that is kept', async () => {
  const before = await scene({ start: startedAt - 1 });
  say(before.events, 'old');
  const old = await follow(`${before.url}?after=0`);
  const { id } = await old.fact();
  old.leave();
  const { url, events } = await scene();
  for (const runner of ['a', 'b']) say(events, runner);
  for (const seen of [id, 'nonsense', '-1', '9'.repeat(1_000)]) {
    const follower = await follow(url, { 'last-event-id': seen });
    expect((await follower.fact()).runner).toBe('a');
    follower.leave();
  }
});

test('who was away for longer than facts are kept is told how many are missing', async () => {
  const { url, events } = await scene();
  for (let count = 0; count < 1_010; count += 1) say(events, String(count));
  const { next, fact, leave } = await follow(`${url}?after=4`);
  expect(await next()).toBe('event: missed\ndata: 6');
  expect((await fact()).runner).toBe('10');
  leave();
});

test('while nothing happens a comment goes out, and the connection outlives the limit for silent ones', async () => {
  const { url } = await scene({ heartbeatMs: 40, idleMs: 200 });
  const { next, leave } = await follow(url);
  for (let beat = 0; beat < 10; beat += 1) expect(await next()).toBe(': nothing new');
  leave();
});

test('only so many may follow at a time; one who leaves makes room, and HEAD takes none', async () => {
  const { url } = await scene({ most: 2, heartbeatMs: 20 });
  for (let count = 0; count < 5; count += 1) expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
  const [first] = [await follow(url), await follow(url)];
  const refused = await fetch(url);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
  expect(problemSchema.parse(await refused.json()).code).toBe('TOO_MANY_FOLLOWERS');
  first.leave();
  await expect.poll(async () => (await fetch(url, { method: 'GET', signal: AbortSignal.timeout(500) })).status).toBe(200);
});

test('a follower that does not read is let go, and what it did not read is kept nowhere', async () => {
  const { url, events, following } = await scene({ most: 1, heartbeatMs: 20, idleMs: 200 });
  const { port } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
  socket.write('GET /api/v1/events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const room = async (): Promise<boolean> => {
    const stream = following.open(0);
    await stream?.cancel();
    return stream !== undefined;
  };
  await expect.poll(room).toBe(false);
  const pause = 'x'.repeat(100_000);
  // More than any buffer of the system holds.
  for (let count = 0; count < 900; count += 1) say(events, pause);
  await expect.poll(room, { timeout: 10_000 }).toBe(true);
  socket.destroy();
});

test('the end of the service ends every stream after its last fact, without a break', async () => {
  const { url, events, following, serving } = await scene();
  const { fact, next } = await follow(url);
  say(events, 'last');
  following.close();
  expect((await fact()).runner).toBe('last');
  expect(await next()).toBe('the end');
  expect((await fetch(url)).status).toBe(503);
  await serving.close();
});
