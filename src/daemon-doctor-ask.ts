// Promises what comes of one question by GET, in bounded time and length: an answer, whatever it says, or why there is none. Follows nothing.

import { get as getPlain, type IncomingMessage, type RequestOptions } from 'node:http';
import { get as getSecure } from 'node:https';
import { timeoutOf } from './clock.ts';

/** `code`: why no answer came, in Node's word. `text`: its beginning. */
export type Answered = { readonly status: number; readonly type: string; readonly text: string } | { readonly code: string };

const answerMs = 5_000;
const mostBytes = 16_384;

/** `options` say more than the address does, such as a Unix socket. */
export async function ask(url: string, options: RequestOptions): Promise<Answered> {
  const { signal, cancel } = timeoutOf(answerMs);
  try {
    const reply = await new Promise<IncomingMessage>((resolve, reject) => {
      const get = url.startsWith('https:') ? getSecure : getPlain;
      get(url, { ...options, signal, agent: false }, resolve).on('error', reject);
    });
    let text = '';
    for await (const part of reply.setEncoding('utf8')) {
      text += String(part);
      if (text.length > mostBytes) break;
    }
    return { status: reply.statusCode ?? 0, type: reply.headers['content-type'] ?? '', text };
  } catch (error) {
    return { code: error instanceof Error && 'code' in error ? String(error.code) : String(error) };
  } finally {
    cancel();
  }
}
