// Promises one trace for each runner, sent to an OTLP endpoint when everything of it is gone. It follows the facts of the log and changes
// nothing; it is loaded only where an endpoint is set.

import type { SpanContext } from '@opentelemetry/api';
import type { Fact } from '../events.ts';
import { createExporter, type ExporterOptions } from './exporter.ts';
import { createStories } from './story.ts';

export type Traces = {
  /** To follow the facts with. */
  take(fact: Fact): void;
  /** Sends what is left; the caller decides how long that may take. */
  close(): Promise<void>;
};

/** `now`: milliseconds that only ever grow. */
export type TracesOptions = ExporterOptions & { readonly now: () => number };

/** Jobs whose last machine did not get them, and that may get another. */
const linksKept = 1_000;

export function createTraces({ now, ...options }: TracesOptions): Traces {
  const stories = createStories(now);
  const exporter = createExporter(options);
  const links = new Map<string, SpanContext>();
  return {
    take(fact) {
      const told = stories.take(fact);
      if (told === undefined) return;
      const context = exporter.emit(told.tree, links.get(told.job));
      links.delete(told.job);
      if (told.again) links.set(told.job, context);
      for (const oldest of links.keys()) if (links.size > linksKept) links.delete(oldest);
    },
    close: () => exporter.close(),
  };
}
