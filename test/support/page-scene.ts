// Promises the real API with the page on a real port, over a picture that a test changes as it likes, and that can go away and come back on the
// same port as a service that is started again does.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { createEvents } from '../../src/events.ts';
import { createFollowing, serveHttp, type AppOptions, type Serving } from '../../src/http/app.ts';
import { page } from '../../src/page/page.ts';
import { anApi, reconcilingOf } from './api.ts';

export const token = 'operator-token-0123456789abcdef';

export type PageScene = {
  /** Where the page is, with its slash. */
  readonly url: string;
  /** From now on this is the picture; whoever follows hears that something happened. */
  show(next: Snapshot): void;
  shown(): Snapshot;
  stop(): Promise<void>;
  start(): Promise<void>;
};

export async function pageScene(first: Snapshot, over: Partial<AppOptions> & { readonly followers?: number } = {}): Promise<PageScene> {
  const folder = await mkdtemp(join(tmpdir(), 'frc-page-'));
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, `${token}\n`, { mode: 0o600 });
  const { followers = 16, basePath = '', ...app } = over;
  let picture = first;
  let port = 0;
  let serving: Serving | undefined;
  let following: ReturnType<typeof createFollowing>;
  let events: ReturnType<typeof createEvents>;

  const show = (next: Snapshot): void => {
    picture = next;
    events.publish({ level: 'info', event: 'launch', facts: {} });
  };
  const start = async (): Promise<void> => {
    events = createEvents(Date.now);
    following = createFollowing({ events, clock: systemClock, start: picture.startedAt, most: followers });
    const reconciler = reconcilingOf(() => fresh(picture), {
      drain(on) {
        const changed = picture.draining !== on;
        const { drain: _, ...rest } = picture;
        show({ ...rest, draining: on, ...(on ? { drain: { by: 'operator', since: Date.now(), left: 2 } } : {}) });
        return changed;
      },
    });
    const options = { reconciler, following, clock: systemClock, tokenFile, page, basePath, ...app };
    serving = await serveHttp({ app: anApi(options), host: '127.0.0.1', port });
    port = Number(new URL(serving.url).port);
  };
  const stop = async (): Promise<void> => {
    following.close();
    await serving?.close();
  };
  await start();
  onTestFinished(async () => {
    await stop();
    await rm(folder, { recursive: true });
  });
  return { url: `http://127.0.0.1:${port}${basePath}/`, show, shown: () => picture, start, stop };
}

/** As a service whose last look was a moment ago. */
function fresh(picture: Snapshot): Snapshot {
  const now = Date.now();
  const forges = picture.forges.map((forge) => (forge.error === undefined ? { ...forge, lastGoodPollAt: now - 400 } : forge));
  return { ...picture, tickAt: now - 300, forges };
}
