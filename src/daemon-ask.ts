// Promises what comes of one question by HTTP, in bounded time and length: an answer, whatever it says, or why there is none. Follows nothing.

import { request as plainly, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as securely } from 'node:https';
import { timeoutOf } from './clock.ts';
import type { Config } from './config/config.ts';
import { errnoOf } from './errors.ts';

/** `code`: why no answer came, in Node's word. `text`: no more of it than was wanted. */
export type Answered = { readonly status: number; readonly type: string; readonly text: string } | { readonly code: string };

/** `options` say more than the address does, such as a Unix socket. */
export type Asked = RequestOptions & { readonly answerMs?: number; readonly mostBytes?: number };

export async function ask(url: string, { answerMs = 5_000, mostBytes = 16_384, ...options }: Asked): Promise<Answered> {
  const { signal, cancel } = timeoutOf(answerMs);
  try {
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = url.startsWith('https:') ? securely : plainly;
      request(url, { ...options, signal, agent: false }, resolve)
        .on('error', reject)
        .end();
    });
    let text = '';
    for await (const part of reply.setEncoding('utf8')) {
      text += String(part);
      if (text.length > mostBytes) break;
    }
    return { status: reply.statusCode ?? 0, type: reply.headers['content-type'] ?? '', text };
  } catch (error) {
    return { code: errnoOf(error) ?? String(error) };
  } finally {
    cancel();
  }
}

/** The service of this configuration: over its socket where there is one, else where it listens. */
export function askService({ socket, host, port, basePath }: Config['http'], path: string, asked: Asked): Promise<Answered> {
  const target = socket === undefined ? { hostname: host, port } : { socketPath: socket };
  return ask(`http://localhost${basePath}${path}`, { ...asked, ...target });
}

/** Nobody is there, which a service that is slow, or ends this moment, is not. */
export function isNobody(answered: Answered): boolean {
  return 'code' in answered && (answered.code === 'ENOENT' || answered.code === 'ECONNREFUSED');
}
