// Promises an OTLP collector on a loopback port of its own that takes what a real one takes (POST /v1/traces, JSON) and shows the spans of it
// plainly: by name and parent, with times in milliseconds and attributes as values. It can refuse, hang, and be away.

import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Span = {
  readonly trace: string;
  readonly id: string;
  /** '' for a root. */
  readonly parent: string;
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly events: readonly { readonly name: string; readonly at: number; readonly attributes: Readonly<Record<string, unknown>> }[];
  readonly links: readonly string[];
};

export type Collector = {
  readonly endpoint: string;
  readonly spans: readonly Span[];
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: string }[];
  /** From now on it answers that status; 0 = never answers. */
  answer(status: number, message?: string): void;
  /** Resolves once that holds. */
  until(holds: (spans: readonly Span[]) => boolean): Promise<void>;
  close(): Promise<void>;
};

export async function startCollector(host = '127.0.0.1'): Promise<Collector> {
  const spans: Span[] = [];
  const requests: Collector['requests'][number][] = [];
  const waiters = new Set<() => void>();
  let status = 200;
  let message = '';
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      requests.push({ path: request.url ?? '', headers: request.headers, body });
      if (status === 200) spans.push(...spansOf(JSON.parse(body)));
      response.statusMessage = message;
      response.setHeader('content-type', 'application/json');
      response.statusCode = status === 0 ? 200 : status;
      if (status !== 0) response.end('{}');
      for (const wake of waiters) wake();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://${host}:${port}`,
    spans,
    requests,
    answer: (wanted, says = '') => void ([status, message] = [wanted, says]),
    async until(holds) {
      while (!holds(spans)) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            waiters.delete(wake);
            resolve();
          };
          waiters.add(wake);
        });
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Value = {
  readonly stringValue?: string;
  readonly intValue?: string | number;
  readonly doubleValue?: number;
  readonly boolValue?: boolean;
};
type Pair = { readonly key: string; readonly value: Value };
type Wire = {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Pair[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
};
type WireSpan = {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Pair[];
  readonly status?: Span['status'];
  readonly events?: readonly { readonly name: string; readonly timeUnixNano: string; readonly attributes: readonly Pair[] }[];
  readonly links?: readonly { readonly traceId: string }[];
};

function spansOf(wire: Wire): readonly Span[] {
  return wire.resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span): Span => ({
        trace: span.traceId,
        id: span.spanId,
        parent: span.parentSpanId ?? '',
        name: span.name,
        from: msOf(span.startTimeUnixNano),
        to: msOf(span.endTimeUnixNano),
        attributes: plain(span.attributes),
        resource: plain(resource.attributes),
        status: span.status ?? {},
        events: (span.events ?? []).map(({ name, timeUnixNano, attributes }) => ({
          name,
          at: msOf(timeUnixNano),
          attributes: plain(attributes),
        })),
        links: (span.links ?? []).map(({ traceId }) => traceId),
      })),
    ),
  );
}

function msOf(nanoseconds: string): number {
  return Number(BigInt(nanoseconds) / 1_000_000n);
}

function plain(pairs: readonly Pair[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    pairs.map(({ key, value: { stringValue, intValue, doubleValue, boolValue } }) => [
      key,
      stringValue ?? (intValue === undefined ? (doubleValue ?? boolValue) : Number(intValue)),
    ]),
  );
}
