// Orders to the packaged service by its API: over the socket of root's, with each order in the journal and in the stream of events, and a
// runner that is ended takes everything of its own with it.

import { once } from 'node:events';
import { lstat } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { hold, openScene, runnerOf } from '../support/service-scene.ts';

async function ask(socketPath: string, method: string, path: string): Promise<unknown> {
  const [response] = (await once(request({ socketPath, method, path, agent: false }).end(), 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += String(part);
  expect([response.statusCode, text]).toEqual([200, text]);
  return JSON.parse(text);
}

test('root ends one runner over the socket: its job is over, the one beside it goes on, and who follows hears of it', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const socket = `/run/forgejo-runner-controller/${service.controllerId}.sock`;
  expect((await lstat(socket)).mode & 0o777).toBe(0o600);
  const [doomed, spared] = [await scene.queue(`echo @running; ${hold}`), await scene.queue(`echo @running; ${hold}`)];
  for (const job of [doomed, spared]) await scene.says(service, job, '@running');
  const id = runnerOf(await service.status(), doomed)?.id ?? '';

  const refused = await fetch(`${service.url}/api/v1/runners/${id}/stop`, { method: 'POST' });
  expect(refused.status).toBe(403);
  const follower = new AbortController();
  const stream = await fetch(`${service.url}/api/v1/events`, { signal: follower.signal });
  expect(await ask(socket, 'POST', `/api/v1/runners/${id}/stop`)).toMatchObject({ changed: true });
  let heard = '';
  for await (const part of stream.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    heard += part;
    if (heard.includes('"reason":"operator"') && heard.includes('"event":"order"')) break;
  }
  follower.abort();

  expect((await scene.done(service, doomed)).status).not.toBe('success');
  expect(await ask(socket, 'GET', `/api/v1/explain?job=${spared.jobId}`)).toMatchObject({ state: 'running' });
  await scene.open();
  expect(await scene.done(service, spared)).toMatchObject({ status: 'success' });
  await scene.clean(service);
  await service.stop();
  await expect(lstat(socket)).rejects.toThrow('ENOENT');
});
