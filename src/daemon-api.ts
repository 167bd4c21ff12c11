// Promises the API of a running service on its address and, for root, on its Unix socket: both answer the same, both end with one call.

import type { Config } from './config/config.ts';
import { createApp, createFollowing, serveHttp, serveSocket, type AppOptions, type Page, type Serving } from './http/app.ts';
import type { Events } from './events.ts';

export type Api = {
  /** Where it can be asked. */
  readonly urls: { readonly http: string; readonly socket?: string };
  close(): Promise<void>;
};

export type ApiOptions = Omit<AppOptions, 'host' | 'tokenFile' | 'basePath' | 'following' | 'page'> & { readonly events: Events };

/** Rejects with CONFIG_INVALID, and listens nowhere, when one of the two cannot be had. */
export async function openApi({ host, port, basePath, tokenFile, socket }: Config['http'], options: ApiOptions): Promise<Api> {
  const { events, ...rest } = options;
  const { clock } = rest;
  const following = createFollowing({ events, clock, start: rest.reconciler.snapshot().startedAt });
  const parts = { ...rest, following, page };
  const token = tokenFile === undefined ? {} : { tokenFile };
  const serving: Serving[] = [];
  const close = async (): Promise<void> => {
    following.close();
    await Promise.all(serving.map((each) => each.close()));
  };
  const http = await serveHttp({ app: createApp({ ...parts, ...token, host, basePath }), host, port, clock });
  serving.push(http);
  if (socket === undefined) return { urls: { http: http.url + basePath }, close };
  try {
    // No proxy is asked over it.
    serving.push(await serveSocket({ app: createApp({ ...parts, host: 'socket' }), path: socket, clock }));
  } catch (error) {
    await close();
    throw error;
  }
  return { urls: { http: http.url + basePath, socket }, close };
}

/** Loaded when somebody asks for it, as few do. */
async function page(): Promise<Page> {
  const { page: made } = await import('./page/page.ts');
  return made();
}
