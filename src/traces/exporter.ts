// Promises trees of spans on their way to an OTLP endpoint, by OpenTelemetry's own SDK: gathered, sent from time to time, at most so many kept.
// What cannot be sent is dropped and costs one line of the log for each outage, never more; nothing here throws.

import { readFile } from 'node:fs/promises';
import { ROOT_CONTEXT, SpanStatusCode, trace, type Context, type Span, type SpanContext, type Tracer } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider, type SpanExporter } from '@opentelemetry/sdk-trace';
import { headersIn } from '../core/header-lines.ts';
import type { Log } from '../log.ts';
import type { Tree } from './story.ts';

export type ExporterOptions = {
  /** What `/v1/traces` is added to. */
  readonly endpoint: string;
  /** Read again for each sending, so that what stands in it may be changed. */
  readonly headersFile?: string | undefined;
  readonly controllerId: string;
  readonly version: string;
  readonly log: Log;
  /** How long spans are gathered. */
  readonly gatherMs?: number | undefined;
};

export type Exporter = {
  /** `before`: the tree of an earlier machine for the same job. */
  emit(tree: Tree, before: SpanContext | undefined): SpanContext;
  /** Sends what is left. */
  close(): Promise<void>;
};

/** Of all tries of one sending together. */
const sendMs = 3_000;
const gatherMs = 5_000;
const spansKept = 2_048;
/** Names of jobs are written by whoever writes workflows. */
const longestValue = 256;

export function createExporter({ endpoint, headersFile, controllerId, version, log, ...options }: ExporterOptions): Exporter {
  const inner = new OTLPTraceExporter({
    url: `${endpoint}/v1/traces`,
    timeoutMillis: sendMs,
    ...(headersFile === undefined ? {} : { headers: () => headersFrom(headersFile, log) }),
  });
  const exporter = reporting(inner, endpoint, log);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'forgejo-runner-controller',
      'service.version': version,
      'service.instance.id': controllerId,
    }),
    spanLimits: { attributeValueLengthLimit: longestValue },
    spanProcessors: [new BatchSpanProcessor({ exporter, maxQueueSize: spansKept, scheduledDelayMillis: options.gatherMs ?? gatherMs })],
  });
  const tracer = provider.getTracer('forgejo-runner-controller', version);
  return {
    emit: (tree, before) => draw(tracer, tree, ROOT_CONTEXT, before).spanContext(),
    close: () => provider.shutdown(),
  };
}

function draw(tracer: Tracer, tree: Tree, context: Context, before?: SpanContext): Span {
  const { name, from, to, attributes, failure, happened, parts } = tree;
  const links = before === undefined ? [] : [{ context: before }];
  const span = tracer.startSpan(name, { startTime: new Date(from), attributes, links }, context);
  for (const { name: what, at, attributes: facts } of happened) span.addEvent(what, facts, new Date(at));
  if (failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
  for (const part of parts) draw(tracer, part, trace.setSpan(context, span));
  span.end(new Date(to));
  return span;
}

/** Whoever gathers the spans is told that all is well: it can do nothing about it, and would only complain elsewhere. */
function reporting(inner: SpanExporter, endpoint: string, log: Log): SpanExporter {
  let lost = 0;
  return {
    export(spans, done) {
      inner.export(spans, ({ error }) => {
        if (error !== undefined) {
          if (lost === 0)
            log.warn(
              'telemetry',
              { endpoint, reason: reasonOf(error) },
              'spans cannot be sent, and are dropped; jobs are not touched by it',
            );
          lost += spans.length;
        } else if (lost > 0) {
          log.info('telemetry', { endpoint, lost }, 'spans can be sent again');
          lost = 0;
        }
        // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- 0 is SUCCESS; its enum is in a package that is not ours to import
        done({ code: 0 });
      });
    },
    shutdown: () => inner.shutdown(),
  };
}

/** The sentence of a server may be empty, and so may that of several addresses that were tried. */
function reasonOf(error: (Error & { readonly code?: string | number }) | undefined): string {
  return [error?.code, error?.message].filter((part) => part !== undefined && part !== '').join(' ') || 'no reason was given';
}

async function headersFrom(file: string, log: Log): Promise<Record<string, string>> {
  const headers = headersIn(await readFile(file, 'utf8'));
  if (typeof headers === 'number') throw new Error(`line ${headers} of ${file} is no header: write \`name: value\``);
  for (const value of Object.values(headers)) {
    log.conceal(value);
    // `Bearer TOKEN`: the token alone is as secret.
    for (const word of value.split(' ')) if (word.length >= 8) log.conceal(word);
  }
  return { ...headers };
}
