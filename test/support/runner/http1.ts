// A POST over HTTP/1.1 on kept connections, and no more than that. Not node:http, whose load and first request cost 20 ms more than
// node:net does, a third of the time from start to Declare. Never repeats a request: what is safe to repeat is the caller's decision.

import { connect, type Socket } from 'node:net';

export type Reply = { readonly status: number; readonly statusText: string; readonly body: Buffer };
export type Trouble = 'refused' | 'reset' | 'closed' | 'unresolved' | 'timeout' | 'aborted' | 'malformed' | 'other';

export type TroubleError = Error & { readonly trouble: Trouble };

export type PostOptions = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined };

export type Http = {
  post(path: string, headers: Readonly<Record<string, string>>, body: Uint8Array, options: PostOptions): Promise<Reply>;
  close(): void;
};

const crlf = '\r\n';
const codes: Readonly<Record<string, Trouble>> = { ECONNREFUSED: 'refused', ECONNRESET: 'reset', EPIPE: 'reset', ENOTFOUND: 'unresolved' };

function troubleOf(trouble: Trouble, message: string): TroubleError {
  return Object.assign(new Error(message), { trouble });
}

export function isTrouble(error: unknown): error is TroubleError {
  return error instanceof Error && 'trouble' in error;
}

function unchunk(text: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const end = text.indexOf(crlf, at);
    if (end < 0) return undefined;
    const size = Number.parseInt(text.toString('latin1', at, end), 16);
    if (Number.isNaN(size)) throw troubleOf('malformed', 'malformed chunked encoding');
    if (size === 0) return text.includes('\r\n\r\n', end) || text.length >= end + 4 ? Buffer.concat(parts) : undefined;
    if (text.length < end + 4 + size) return undefined;
    parts.push(text.subarray(end + 2, end + 2 + size));
    at = end + 4 + size;
  }
}

/** The reply in `received`, or undefined while it is not complete; `ended` says that no more bytes will come. */
export function parseReply(received: Buffer, ended: boolean): { reply: Reply; keep: boolean } | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [first = '', ...lines] = received.toString('latin1', 0, headEnd).split(crlf);
  const start = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(first);
  if (start === null) throw troubleOf('malformed', `malformed HTTP response ${JSON.stringify(first.slice(0, 40))}`);
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  const rest = received.subarray(headEnd + 4);
  const length = headers.get('content-length');
  const keep = !ended && headers.get('connection')?.toLowerCase() !== 'close';
  const answer = (body: Buffer, keep: boolean): { reply: Reply; keep: boolean } => ({
    reply: { status: Number(start[1]), statusText: start[2] ?? '', body },
    keep,
  });
  if (headers.get('transfer-encoding')?.toLowerCase() === 'chunked') {
    const body = unchunk(rest);
    return body === undefined ? undefined : answer(body, keep);
  }
  if (length !== undefined) return rest.length < Number(length) ? undefined : answer(rest.subarray(0, Number(length)), keep);
  return ended ? answer(rest, false) : undefined;
}

/** Sends one request on an open socket and waits for its reply; a socket that may not serve again is destroyed. */
function exchange(socket: Socket, request: Buffer, { timeoutMs, signal }: PostOptions): Promise<Reply> {
  return new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0);
    const finish = (error: Error | undefined, done?: { reply: Reply; keep: boolean }): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeAllListeners('data').removeAllListeners('close').removeAllListeners('error');
      // A late error of a socket nobody waits for must not end the process; the next request on it will notice.
      socket.on('error', () => socket.destroy());
      if (done?.keep !== true) socket.destroy();
      if (done === undefined) reject(error ?? troubleOf('closed', 'EOF'));
      else resolve(done.reply);
    };
    const look = (ended: boolean): void => {
      try {
        const done = parseReply(received, ended);
        if (done !== undefined) finish(undefined, done);
        else if (ended) finish(troubleOf('closed', received.length === 0 ? 'EOF' : 'unexpected EOF'));
      } catch (error) {
        finish(error as Error);
      }
    };
    const onAbort = (): void => finish(troubleOf('aborted', 'context canceled'));
    const timer = setTimeout(() => finish(troubleOf('timeout', 'timeout')), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.on('data', (chunk: Buffer) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      look(false);
    });
    socket.on('close', () => look(true));
    socket.on('error', (error: NodeJS.ErrnoException) => finish(troubleOf(codes[error.code ?? ''] ?? 'other', error.message)));
    if (signal?.aborted === true) onAbort();
    else socket.write(request);
  });
}

export function createHttp(base: URL): Http {
  const idle = new Set<Socket>();
  const secure = base.protocol === 'https:';
  const host = base.hostname.replace(/^\[|\]$/g, '');
  const port = Number(base.port) || (secure ? 443 : 80);

  const open = async (): Promise<Socket> => {
    if (!secure) return connect({ host, port, noDelay: true });
    const tls = await import('node:tls');
    return tls.connect({ host, port, servername: host });
  };
  const take = async (): Promise<Socket> => {
    for (const socket of idle) {
      idle.delete(socket);
      if (!socket.destroyed && socket.writable) return socket;
    }
    return open();
  };

  return {
    async post(path, headers, body, options) {
      const lines = Object.entries({ host: base.host, ...headers, 'content-length': String(body.length) });
      const head = [`POST ${path} HTTP/1.1`, ...lines.map(([name, value]) => `${name}: ${value}`), '', ''].join(crlf);
      const socket = await take();
      const reply = await exchange(socket, Buffer.concat([Buffer.from(head), body]), options);
      if (!socket.destroyed) {
        idle.add(socket);
        socket.once('close', () => idle.delete(socket));
      }
      return reply;
    },
    close() {
      for (const socket of idle) socket.destroy();
      idle.clear();
    },
  };
}
